// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// fails loads a site that must not load. Caddy returns to the one before.
func (g *guarded) fails(t *testing.T, site string) {
	t.Helper()
	options := fmt.Sprintf("{\n admin off\n persist_config off\n auto_https off\n default_bind 127.0.0.1\n storage file_system %q\n}\n",
		filepath.Join(t.TempDir(), "storage"))
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(options+fmt.Sprintf(site, g.Upstream.Addr)), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("it is refused before it is loaded: %v", err)
	}
	if err := caddy.Load(config, true); err == nil {
		t.Fatal("a configuration that cannot work is loaded")
	}
}

// A configuration that does not load must not change the running one: its token, its keys
// and its verdicts stay, and nothing is asked again.
func TestTokenConfigurationThatDoesNotLoad(t *testing.T) {
	issuer, other, api := newIssuer(t), newIssuer(t), newAPI(t)
	kubernetes, oidc := api.Kubeconfig(t), oidcBlock(t, issuer)
	account := "inject impersonation {\n service_account kube-system/caddy\n}"
	port := freeport.Ports(t, 1)[0] // Caddy does not tell where it listens after it returns
	site := func(more string) string {
		return "http://:" + port + " {\n" + tokenBlock("oidc", kubernetes, oidc, account) +
			tokenBlock("review", kubernetes, "token_review {\n cache_ttl 1h\n}", account) + more + "\treverse_proxy %[1]s\n}\n"
	}
	g := tokenGuard(t, "", site(""))
	token, opaque := issuer.Token(t, nil), api.Login(carol())
	both := func() {
		t.Helper()
		own := "Bearer " + api.Tokens()[0]
		g.goesOn(t, "oidc", token, http.Header{"Authorization": {own}, "Impersonate-User": {"oidc:alice"}, "Impersonate-Group": {"oidc:dev", "oidc:ops"}})
		g.goesOn(t, "review", opaque, http.Header{"Authorization": {own}, "Impersonate-User": {"carol"}, "Impersonate-Group": {"dev"}})
	}
	if got := g.Send(t, testhandler.TrustedPeer, "GET /oidc HTTP/1.1", []string{testhandler.Bearer(token)}, ""); got.Status != http.StatusOK {
		t.Fatalf("status %d, %s", got.Status, g.lastRefusal(t))
	}
	g.Upstream.Take()
	both()
	for range 5 {
		g.fails(t, site(tokenBlock("more", kubernetes, oidcBlock(t, other), account, "pass_authorization"))) // after all is provisioned
		g.fails(t, site(tokenBlock("more", kubernetes, oidc, "inject token", "client_impersonation review")))
		g.fails(t, site(tokenBlock("more", "kubernetes {\n kubeconfig /none\n}", "token_review", account))) // half a Provision
		both()
	}
	reviews, requests := api.Calls()
	if len(reviews) != 1 || len(requests) != 1 {
		t.Errorf("the API server was asked about %d tokens, and for %d of its own", len(reviews), len(requests))
	}
	wantFetches(t, issuer, 1, "after configurations that did not load")
}

// State that no site uses asks for nothing a while after its last site: until then, requests
// that were under way at the reload may need it.
func TestTokenStateEndsWithItsLastSite(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	api.Lives(4 * time.Second) // is replaced after 2 s
	kubernetes := api.Kubeconfig(t)
	block := tokenBlock("*", kubernetes, oidcBlock(t, issuer), "inject impersonation {\n service_account kube-system/caddy\n}")
	g := tokenGuard(t, "", tokenSite(block))
	token := issuer.Token(t, nil)
	ask := func() {
		t.Helper()
		if got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", []string{testhandler.Bearer(token)}, ""); got.Status != http.StatusOK {
			t.Fatalf("status %d, %s", got.Status, g.lastRefusal(t))
		}
	}
	ask()
	g.reload(t, "http://:0 {\n\trespond 204 # and not %[1]s\n}\n")
	time.Sleep(16 * time.Second)
	_, before := api.Calls()
	time.Sleep(5 * time.Second)
	if _, after := api.Calls(); len(after) != len(before) {
		t.Errorf("without a site that needs it a token was asked for %d times", len(after)-len(before))
	}
	g.reload(t, tokenSite(block))
	ask()
	if _, after := api.Calls(); len(after) != len(before)+1 {
		t.Errorf("with a site that needs it again a token was asked for %d times", len(after)-len(before))
	}
	wantFetches(t, issuer, 2, "by one site twice")
	g.Upstream.Take()
}

// Another API server knows other tokens. The verdicts of the last one do not count.
func TestTokenVerdictsAreNotSharedBetweenAPIServers(t *testing.T) {
	one, two := newAPI(t), newAPI(t)
	site := func(api *testreview.API) string {
		return tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review {\n cache_ttl 1h\n negative_cache_ttl 1h\n}", "inject front_proxy"))
	}
	token := one.Login(testreview.User{Username: "carol"})
	g := tokenGuard(t, "", site(one))
	carol, dave := http.Header{"X-Remote-User": {"carol"}}, http.Header{"X-Remote-User": {"dave"}}
	g.goesOn(t, "", token, carol)
	g.reload(t, site(two))
	g.isRefused(t, "", token, 401, notKnown)
	two.Know(token, testreview.User{Username: "dave"})
	g.reload(t, site(one))
	g.goesOn(t, "", token, carol)
	g.reload(t, site(two))
	g.goesOn(t, "", token, dave)
	if one.Asked() != 2 || two.Asked() != 2 {
		t.Errorf("the API servers were asked %d and %d times", one.Asked(), two.Asked())
	}
}

// A reload waits for no network, neither for the new configuration's nor for the old one's.
func TestTokenReloadWhileAllServersHang(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	issuer.Answers(hang, hang)
	api.Answers(hang, hang)
	kubernetes := api.Kubeconfig(t)
	config := "authentication_config " + testreview.JSONFile(t, configOf(issuer))
	site := func(name string) string {
		return tokenSite(
			tokenBlock("review", kubernetes, "token_review {\n audience "+name+"\n}", "inject front_proxy"),
			tokenBlock("config", config, "inject token"),
			tokenBlock("oidc", kubernetes, oidcFor(t, issuer, "audience "+name), "inject impersonation {\n service_account a/b {\n audience "+name+"\n}\n}"),
		)
	}
	g := tokenGuard(t, "", site("a"))
	for _, name := range []string{"b", "c", "d"} {
		for _, path := range []string{"review", "config", "oidc"} { // the test does not wait for the answers
			testhandler.WriteRequest(t, g.Dial(t, testhandler.TrustedPeer), "GET /"+path+" HTTP/1.1", []string{testhandler.Bearer(issuer.Token(t, nil))}, "")
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		g.reload(t, site(name))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("a reload took %v", took)
		}
	}
	g.CheckNothing(t)
}

// slowly delays the answers of the API server and the issuer by a second.
func slowly(issuer *testissuer.Issuer, api *testreview.API) {
	issuer.Answers(nil, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{issuer.Key(0).JWK()}})
	})
	api.Answers(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		answerOf(`{"authenticated":true,"user":{"username":"carol"}}`)(w, r)
	}, nil)
}

// Caddy lets requests under the old configuration finish while the new one runs: a reload,
// with any change, must not refuse requests that wait for a verdict.
func TestTokenRequestsOutliveAReload(t *testing.T) {
	for name, other := range map[string]struct{ review, oidc, account string }{
		"of another site":           {},
		"that changes token_review": {review: "cache_ttl 20s"},
		"that changes oidc":         {oidc: "clock_skew 20s"},
		"that changes the account":  {account: "expiration 30m"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, api := newIssuer(t), newAPI(t)
			slowly(issuer, api)
			kubernetes, trust := api.Kubeconfig(t), "trust_pool file "+testpki.PEMFile(t, issuer.CA)
			site := func(review, oidc, account string) string {
				inject := "inject impersonation {\n service_account a/b {\n" + account + "\n}\n}"
				return tokenSite(
					tokenBlock("review", kubernetes, "token_review {\n"+review+"\n}", inject),
					tokenBlock("oidc", kubernetes, "oidc "+issuer.URL+" {\n username_claim sub -\n audience dash\n"+trust+"\n"+oidc+"\n}", inject),
				)
			}
			g := tokenGuard(t, "", site("", "", ""))
			conns := map[string]net.Conn{"carol": g.Dial(t, testhandler.TrustedPeer), "alice": g.Dial(t, testhandler.TrustedPeer)}
			testhandler.WriteRequest(t, conns["carol"], "GET /review HTTP/1.1", []string{testhandler.Bearer(api.Login(carol()))}, "")
			testhandler.WriteRequest(t, conns["alice"], "GET /oidc HTTP/1.1", []string{testhandler.Bearer(issuer.Token(t, nil))}, "")
			time.Sleep(300 * time.Millisecond)
			first := api.LastToken()
			g.reload(t, site(other.review, other.oidc, other.account))
			for user, conn := range conns {
				if got := testhandler.ReadReply(t, bufio.NewReader(conn), "GET / HTTP/1.1"); got.Status != http.StatusOK {
					t.Errorf("a request of %s's that came before the reload gets %d: %s", user, got.Status, g.lastRefusal(t))
				}
			}
			for _, r := range g.Upstream.Take() {
				user := map[string]string{"GET /review HTTP/1.1": "carol", "GET /oidc HTTP/1.1": "alice"}[r.Line]
				want := testhandler.Proxied(testhandler.TrustedPeer, http.Header{"Authorization": {"Bearer " + first}, "Impersonate-User": {user}})
				if !reflect.DeepEqual(r.Header, want) {
					t.Errorf("the upstream received\n%v\nwant\n%v", r.Header, want)
				}
			}
		})
	}
}

// An operator whose API server hangs shortens the timeout and reloads. The new timeout must
// count at once, although the old configuration's client is kept with its state.
func TestTokenTimeoutThatIsChangedByAReload(t *testing.T) {
	api := newAPI(t)
	kubeconfig := api.Kubeconfig(t, "timeout 9s")
	shorter := kubeconfig[:len(kubeconfig)-len("timeout 9s\n\t\t}")] + "timeout 1s\n\t\t}"
	site := func(kubernetes string) string {
		return tokenSite(tokenBlock("*", kubernetes, "token_review", "inject token"))
	}
	g := tokenGuard(t, "", site(kubeconfig))
	token := api.Login(carol())
	g.goesOn(t, "", token, asBearer(token))
	api.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
	g.reload(t, site(shorter))
	g.askWhile(t, "", api.Login(carol()), "no answer within 1s", 5*time.Second)
}

// A credential that no source of tokens knows does not keep the other sources from deciding,
// and is not forwarded.
func TestTokenThatNoSourceKnowsBesideAnotherCredential(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*",
		"trusted_proxies static "+testhandler.TrustedPeer, oidcBlock(t, issuer), "forwarded {\n user X-Forwarded-User\n}",
		"inject impersonation {\n token_file "+testhandler.TokenFile(t)+"\n}",
	)))
	elsewhere := issuer.Token(t, map[string]any{"iss": "https://elsewhere.example"})
	for name, line := range map[string]string{
		"a password": "Authorization: Basic YTpi", "one of an unknown issuer": testhandler.Bearer(elsewhere), "nothing": "Authorization:",
	} {
		t.Run(name, func(t *testing.T) {
			g.Exchange(t, &testhandler.Exchange{Fields: testhandler.AliceAnd(line), Want: testhandler.As("alice")})
			g.Exchange(t, &testhandler.Exchange{From: testhandler.StrangerPeer, Fields: testhandler.AliceAnd(line), Status: 401, Reason: "rejected: no source accepts what is in Authorization…"})
		})
	}
	g.Exchange(t, &testhandler.Exchange{Fields: testhandler.AliceAnd(testhandler.Bearer(issuer.Token(t, map[string]any{"exp": 1}))), Status: 401, Reason: "rejected: the token expired…"})
	g.Exchange(t, &testhandler.Exchange{Fields: slices.Concat(testhandler.AliceAnd("Authorization: Bearer a b")), Status: 400, Reason: "malformed: the value after Bearer is not a token"})
}
