// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// object is one of JSON.
type object = map[string]any

// testIssuer is an OpenID Connect issuer. It counts how often its keys are asked for.
type testIssuer struct {
	*httptest.Server

	key   *ecdsa.PrivateKey
	asked atomic.Int64
}

func newIssuer(t *testing.T) *testIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &testIssuer{key: key}
	issuer.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(object{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
		case "/keys":
			issuer.asked.Add(1)
			_, _ = w.Write(issuer.keySet())
		default:
			http.NotFound(w, r)
		}
	}))
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0) // who goes away in the middle of a handshake
	issuer.StartTLS()
	t.Cleanup(issuer.Close)
	return issuer
}

func (i *testIssuer) keySet() []byte {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Use: "sig"}}})
	if err != nil {
		panic(err)
	}
	return set
}

// source is the source oidc for this issuer, with more options, or without those that are
// nil.
func (i *testIssuer) source(options object) object {
	source := object{
		"source": "oidc", "issuer": i.URL, "audience": []string{"dashboards"}, "username_prefix": "-",
		"trust_pool": inlinePool(i.Certificate()),
	}
	maps.Copy(source, options)
	maps.DeleteFunc(source, func(_ string, value any) bool { return value == nil })
	return source
}

// token makes one for alice, with other claims as they are given.
func (i *testIssuer) token(t *testing.T, claims object) string {
	t.Helper()
	payload := object{"iss": i.URL, "aud": "dashboards", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(payload, claims)
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// testCluster is as much of an API server as is asked: it knows the tokens in users, and
// makes tokens of service accounts.
type testCluster struct {
	*httptest.Server

	users    map[string]string // token to name
	reviewed atomic.Int64
	granted  atomic.Int64
	expires  atomic.Int64 // of the last token that was granted, in seconds
	down     atomic.Bool
}

func newCluster(t *testing.T, users map[string]string) *testCluster {
	t.Helper()
	c := &testCluster{users: users}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Spec struct {
				Token     string
				Audiences []string
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		w.Header().Set("Connection", "close") // in a bubble no time passes while a connection is open
		const version = "authentication.k8s.io/v1"
		switch {
		case c.down.Load() || slices.Contains(asked.Spec.Audiences, "nobody"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
			c.reviewed.Add(1)
			name := c.users[asked.Spec.Token]
			status := object{"authenticated": name != "", "user": object{"username": name}}
			if name == "" {
				status = object{"error": "no such token: " + asked.Spec.Token} // which must not be shown
			}
			_ = json.NewEncoder(w).Encode(object{"apiVersion": version, "kind": "TokenReview", "status": status})
		default:
			n, expires := c.granted.Add(1), time.Now().Add(time.Hour)
			c.expires.Store(expires.Unix())
			_ = json.NewEncoder(w).Encode(object{"apiVersion": version, "kind": "TokenRequest", "status": object{
				"token": fmt.Sprintf("granted-for%s-%d", strings.ReplaceAll(r.URL.Path, "/", "."), n), "expirationTimestamp": expires.UTC().Format(time.RFC3339),
			}})
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// kubernetes is the option of the handler.
func (c *testCluster) kubernetes(t *testing.T, options object) object {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	writeAll(t, path, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}],
		"users": [{"name": "c", "user": {"token": "the-proxys-own"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}`, c.URL))
	k := object{"kubeconfig": path}
	maps.Copy(k, options)
	return k
}

// site is a handler that is loaded, as one of a running configuration.
type site struct {
	caddyhttp.MiddlewareHandler

	registry *prometheus.Registry
	end      func() // what a reload does to the old one
}

func load(t *testing.T, config object) *site {
	t.Helper()
	s, err := tryLoad(t, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryLoad(t *testing.T, config object) (*site, error) {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err != nil {
		cancel()
		return nil, err
	}
	return &site{module.(caddyhttp.MiddlewareHandler), ctx.GetMetricsRegistry(), cancel}, nil
}

// answer is what came of a request.
type answer struct {
	status   int
	err      error
	upstream http.Header // nil: nothing reached it
	repl     *caddy.Replacer
}

// ask sends a request with these header lines, each "Name: value".
func (s *site) ask(t *testing.T, lines ...string) answer {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://dash.example/", http.NoBody)
	r.RemoteAddr = "192.0.2.7:4711"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	a := answer{status: http.StatusOK, repl: caddy.NewReplacer()}
	r = caddyhttp.PrepareRequest(r, a.repl, nil, nil)
	a.err = s.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		a.upstream = r.Header
		return nil
	}))
	if refused, ok := errors.AsType[caddyhttp.HandlerError](a.err); ok {
		a.status = refused.StatusCode
	} else if a.err != nil {
		t.Fatal(a.err)
	}
	return a
}

// reason is what the log has.
func (a answer) reason() string {
	reason, _ := a.repl.GetString("http.kube_identity.reason")
	return reason
}

// wantUser asks with a bearer token, and compares who the upstream thinks it is, or the
// status. The site injects X-User.
func (s *site) wantUser(t *testing.T, token, user string, status int) {
	t.Helper()
	a := s.ask(t, "Authorization: Bearer "+token)
	if got := a.upstream.Get("X-User"); a.status != status || got != user {
		t.Errorf("status %d, user %q, want %d, %q (%s)", a.status, got, status, user, a.reason())
	}
}

// withUser is the injector for wantUser.
func withUser() []any { return []any{object{"injector": "headers", "user": "X-User"}} }

// goroutinesOf counts the goroutines in which one of these functions is at work.
func goroutinesOf(functions ...string) int {
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	count := 0
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if slices.ContainsFunc(functions, func(f string) bool { return strings.Contains(stack, f) }) {
			count++
		}
	}
	return count
}

// eventually waits, for 5 seconds at most, until something is the case.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(25 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass: %s", what)
		}
	}
}

// ago is a time so many seconds ago, as a claim.
func ago(seconds int64) int64 { return time.Now().Unix() - seconds }
