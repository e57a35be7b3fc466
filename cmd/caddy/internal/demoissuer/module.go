// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is an OpenID Connect issuer for demonstrations, never for production: its users, alice
// and admin-bob, and their passwords are shown on its login page. It answers every request of
// its site, from this machine only.
type Handler struct {
	// URL is the issuer, such as http://127.0.0.1:8083: plain http, a loopback address or
	// localhost, and no path. Required.
	URL string `json:"url,omitempty"`

	// ClientID is the client that may have users logged in. Required.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecretFile is a file with the client's secret, which is then needed as HTTP Basic
	// authentication. Default: none, the client is public and proves itself by PKCE alone.
	ClientSecretFile string `json:"client_secret_file,omitempty"`

	// RedirectURLs are the URLs to which users may return from a login, compared byte for byte.
	// Their hosts are loopback addresses or names below localhost. Required: at least one.
	RedirectURLs []string `json:"redirect_url,omitempty"`

	// PostLogoutURLs are the same for the return from a logout. Default: none, the issuer then
	// shows a page of its own.
	PostLogoutURLs []string `json:"post_logout_url,omitempty"`

	host     string // of URL, with the port
	secret   string
	state    *state
	stateKey string
	logger   *zap.Logger
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.demo_issuer", New: func() caddy.Module { return new(Handler) }}
}

// states are those of the running configurations.
var states = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// Provision implements caddy.Provisioner. It finds the state of an earlier configuration with the
// same settings, or makes a key.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if err := h.check(); err != nil { // before anything is made for it
		return err
	}
	if err := h.readSecret(); err != nil {
		return fmt.Errorf("reading client_secret_file: %w", err)
	}
	issuer, err := url.Parse(h.URL)
	if err != nil {
		return err
	}
	h.host = issuer.Host
	key, err := guest.StateKey("demo_issuer", h, h.secret)
	if err != nil {
		return err
	}
	value, _, err := states.LoadOrNew(key, func() (caddy.Destructor, error) { return newState() })
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	h.stateKey, h.state = key, value.(*state)
	h.logger.Info("the demonstration issuer is for this machine only: its login page shows the passwords", zap.String("url", h.URL))
	return nil
}

// maxSecret is how long the client secret's file may be, in bytes.
const maxSecret = 4096

func (h *Handler) readSecret() error {
	if h.ClientSecretFile == "" {
		return nil
	}
	content, err := os.ReadFile(h.ClientSecretFile)
	if err != nil {
		return err
	}
	content = bytes.TrimRight(content, "\r\n")
	if len(content) == 0 || len(content) > maxSecret {
		return fmt.Errorf("%s: it is empty or longer than %d bytes", h.ClientSecretFile, maxSecret)
	}
	h.secret = string(content)
	return nil
}

// Cleanup implements caddy.CleanerUpper.
func (h *Handler) Cleanup() error { return guest.Release(states, &h.stateKey) }

// prefix is that of all paths that browsers open. The cookie is for it alone: browsers do not
// tell ports apart, and would send it to the dashboards on the same address.
const prefix = "/demo-issuer"

const (
	discoveryPath     = "/.well-known/openid-configuration"
	keysPath          = prefix + "/keys"
	authorizationPath = prefix + "/authorize"
	tokenPath         = prefix + "/token"
	revocationPath    = prefix + "/revoke"
	logoutPath        = prefix + "/logout"
)

// ServeHTTP implements caddyhttp.MiddlewareHandler. It answers everything itself.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	// Also for the keys: after a restart they are others.
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if status, fault := h.stranger(r); fault != "" {
		h.logger.Warn("refusing a request: " + fault)
		http.Error(w, fault, status)
		return nil
	}
	serve, allow := h.endpoint(r)
	switch {
	case serve == nil && allow == "":
		showProblem(w, http.StatusNotFound, "There is no page here. Open the dashboard: it sends you here to log in.")
	case serve == nil:
		w.Header().Set("Allow", allow)
		showProblem(w, http.StatusMethodNotAllowed, "The method is not one of this address.")
	default:
		serve(w, r)
	}
	return nil
}

// endpoint returns nil for a path that does not exist, and for a method that the path does not
// have, with those that it has.
func (h *Handler) endpoint(r *http.Request) (serve http.HandlerFunc, allow string) {
	const reads, asks, posts = "GET, HEAD", "GET, POST", "POST"
	switch r.URL.Path {
	case discoveryPath:
		serve, allow = h.serveDiscovery, reads
	case keysPath:
		serve, allow = h.serveKeys, reads
	case authorizationPath:
		serve, allow = h.serveAuthorization, asks
	case logoutPath:
		serve, allow = h.serveLogout, asks
	case tokenPath:
		serve, allow = h.serveToken, posts
	case revocationPath:
		serve, allow = h.serveRevocation, posts
	default:
		return nil, ""
	}
	isRead, isPost := r.Method == http.MethodGet || r.Method == http.MethodHead && allow == reads, r.Method == http.MethodPost
	if isRead && allow != posts || isPost && allow != reads {
		return serve, allow
	}
	return nil, allow
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
