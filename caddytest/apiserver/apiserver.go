// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package apiserver runs a real kube-apiserver for tests.
//
// Start builds the program in caddytest/kubeapi once into the user's cache and
// starts it as a child process with certificate authorities, an OpenID Connect
// issuer and an audit log of its own. What a proxy in front of Kubernetes gets
// wrong about identities shows in who the API server thinks has asked, and no
// stand-in can be trusted to answer that.
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	proxyName    = "caddy-front-proxy"
	startTimeout = 120 * time.Second
)

// Server is a running kube-apiserver.
type Server struct {
	// URL is the server's address, "https://127.0.0.1:PORT".
	URL string
	// Dir is the temporary folder of all its files; Close removes it.
	Dir string
	// CAFile is the authority of the certificates of the server and of Issuer.
	CAFile string
	// AdminCertFile and AdminKeyFile are a client certificate of the group
	// system:masters.
	AdminCertFile, AdminKeyFile string
	// ProxyCertFile and ProxyKeyFile are the client certificate from which the
	// server takes X-Remote-User, X-Remote-Group, X-Remote-Uid and X-Remote-Extra-*.
	ProxyCertFile, ProxyKeyFile string
	// OtherProxyCertFile and OtherProxyKeyFile are from the same authority, but
	// for a common name that is not in --requestheader-allowed-names.
	OtherProxyCertFile, OtherProxyKeyFile string
	// Issuer makes tokens that the server accepts: the user is "oidc:" and the
	// claim sub, each of the claim groups gets the same prefix, the uid is sub,
	// and a claim tenant becomes the extra example.com/tenant.
	Issuer *Issuer

	admin   *http.Client
	clients *authority
	child   *child
}

// Start starts a server and returns when it is ready. It builds the program
// first if need be, which can take many minutes; the start itself gets two.
// The context ends a start that is under way, not the running server: that
// takes Close, or the end of this process.
func Start(ctx context.Context) (*Server, error) {
	program, err := binary(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing kube-apiserver: %w", err)
	}
	dir, err := os.MkdirTemp("", "kubeapi-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for kube-apiserver: %w", err)
	}
	server := &Server{Dir: dir}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := server.start(ctx, program); err != nil {
		err = fmt.Errorf("starting kube-apiserver: %w%s", err, logTail(server.logFile()))
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

func (s *Server) start(ctx context.Context, program string) error {
	keys, err := newPKI(s.Dir)
	if err != nil {
		return err
	}
	s.CAFile = keys.serving.file
	if err := s.issueClients(keys); err != nil {
		return err
	}
	if s.admin, err = s.Client(s.AdminCertFile, s.AdminKeyFile); err != nil {
		return err
	}
	if s.Issuer, err = startIssuer(ctx, keys.serving); err != nil {
		return fmt.Errorf("starting the issuer: %w", err)
	}
	flags, err := s.flags(keys)
	if err != nil {
		return err
	}
	args := append([]string{"--data-dir", s.Dir, "--"}, flags...)
	if s.child, err = startChild(ctx, s.logFile(), program, args); err != nil {
		return err
	}
	address, err := s.child.ready(ctx)
	if err != nil {
		return err
	}
	s.URL = "https://" + address
	return s.waitForIssuer(ctx)
}

func (s *Server) issueClients(keys pki) (err error) {
	s.AdminCertFile, s.AdminKeyFile, err = keys.clients.client("admin", "system:masters")
	if err != nil {
		return err
	}
	s.clients = keys.clients
	s.ProxyCertFile, s.ProxyKeyFile, err = keys.frontProxy.client(proxyName)
	if err != nil {
		return err
	}
	s.OtherProxyCertFile, s.OtherProxyKeyFile, err = keys.frontProxy.client("other-front-proxy")
	return err
}

// ClientCert makes a client certificate that the server takes for the user and
// groups that it names. Its files are in Dir.
func (s *Server) ClientCert(user string, groups ...string) (certFile, keyFile string, err error) {
	return s.clients.client(user, groups...)
}

// waitForIssuer waits until the server takes the issuer's tokens: it fetches
// the discovery document in the background, and /readyz does not wait for that.
func (s *Server) waitForIssuer(ctx context.Context) error {
	client, err := s.Client("", "")
	if err != nil {
		return err
	}
	token, err := s.Issuer.Sign("ES256", map[string]any{"sub": "readiness"})
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	for {
		status, _, err := s.send(ctx, client, http.MethodGet, "/version", header, nil)
		switch {
		case err != nil:
			return fmt.Errorf("asking with a token of the issuer: %w", err)
		case status == http.StatusOK:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until a token of the issuer is accepted: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close ends the server and the issuer and removes Dir.
func (s *Server) Close() error {
	var errs []error
	if s.child != nil {
		errs = append(errs, s.child.close())
	}
	if s.Issuer != nil {
		errs = append(errs, s.Issuer.server.Close())
	}
	if s.admin != nil {
		s.admin.CloseIdleConnections()
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

func (s *Server) logFile() string   { return filepath.Join(s.Dir, "kubeapi.log") }
func (s *Server) auditFile() string { return filepath.Join(s.Dir, "audit.log") }
