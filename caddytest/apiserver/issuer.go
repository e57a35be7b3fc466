// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

const (
	// DiscoveryPath is the path of an issuer's discovery document (OpenID Connect
	// Discovery 1.0 section 4).
	DiscoveryPath = "/.well-known/openid-configuration"
	// KeysPath is the path of an issuer's key set.
	KeysPath = "/keys"
)

// Issuer is an OpenID Connect provider in the process of the test. It has discovery, a
// key for each of Algorithms, and no login: Sign makes the tokens, and SignRaw makes
// tokens that a provider should not make. Its methods may be called at any time from any
// goroutine.
type Issuer struct {
	// URL is the issuer's identifier, "https://127.0.0.1:PORT".
	URL string
	// Audience is the aud that Sign writes and the API server expects.
	Audience string
	// CAFile is the authority of its certificate.
	CAFile string

	certificate tls.Certificate

	mu                sync.Mutex
	server            *http.Server // nil while it is down
	keys              keyring
	rotations         int
	delay             time.Duration
	replaced          map[string]http.Handler
	discovered, asked int
}

// StartIssuer starts an issuer without an API server, with an authority of its
// own whose files it writes into dir. Down ends it.
func StartIssuer(ctx context.Context, dir string) (*Issuer, error) {
	authority, err := newAuthority(dir, "issuer-ca")
	if err != nil {
		return nil, err
	}
	return startIssuer(ctx, authority)
}

func startIssuer(ctx context.Context, serving *authority) (*Issuer, error) {
	listener, err := freeport.Listen(ctx)
	if err != nil {
		return nil, err
	}
	issuer := &Issuer{
		URL:      "https://" + listener.Addr().String(),
		Audience: "kube",
		CAFile:   serving.file,
		replaced: map[string]http.Handler{},
	}
	if err := issuer.prepare(serving); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	issuer.serve(listener)
	return issuer, nil
}

func (i *Issuer) prepare(serving *authority) (err error) {
	if i.keys, err = newKeyring(0); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(i.address())
	if err != nil {
		return err
	}
	certFile, keyFile, err := serving.server("issuer-" + port)
	if err != nil {
		return err
	}
	i.certificate, err = tls.LoadX509KeyPair(certFile, keyFile)
	return err
}

func (i *Issuer) address() string { return strings.TrimPrefix(i.URL, "https://") }

// serve must not be called for an issuer that is up.
func (i *Issuer) serve(listener net.Listener) {
	server := &http.Server{Handler: http.HandlerFunc(i.answer), ReadHeaderTimeout: 10 * time.Second}
	i.server = server
	go func() {
		_ = server.Serve(tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{i.certificate},
			MinVersion:   tls.VersionTLS12,
		}))
	}()
}

func (i *Issuer) up() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.server != nil
}

// Down makes the issuer stop listening and breaks its connections off. Sign still works.
// An issuer that is down already is not an error.
func (i *Issuer) Down() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.server == nil {
		return nil
	}
	err := i.server.Close()
	i.server = nil
	return err
}

// Up makes the issuer listen again, on the same port. An issuer that is up already is not
// an error. An API server that could not reach it when it started tries again every ten
// seconds.
func (i *Issuer) Up(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.server != nil {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", i.address())
	if err != nil {
		return fmt.Errorf("starting the issuer again: %w", err)
	}
	i.serve(listener)
	return nil
}

// Slow makes the issuer wait before each answer, from now on; 0 ends that.
func (i *Issuer) Slow(delay time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.delay = delay
}

// Replace puts another handler at a path of the issuer, such as KeysPath or
// DiscoveryPath; nil restores the original. Requests are still counted and slowed.
func (i *Issuer) Replace(path string, handler http.Handler) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if handler == nil {
		delete(i.replaced, path)
		return
	}
	i.replaced[path] = handler
}

// Requests returns how many requests for the discovery document and for the key set have
// come in so far, the API server's own among them.
func (i *Issuer) Requests() (discovery, keys int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.discovered, i.asked
}

// answer counts, waits if the issuer is slow, and lets the path's handler answer.
func (i *Issuer) answer(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	switch r.URL.Path {
	case DiscoveryPath:
		i.discovered++
	case KeysPath:
		i.asked++
	}
	delay, replaced := i.delay, i.replaced[r.URL.Path]
	i.mu.Unlock()
	select {
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // an empty answer could still reach a client that has just given up
	case <-time.After(delay):
	}
	switch {
	case replaced != nil:
		replaced.ServeHTTP(w, r)
	case r.Method != http.MethodGet:
		http.Error(w, "only GET is allowed", http.StatusMethodNotAllowed)
	case r.URL.Path == DiscoveryPath:
		reply(w, i.discovery())
	case r.URL.Path == KeysPath:
		reply(w, map[string]any{"keys": i.JWKs()})
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) discovery() map[string]any {
	return map[string]any{
		"issuer":                                i.URL,
		"jwks_uri":                              i.URL + KeysPath,
		"authorization_endpoint":                i.URL + "/authorize", // required by the standard; does not exist
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": Algorithms(),
	}
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
