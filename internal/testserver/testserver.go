// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// Server is a running server. Its address is not 127.0.0.1, where connections come from,
// so a connection cannot take the port while the server is stopped.
type Server struct {
	Addr string // host and port

	tls     *tls.Config // nil: plain http
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
}

var servers atomic.Int64 //nolint:gochecknoglobals // each server has its own address

// New starts a server with a certificate by ca; nil: plain http.
func New(tb testing.TB, ca *testpki.Pair, handler http.Handler) *Server {
	tb.Helper()
	ip := "127.0.1." + strconv.FormatInt(servers.Add(1)%250+1, 10)
	s := &Server{Addr: ip + ":0", handler: handler}
	if ca != nil {
		leaf := testpki.Sign(tb, ca, testpki.LeafKey(tb), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = ca.Cert.NotBefore, ca.Cert.NotAfter
			c.IPAddresses = []net.IP{net.ParseIP(ip)}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Cert.Raw}, PrivateKey: leaf.Key}}}
	}
	s.Start(tb)
	tb.Cleanup(s.Stop)
	return s
}

// Start listens again after Stop.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", s.Addr)
	if err != nil {
		tb.Fatalf("listening: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Addr = listener.Addr().String()
	s.server = &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

// Stop closes everything at once, as if the machine had failed.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close()
}

// CloseConnections makes the running server close each connection after one answer. In a
// bubble of testing/synctest no time passes while a client's connection is open.
func (s *Server) CloseConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.SetKeepAlivesEnabled(false)
}

// Scheme is http or https.
func (s *Server) Scheme() string {
	if s.tls == nil {
		return "http"
	}
	return "https"
}
