// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// nodeName is the node of all pods.
const nodeName = "node"

// kubeletFlags are the program's flags for its kubelet, and kube-apiserver's flags to
// reach it.
func (s *Server) kubeletFlags() (own, server []string, err error) {
	authority := s.keys.kubelet
	certFile, keyFile, err := authority.server("kubelet")
	if err != nil {
		return nil, nil, err
	}
	own = []string{
		"--kubelet-listen=" + s.kubeletAddress,
		"--kubelet-cert-file=" + certFile, "--kubelet-key-file=" + keyFile,
		"--kubelet-client-ca-file=" + authority.file,
	}
	if certFile, keyFile, err = authority.client("apiserver-kubelet-client"); err != nil {
		return nil, nil, err
	}
	return own, []string{
		"--kubelet-certificate-authority=" + authority.file,
		"--kubelet-client-certificate=" + certFile, "--kubelet-client-key=" + keyFile,
		"--kubelet-preferred-address-types=InternalIP",
	}, nil
}

// Pod creates a running pod with one container, "main", and its namespace and its node if
// they are missing. exec, attach, port-forward and logs reach a kubelet that is not a
// real one: it never runs a command of the machine. It knows these:
//
//	echo ARGS…    the arguments and a line feed on stdout
//	warn ARGS…    the same on stderr
//	cat           stdin to stdout until it ends
//	fill N        N bytes of x on stdout
//	sleep N       a line "tick 1", "tick 2" … each 100 ms, for N seconds
//	exit N        ends with that exit code
//
// Any other is "not found", with exit code 127. Attach returns its input, or ticks for an
// hour if there is no stdin. Every forwarded port echoes. The log has the lines "line 1"
// to "line 10"; following it adds one each 100 ms without end. Deleting the pod removes
// it at once.
func (s *Server) Pod(ctx context.Context, namespace, name string) error {
	if err := s.Create(ctx, "/api/v1/namespaces", named(namespace)); err != nil {
		return err
	}
	if err := s.node(ctx); err != nil {
		return err
	}
	pods := "/api/v1/namespaces/" + namespace + "/pods"
	if err := s.Create(ctx, pods, map[string]any{
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"nodeName":                      nodeName,
			"containers":                    []map[string]any{{"name": "main", "image": "registry.invalid/main"}},
			"terminationGracePeriodSeconds": 0,
		},
	}); err != nil {
		return err
	}
	// kubectl forwards ports of a running pod only.
	const running = `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`
	header := http.Header{"Content-Type": {"application/merge-patch+json"}}
	status, answer, err := s.send(ctx, s.admin, http.MethodPatch, pods+"/"+name+"/status", header, []byte(running))
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return refused("setting the pod's status", status, answer)
	}
	return nil
}

// node creates the node, with the kubelet's address in its status.
func (s *Server) node(ctx context.Context) error {
	host, service, err := net.SplitHostPort(s.kubeletAddress)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return fmt.Errorf("reading the kubelet's port: %w", err)
	}
	return s.Create(ctx, "/api/v1/nodes", map[string]any{
		"metadata": map[string]any{"name": nodeName},
		"status": map[string]any{
			"addresses":       []map[string]any{{"type": "InternalIP", "address": host}},
			"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}},
		},
	})
}
