// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package guest is what the handler and its guest modules share while they are
// provisioned: the metrics of a configuration (metrics.go), state that outlives a reload
// (reload.go), the client for the API server (apiserver.go), and the names under which
// guests register (namespace.go). What a server's listeners prove about its peers
// (listen.go), and the fields that Caddy's logs show (logged.go), are shared by the handler
// and package command.
//
// A file is here for one of these reasons only: what one source or injector needs is in
// its own package.
package guest
