// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// pki holds the authorities whose certificates kube-apiserver is told to trust.
type pki struct {
	serving, clients, frontProxy, kubelet *authority
}

func newPKI(dir string) (pki, error) {
	var made pki
	var err error
	if made.serving, err = newAuthority(dir, "serving-ca"); err != nil {
		return made, err
	}
	if made.clients, err = newAuthority(dir, "client-ca"); err != nil {
		return made, err
	}
	if made.frontProxy, err = newAuthority(dir, "front-proxy-ca"); err != nil {
		return made, err
	}
	made.kubelet, err = newAuthority(dir, "kubelet-ca")
	return made, err
}

// arguments are the command line of the program: its own flags, and after "--"
// those of kube-apiserver.
func (s *Server) arguments(ctx context.Context, options []Option) ([]string, error) {
	var chosen settings
	for _, option := range options {
		option(&chosen)
	}
	args := []string{"--data-dir=" + s.Dir, "--listen=" + s.address}
	own, kubelet, err := s.kubeletFlags()
	if err != nil {
		return nil, err
	}
	flags, err := s.flags(ctx, chosen.authentication)
	if err != nil {
		return nil, err
	}
	return slices.Concat(args, own, []string{"--"}, flags, kubelet, chosen.flags), nil
}

// flags writes the files that kube-apiserver reads and returns its flags.
func (s *Server) flags(ctx context.Context, configuration AuthenticationFunc) ([]string, error) {
	certFile, keyFile, err := s.keys.serving.server("apiserver")
	if err != nil {
		return nil, err
	}
	tokenKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tokenKeyFile, err := writeKey(s.Dir, "service-account", tokenKey)
	if err != nil {
		return nil, err
	}
	authentication, err := s.writeAuthentication(ctx, configuration)
	if err != nil {
		return nil, err
	}
	audit, err := s.writeJSON("audit-policy.json", auditPolicy())
	if err != nil {
		return nil, err
	}
	return []string{
		// No network is needed here: without the reconciler a loopback address is enough.
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--cert-dir=" + s.Dir, "--tls-cert-file=" + certFile, "--tls-private-key-file=" + keyFile,
		"--authorization-mode=RBAC", "--authentication-config=" + authentication,
		"--client-ca-file=" + s.keys.clients.file,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + tokenKeyFile, "--service-account-signing-key-file=" + tokenKeyFile,
		"--api-audiences=https://kubernetes.default.svc," + s.Issuer.Audience,
		"--requestheader-client-ca-file=" + s.keys.frontProxy.file,
		"--requestheader-allowed-names=" + proxyName,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-uid-headers=X-Remote-Uid", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		// There is no controller to make the default service accounts that this plugin
		// needs.
		"--disable-admission-plugins=ServiceAccount",
		// Blocking, so that an event is in the file when its request has ended.
		"--audit-policy-file=" + audit, "--audit-log-path=" + s.auditFile(), "--audit-log-mode=blocking",
	}, nil
}

func (s *Server) writeJSON(name string, content any) (string, error) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("encoding %s: %w", name, err)
	}
	file := filepath.Join(s.Dir, name)
	return file, os.WriteFile(file, encoded, 0o600)
}

// auditPolicy logs the user and the request, never a body: tokens are in bodies.
func auditPolicy() any {
	return map[string]any{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"omitStages": []string{"RequestReceived"},
		"rules":      []map[string]any{{"level": "Metadata"}},
	}
}
