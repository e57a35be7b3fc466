// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Kubeapi is a real kube-apiserver and its etcd in one process, for tests.
//
//	kubeapi --data-dir DIR [--listen ADDRESS] [--kubelet-listen ADDRESS
//	        --kubelet-cert-file FILE --kubelet-key-file FILE
//	        --kubelet-client-ca-file FILE] -- [kube-apiserver flags]
//
// It listens on a free port of 127.0.0.1 unless --listen names an address, prints
// {"address":"127.0.0.1:PORT"} as one line on stdout when /readyz is ok, logs to stderr,
// and ends as soon as its stdin is closed: when a test dies, its API server ends too.
// Started again in the same folder it has its old data. The flags must let anonymous
// requests read /readyz.
//
// With --kubelet-listen it is also the kubelet of a node, or a stand-in that the API
// server cannot tell from one: see kubelet.
package main
