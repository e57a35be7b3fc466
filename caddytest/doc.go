// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package caddytest is the home of the end-to-end tests. Each folder has one subject, and
// every test in it sends requests through a real Caddy to an upstream:
//
//	spoofing   a client cannot write its own identity
//	certs      client certificates, as proxies pass them on and in the handshake
//	login      browsers that log in, sessions, refresh and logout
//	tokens     bearer tokens, with stand-ins for the issuer and the API server
//	require    required users and groups, by path and by expression
//	frontends  nginx, HAProxy and Apache in front of Caddy
//	kube       a real kube-apiserver behind Caddy
//	upstreams  stand-ins for Kiali, Headlamp and OpenShift's OAuth server behind Caddy
//	browser    a real browser, and pages of other origins
//	examples   the quick start and the examples run as they stand
//	deploy     the chart, the image and the release
//	lifecycle  which peers are trusted, streams, reloads, other modules, and the log
//
// The folders apiserver and kubeapi run and build the kube-apiserver. The harness is the
// package internal/testhandler.
package caddytest
