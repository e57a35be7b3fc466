// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
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
	// CAFile is the authority of the certificates of the server and of its issuers.
	CAFile string
	// AdminCertFile and AdminKeyFile are a client certificate of the group
	// system:masters.
	AdminCertFile, AdminKeyFile string
	// ProxyCertFile and ProxyKeyFile are the client certificate with which the server
	// accepts X-Remote-User, X-Remote-Group, X-Remote-Uid and X-Remote-Extra-*.
	ProxyCertFile, ProxyKeyFile string
	// OtherProxyCertFile and OtherProxyKeyFile are from the same authority, but
	// for a common name that is not in --requestheader-allowed-names.
	OtherProxyCertFile, OtherProxyKeyFile string
	// Issuer makes tokens that the server accepts: the user is "oidc:" and the
	// claim sub, each of the claim groups gets the same prefix, the uid is sub,
	// and a claim tenant becomes the extra example.com/tenant.
	Issuer *Issuer

	keys             pki
	address          string
	kubeletAddress   string
	admin, anonymous *http.Client
	program          string
	args             []string
	authentications  []authentication
	child            *child // nil after Kill

	mu      sync.Mutex
	issuers []*Issuer
}

// Start starts a server and returns when it is ready. It builds the program first if
// necessary, which can take many minutes; the start itself gets two. The context ends a
// start in progress, not the running server: Close does, or the end of this process.
func Start(ctx context.Context, options ...Option) (*Server, error) {
	program, err := build(ctx, "kubeapi", kubeapiPackage)
	if err != nil {
		return nil, fmt.Errorf("preparing kube-apiserver: %w", err)
	}
	dir, err := os.MkdirTemp("", "kubeapi-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for kube-apiserver: %w", err)
	}
	server := &Server{Dir: dir, program: program}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := server.start(ctx, options); err != nil {
		err = fmt.Errorf("starting kube-apiserver: %w%s", err, logTail(server.logFile()))
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

func (s *Server) start(ctx context.Context, options []Option) error {
	var err error
	if s.keys, err = newPKI(s.Dir); err != nil {
		return err
	}
	s.CAFile = s.keys.serving.file
	if err := s.issueClients(); err != nil {
		return err
	}
	if s.address, err = freeport.Address(ctx); err != nil {
		return err
	}
	if s.kubeletAddress, err = freeport.Address(ctx); err != nil {
		return err
	}
	s.URL = "https://" + s.address
	if s.Issuer, err = s.NewIssuer(ctx); err != nil {
		return err
	}
	if s.args, err = s.arguments(ctx, options); err != nil {
		return err
	}
	return s.launch(ctx)
}

// launch starts the child process, and returns when it is ready.
func (s *Server) launch(ctx context.Context) error {
	asked := s.keyRequests()
	var err error
	if s.child, err = startChild(ctx, s.logFile(), s.program, s.args); err != nil {
		return err
	}
	address, err := s.child.ready(ctx)
	if err != nil {
		return err
	}
	if address != s.address {
		return fmt.Errorf("it listens on %s instead of %s", address, s.address)
	}
	return s.waitForIssuers(ctx, asked)
}

func (s *Server) issueClients() (err error) {
	s.AdminCertFile, s.AdminKeyFile, err = s.keys.clients.client("admin", "system:masters")
	if err != nil {
		return err
	}
	s.ProxyCertFile, s.ProxyKeyFile, err = s.keys.frontProxy.client(proxyName)
	if err != nil {
		return err
	}
	s.OtherProxyCertFile, s.OtherProxyKeyFile, err = s.keys.frontProxy.client("other-front-proxy")
	if err != nil {
		return err
	}
	if s.admin, err = s.Client(s.AdminCertFile, s.AdminKeyFile); err != nil {
		return err
	}
	s.anonymous, err = s.Client("", "")
	return err
}

// ClientCert makes a client certificate for a user and groups, as the server reads them.
// Its files are in Dir.
func (s *Server) ClientCert(user string, groups ...string) (certFile, keyFile string, err error) {
	return s.keys.clients.client(user, groups...)
}

// NewIssuer starts another issuer, which ends with the server. The server accepts its
// tokens only if its authentication configuration names it: see WithAuthenticationConfig.
func (s *Server) NewIssuer(ctx context.Context) (*Issuer, error) {
	issuer, err := startIssuer(ctx, s.keys.serving)
	if err != nil {
		return nil, fmt.Errorf("starting an issuer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers = append(s.issuers, issuer)
	return issuer, nil
}

// Close ends the server and the issuers and removes Dir.
func (s *Server) Close() error {
	var errs []error
	if s.child != nil {
		errs = append(errs, s.child.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, issuer := range s.issuers {
		errs = append(errs, issuer.Down())
	}
	s.disconnect()
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}

// disconnect closes the connections that wait for the next request.
func (s *Server) disconnect() {
	for _, client := range []*http.Client{s.admin, s.anonymous} {
		if client != nil {
			client.CloseIdleConnections()
		}
	}
}

func (s *Server) logFile() string   { return filepath.Join(s.Dir, "kubeapi.log") }
func (s *Server) auditFile() string { return filepath.Join(s.Dir, "audit.log") }
