// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testserver"
)

// The paths of a Login, for Fault.
const (
	DiscoveryPath     = "/.well-known/openid-configuration"
	AuthorizationPath = "/authorize"
	TokenPath         = "/token"
	RevocationPath    = "/revoke"
	EndSessionPath    = "/logout"
)

// Client is the client that may log in.
type Client struct {
	ID, Secret string

	// Method is client_secret_basic, client_secret_post, none or private_key_jwt.
	Method string

	// Key verifies the assertions of private_key_jwt. The audience must be Audience alone.
	Key      *Key
	Audience string

	// RedirectURLs and LogoutURLs are compared exactly. Empty: any, but a code is redeemed with
	// the redirect URI that it was asked for with.
	RedirectURLs, LogoutURLs []string
}

// User can log in.
type User struct {
	Password string
	Claims   map[string]any // besides sub, which is the name
}

// LoginConfig says what a Login is. The zero value is one with a client "dash" that has the
// secret "dash-secret", and a user alice, over plain http, that logs in at once.
type LoginConfig struct {
	CA     *testpki.Pair // nil: plain http
	Client Client
	Users  map[string]User // by name

	// Interactive makes the authorization endpoint show a form with a name and a password. Else it
	// logs in User at once.
	Interactive bool
	User        string // default alice

	// TokenLife is for ID and access tokens. Default: an hour.
	TokenLife time.Duration

	// TokenAge is how long ago new tokens say that they were issued: with most of its life over
	// a token is due for a refresh at once.
	TokenAge time.Duration

	// OfflineAccess gives refresh tokens only with the scope offline_access, as Dex does.
	OfflineAccess bool

	// KeepRefreshToken gives one refresh token for all uses of a login, as Google does. Answers
	// to a refresh have none.
	KeepRefreshToken bool
}

// Login is an issuer at which browsers log in. It is strict: a code is for one use within a
// minute, with its redirect URI and its PKCE verifier; a refresh token is for one use, and the
// second use revokes all that came from the same login (RFC 9700, section 4.14.2).
type Login struct {
	*Issuer

	// How often each endpoint was asked, good or bad.
	Authorizations, Exchanges, Refreshes, Revocations, Logouts atomic.Int64

	// Reuses counts refresh tokens that came a second time.
	Reuses atomic.Int64

	mu       sync.Mutex
	config   LoginConfig
	faults   map[string]http.HandlerFunc
	document func(document map[string]any)
	claims   func(claims map[string]any)
	answer   func(answer map[string]any)
	extra    func(callback map[string]string)
	grants   map[string]*grant // by code, refresh token and access token
	sessions map[string]*session
	issued   []string
}

// session is a browser that is logged in at the issuer.
type session struct{ id, user string }

// NewLogin starts one.
func NewLogin(tb testing.TB, config LoginConfig) *Login {
	tb.Helper()
	if config.Client.ID == "" {
		config.Client.ID, config.Client.Secret = "dash", "dash-secret"
	}
	if config.Client.Method == "" {
		config.Client.Method = "client_secret_basic"
	}
	if config.Users == nil {
		config.Users = map[string]User{"alice": {Password: "alice-password", Claims: map[string]any{"groups": []string{"dev", "ops"}}}}
	}
	if config.User == "" {
		config.User = "alice"
	}
	if config.TokenLife == 0 {
		config.TokenLife = time.Hour
	}
	l := &Login{
		Issuer: &Issuer{CA: config.CA, published: []*Key{RSA("rsa", 0), EC(tb, "ec")}}, config: config,
		faults: make(map[string]http.HandlerFunc), grants: make(map[string]*grant), sessions: make(map[string]*session),
	}
	l.mu.Lock() // a client of an earlier issuer with the same port may ask at once
	defer l.mu.Unlock()
	l.Server = testserver.New(tb, config.CA, l)
	l.URL = l.Scheme() + "://" + l.Addr
	return l
}

// Change changes the configuration, such as the users, between two requests.
func (l *Login) Change(change func(config *LoginConfig)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.config)
}

// Issued are all codes and tokens that it has made: a log must have none of them.
func (l *Login) Issued() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.issued)
}

// Fault replaces the answer of a path, until it is called with nil.
func (l *Login) Fault(path string, handler http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[path] = handler
}

// OnDocument changes the discovery document. The functions of OnDocument, OnClaims, OnAnswer and
// OnCallback are called one at a time, and must not call the issuer. Nil ends it.
func (l *Login) OnDocument(change func(document map[string]any)) { l.set(&l.document, change) }

// OnClaims changes the claims of each ID token: see OnDocument.
func (l *Login) OnClaims(change func(claims map[string]any)) { l.set(&l.claims, change) }

// OnAnswer changes the answers of the token endpoint: see OnDocument.
func (l *Login) OnAnswer(change func(answer map[string]any)) { l.set(&l.answer, change) }

// OnCallback changes the parameters of each callback: see OnDocument.
func (l *Login) OnCallback(change func(callback map[string]string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extra = change
}

func (l *Login) set(hook *func(map[string]any), change func(map[string]any)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*hook = change
}

// ServeHTTP implements [http.Handler].
func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoints := map[string]struct {
		asked *atomic.Int64
		serve http.HandlerFunc
	}{
		DiscoveryPath:     {&l.Discoveries, l.serveDocument},
		AuthorizationPath: {&l.Authorizations, l.serveAuthorization},
		TokenPath:         {nil, l.serveToken},
		RevocationPath:    {&l.Revocations, l.serveRevocation},
		EndSessionPath:    {&l.Logouts, l.serveEndSession},
	}
	endpoint, ok := endpoints[r.URL.Path]
	if !ok {
		l.serve(w, r)
		return
	}
	if r.URL.Path == TokenPath {
		endpoint.asked = &l.Exchanges
		if r.PostFormValue("grant_type") == "refresh_token" {
			endpoint.asked = &l.Refreshes
		}
	}
	endpoint.asked.Add(1)
	l.mu.Lock()
	fault := l.faults[r.URL.Path]
	l.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	endpoint.serve(w, r)
}

func (l *Login) serveDocument(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	document := map[string]any{
		"issuer": l.URL, "jwks_uri": l.URL + "/keys",
		"authorization_endpoint": l.URL + AuthorizationPath, "token_endpoint": l.URL + TokenPath,
		"revocation_endpoint": l.URL + RevocationPath, "end_session_endpoint": l.URL + EndSessionPath,
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query", "form_post"},
		"token_endpoint_auth_methods_supported": []string{l.config.Client.Method},
		"code_challenge_methods_supported":      []string{"S256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "subject_types_supported": []string{"public"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true, "backchannel_logout_session_supported": true,
	}
	if l.document != nil {
		l.document(document)
	}
	writeJSON(w, http.StatusOK, document)
}

func writeJSON(w http.ResponseWriter, status int, value map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	value = maps.Clone(value)
	maps.DeleteFunc(value, func(_ string, member any) bool { return member == nil })
	_ = json.NewEncoder(w).Encode(value)
}
