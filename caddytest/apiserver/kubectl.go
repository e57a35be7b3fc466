// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// Kubectl returns the path of a kubectl of the server's version. It builds it first if
// necessary, which takes a minute after the server's program, and many minutes without.
// Give it a HOME of its own, or it writes into the user's.
func Kubectl(ctx context.Context) (path string, err error) {
	if path, err = build(ctx, "kubectl", kubectlPackage); err != nil {
		return "", fmt.Errorf("preparing kubectl: %w", err)
	}
	return path, nil
}

// Kubeconfig writes a kubeconfig file into Dir for the server at a URL, whose authority
// is in caFile unless that is empty, and a bearer token. kubectl sends the token to an
// https server only.
func (s *Server) Kubeconfig(server, caFile, token string) (path string, err error) {
	const name = "caddytest"
	type object = map[string]any
	cluster := object{"server": server}
	if caFile != "" {
		cluster["certificate-authority"] = caFile
	}
	file, err := os.CreateTemp(s.Dir, "kubeconfig-*.json")
	if err != nil {
		return "", fmt.Errorf("making a kubeconfig: %w", err)
	}
	err = json.NewEncoder(file).Encode(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []object{{"name": name, "cluster": cluster}},
		"users":           []object{{"name": name, "user": object{"token": token}}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": name}}},
		"current-context": name,
	})
	if err != nil {
		_ = file.Close()
		return "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return file.Name(), file.Close()
}
