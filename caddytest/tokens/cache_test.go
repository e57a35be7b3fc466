// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// reload gives Caddy another site, with %[1]s for the same upstream.
func (g *guarded) reload(t *testing.T, site string) {
	t.Helper()
	g.Reload(t, "", fmt.Sprintf(site, g.Upstream.Addr))
}

// goesOn sends a token, and wants it to reach the upstream with exactly this header.
func (g *guarded) goesOn(t *testing.T, path, token string, header http.Header) {
	t.Helper()
	g.Exchange(t, &testhandler.Exchange{Line: "GET /" + path + " HTTP/1.1", Fields: []string{testhandler.Bearer(token)}, Want: header})
}

// isRefused sends a token, and wants it to be refused for this reason.
func (g *guarded) isRefused(t *testing.T, path, token string, status int, reason string) {
	t.Helper()
	g.Exchange(t, &testhandler.Exchange{Line: "GET /" + path + " HTTP/1.1", Fields: []string{testhandler.Bearer(token)}, Status: status, Reason: reason})
}

// wantAsked compares how often the API server was asked about a token.
func wantAsked(t *testing.T, api *testreview.API, want int, when string) {
	t.Helper()
	if got := api.Asked(); got != want {
		t.Fatalf("%s the API server was asked %d times, want %d", when, got, want)
	}
}

func wantFetches(t *testing.T, i *testissuer.Issuer, want int64, when string) {
	t.Helper()
	if got, documents := i.Fetches.Load(), i.Discoveries.Load(); got != want || documents > want {
		t.Fatalf("%s the issuer was asked %d times for its keys and %d times where they are, want %d", when, got, documents, want)
	}
}

const (
	notKnown   = "rejected: reviewing a token: the API server says \"[invalid bearer token, token lookup failed]\""
	notForThis = "rejected: reviewing a token: the API server says \"token audiences are invalid for the target audiences\""
)

func asBearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// A token is verified once, and keys are fetched once, however many requests, tokens and
// sites there are.
func TestTokenIsVerifiedOnce(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes, oidc := api.Kubeconfig(t), oidcBlock(t, issuer)
	config := "authentication_config " + testreview.JSONFile(t, configOf(issuer))
	g := tokenGuard(t, "metrics", "http://:0 {\n"+
		tokenBlock("oidc*", oidc, "inject token")+
		tokenBlock("config*", config, "inject token")+
		tokenBlock("review*", kubernetes, "token_review", "inject token")+
		tokenBlock("more", kubernetes, oidc, "token_review", "inject front_proxy")+
		"\tmetrics /metrics\n\treverse_proxy %[1]s\n}\n")
	const times = 5
	token, opaque := issuer.Token(t, nil), api.Login(carol())
	for range times {
		g.goesOn(t, "oidc", token, asBearer(token))
		g.goesOn(t, "config", token, asBearer(token))
		g.goesOn(t, "review", opaque, asBearer(opaque))
		g.goesOn(t, "more", opaque, http.Header{
			"X-Remote-User": {"carol"}, "X-Remote-Uid": {"uid-of-carol"}, "X-Remote-Group": {"dev"},
			"X-Remote-Extra-Example.org%2fteam": {"a", "b"},
		})
		for _, i := range []int{0, 1} { // new tokens, the same keys
			fresh := issuer.TokenBy(t, issuer.Key(i), nil)
			g.goesOn(t, "oidc", fresh, asBearer(fresh))
			g.goesOn(t, "config", fresh, asBearer(fresh))
		}
	}
	wantAsked(t, api, 1, "after all")
	wantFetches(t, issuer, 2, "by two sources") // they share no keys
	got := g.Send(t, testhandler.TrustedPeer, "GET /metrics HTTP/1.1", nil, "")
	// the first verdict of an issuer is reached before its keys are there, and is not found again
	for cache, least := range map[string]int{"oidc": times - 2, "authentication_config": times - 2, "token_review": 2*times - 1} {
		hits := 0
		for line := range strings.Lines(got.Text) {
			if rest, found := strings.CutPrefix(line, `caddy_kube_identity_cache_requests_total{cache="`+cache+`",result="hit"} `); found {
				_, _ = fmt.Sscan(rest, &hits)
			}
		}
		if hits < least {
			t.Errorf("%s knew %d of the tokens that came again, want %d", cache, hits, least)
		}
	}
}

// Traefik CVE-2026-71326 and the like: one site's verdict on a token decides at another site
// with other requirements.
func TestTokenVerdictsAreNotSharedBetweenAudiences(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes := api.Kubeconfig(t)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("oidc-dash", oidcFor(t, issuer, "audience dash"), "inject token"),
		tokenBlock("oidc-other", oidcFor(t, issuer, "audience other"), "inject token"),
		tokenBlock("oidc-claim", oidcFor(t, issuer, "audience dash", "required_claim tenant a"), "inject token"),
		tokenBlock("config-dash", "authentication_config "+testreview.JSONFile(t, configOf(issuer, "dash")), "inject token"),
		tokenBlock("config-other", "authentication_config "+testreview.JSONFile(t, configOf(issuer, "other")), "inject token"),
		tokenBlock("review-dash", kubernetes, "token_review {\n audience dash\n}", "inject token"),
		tokenBlock("review-other", kubernetes, "token_review {\n audience other\n}", "inject token"),
		tokenBlock("review", kubernetes, "token_review", "inject token"),
	))
	for range 2 {
		for _, good := range []string{"dash", "other"} {
			bad := map[string]string{"dash": "other", "other": "dash"}[good]
			elsewhere := fmt.Sprintf("rejected: the token is for another audience: %q", good)
			for _, order := range [][]string{{good, bad, good}, {bad, good, bad}} {
				jwt, user := issuer.Token(t, map[string]any{"aud": good}), carol()
				user.Audiences = []string{good}
				opaque, before := api.Login(user), api.Asked()
				for _, site := range order {
					if site == good {
						g.goesOn(t, "oidc-"+site, jwt, asBearer(jwt))
						g.goesOn(t, "config-"+site, jwt, asBearer(jwt))
						g.goesOn(t, "review-"+site, opaque, asBearer(opaque))
						continue
					}
					g.isRefused(t, "oidc-"+site, jwt, 401, elsewhere)
					g.isRefused(t, "config-"+site, jwt, 401, elsewhere)
					g.isRefused(t, "review-"+site, opaque, 401, notForThis)
				}
				g.goesOn(t, "review", opaque, asBearer(opaque))
				wantAsked(t, api, before+3, "by three sites with other audiences")
				if good == "dash" {
					g.isRefused(t, "oidc-claim", jwt, 401, `rejected: the claim "tenant" is not the required value`)
				}
			}
		}
	}
	reviews, _ := api.Calls()
	for _, call := range reviews {
		if len(call.Audiences) > 1 || len(call.Audiences) == 1 && !slices.Contains([]string{"dash", "other"}, call.Audiences[0]) {
			t.Errorf("the API server was asked for the audiences %q", call.Audiences)
		}
	}
}

// A kept verdict says who the user is, not whether the policy allows the user: an operator
// who denies a user must not have to wait.
func TestTokenPolicyAppliesToKeptVerdicts(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes, oidc, inject := api.Kubeconfig(t), oidcBlock(t, issuer), "inject front_proxy"
	review := "token_review {\n cache_ttl 1h\n}"
	config := "authentication_config " + testreview.JSONFile(t, configOf(issuer))
	site := func(policy string) string {
		return tokenSite(
			tokenBlock("oidc", kubernetes, oidc, policy, inject),
			tokenBlock("config", kubernetes, config, policy, inject),
			tokenBlock("review", kubernetes, review, policy, inject),
		)
	}
	g := tokenGuard(t, "", site(""))
	token, opaque := issuer.Token(t, nil), api.Login(carol())
	headers := injectors(t, api)
	frontProxy := headers[len(headers)-1].writes
	all := func(t *testing.T) {
		t.Helper()
		g.goesOn(t, "oidc", token, frontProxy(byOIDC(t, token)))
		g.goesOn(t, "config", token, frontProxy(byConfig(t, token)))
		g.goesOn(t, "review", opaque, frontProxy(byReview(opaque)))
	}
	all(t)
	g.reload(t, site("deny_users oidc:alice cfg:al* carol"))
	g.isRefused(t, "oidc", token, 403, `forbidden: user "oidc:alice" is denied`)
	g.isRefused(t, "config", token, 403, `forbidden: user "cfg:alice" is denied`)
	g.isRefused(t, "review", opaque, 403, `forbidden: user "carol" is denied`)
	g.reload(t, site("deny_groups oidc:ops cfg:ops dev"))
	g.isRefused(t, "oidc", token, 403, `forbidden: group "oidc:ops" is denied`)
	g.isRefused(t, "config", token, 403, `forbidden: group "cfg:ops" is denied`)
	g.isRefused(t, "review", opaque, 403, `forbidden: group "dev" is denied`)
	g.reload(t, site("allow_groups none"))
	g.goesOn(t, "oidc", token, without(frontProxy(byOIDC(t, token)), "X-Remote-Group"))
	g.goesOn(t, "review", opaque, without(frontProxy(byReview(opaque)), "X-Remote-Group"))
	g.reload(t, site("")) // the verdict still has the groups that a policy left out
	all(t)
	wantAsked(t, api, 1, "after five configurations")
	wantFetches(t, issuer, 2, "after five configurations")
}

func without(header http.Header, field string) http.Header {
	header = header.Clone()
	header.Del(field)
	return header
}

// Verdicts survive a reload if the settings that they depend on stay the same, and only
// then.
func TestTokenVerdictsSurviveOnlyAReloadWithEqualSettings(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes := api.Kubeconfig(t)
	trust := "trust_pool file " + testpki.PEMFile(t, issuer.CA)
	site := func(audience, more string) string {
		block := "oidc " + issuer.URL + " {\n audience " + audience + "\n " + trust + "\n}"
		return tokenSite(
			tokenBlock("oidc", block, more, "inject token"),
			tokenBlock("review", kubernetes, "token_review {\n audience "+audience+"\n cache_ttl 1h\n}", more, "inject token"),
		)
	}
	g := tokenGuard(t, "", site("dash", ""))
	token, opaque := issuer.Token(t, nil), api.Login(carol())
	both := func() {
		t.Helper()
		g.goesOn(t, "oidc", token, asBearer(token))
		g.goesOn(t, "review", opaque, asBearer(opaque))
	}
	both()
	for _, more := range []string{"max_groups 100", "keep_streams", "client_impersonation reject", "strip_headers X-More"} {
		g.reload(t, site("dash", more))
		both()
	}
	wantAsked(t, api, 1, "after reloads with equal settings")
	wantFetches(t, issuer, 1, "after reloads with equal settings")

	g.reload(t, site("other", ""))
	g.isRefused(t, "oidc", token, 401, `rejected: the token is for another audience: "dash"`)
	g.isRefused(t, "review", opaque, 401, notForThis)
	wantAsked(t, api, 2, "for another audience")
	g.reload(t, site("dash", "")) // the first one's verdict is gone
	both()
	wantAsked(t, api, 3, "for the first audience again")
	wantFetches(t, issuer, 3, "for three configurations")
}

// How long a verdict is believed, for each way in which it can end.
func TestTokenVerdictsEnd(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes := api.Kubeconfig(t)
	const ttl = 2 * time.Second
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("short", kubernetes, "token_review {\n cache_ttl 2s\n negative_cache_ttl 2s\n}", "inject token"),
		tokenBlock("long", kubernetes, "token_review {\n cache_ttl 1h\n negative_cache_ttl 1h\n}", "inject token"),
		tokenBlock("oidc", oidcBlock(t, issuer, "clock_skew 2s"), "inject token"),
		tokenBlock("user", oidcBlock(t, issuer, "clock_skew 2s"), "inject headers {\n user X-App-User\n}"),
		tokenBlock("config", "authentication_config "+testreview.JSONFile(t, configOf(issuer)), "inject token"),
	))
	user := http.Header{"X-App-User": {"oidc:alice"}}
	kept, revoked := api.Login(carol()), api.Login(carol())
	late := secret(t, "opaque-"+rand.Text()) // good only later
	start := time.Now()
	exp := start.Add(3 * time.Second).Truncate(time.Second)
	ending := api.Know(issuer.Token(t, map[string]any{"exp": exp.Unix()}), carol())
	g.goesOn(t, "short", kept, asBearer(kept))
	g.goesOn(t, "short", revoked, asBearer(revoked))
	g.goesOn(t, "long", revoked, asBearer(revoked))
	g.isRefused(t, "short", late, 401, notKnown)
	for _, path := range []string{"long", "oidc", "config"} {
		g.goesOn(t, path, ending, asBearer(ending))
	}
	g.goesOn(t, "user", ending, user)
	wantAsked(t, api, 5, "at first")
	api.Revoke(revoked)
	api.Know(late, carol())
	if time.Since(start) > ttl {
		t.Fatal("this machine is too slow for the times of this test")
	}
	g.goesOn(t, "short", kept, asBearer(kept))
	g.goesOn(t, "short", revoked, asBearer(revoked)) // for as long as cache_ttl says
	g.isRefused(t, "short", late, 401, notKnown)
	if asked := api.Asked(); time.Since(start) < ttl && asked != 5 {
		t.Errorf("within cache_ttl the API server was asked %d times", asked)
	}

	time.Sleep(time.Until(start.Add(2*ttl + 100*time.Millisecond))) // after exp, within the skew of oidc or just after
	g.goesOn(t, "short", kept, asBearer(kept))
	g.isRefused(t, "short", revoked, 401, notKnown)
	g.goesOn(t, "short", late, asBearer(late))
	g.goesOn(t, "long", revoked, asBearer(revoked))
	wantAsked(t, api, 8, "after cache_ttl")
	g.isRefused(t, "long", ending, 401, "rejected: reviewing a token: it expired at…")
	g.isRefused(t, "config", ending, 401, "rejected: the token expired …")
	if time.Until(exp.Add(2*time.Second)) > 300*time.Millisecond {
		g.goesOn(t, "user", ending, user)
		g.isRefused(t, "oidc", ending, 401, "rejected: the credential has expired") // it would go upstream
	}
	time.Sleep(time.Until(exp.Add(2*time.Second + 50*time.Millisecond)))
	g.isRefused(t, "oidc", ending, 401, "rejected: the token expired …")
}

// The file of authentication_config is read again when it changes, and the verdicts under
// the last file end. A bad file changes nothing.
func TestTokenVerdictsEndWithTheFile(t *testing.T) {
	issuer := newIssuer(t)
	file := testreview.JSONFile(t, configOf(issuer))
	write := func(content any) {
		t.Helper()
		encoded, err := json.Marshal(content)
		if err == nil {
			err = os.WriteFile(file, encoded, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", "authentication_config "+file, "inject token")))
	token := issuer.Token(t, nil)
	g.goesOn(t, "", token, asBearer(token))
	soon := func() { time.Sleep(1200 * time.Millisecond) } // files are checked once a second
	write(map[string]any{"kind": "AuthenticationConfiguration"})
	soon()
	g.goesOn(t, "", token, asBearer(token))
	g.goesOn(t, "", token, asBearer(token))
	write(configOf(issuer, "other"))
	soon()
	g.isRefused(t, "", token, 401, `rejected: the token is for another audience: "dash"`)
	write(configOf(issuer, "other", "dash"))
	soon()
	g.goesOn(t, "", token, asBearer(token))
	wantFetches(t, issuer, 1, "with four files of one issuer")
	if !strings.Contains(g.LogText(t), "keeping the last good file") {
		t.Error("the log does not say that the file is bad")
	}
}

// A request that arrives while the file of authentication_config changes is decided by the
// old file. Its verdict must not be found under the new file: otherwise a user whose issuer
// is no longer trusted would be let in for as long as verdicts are kept. Long tokens take
// long to read, which makes it likely that one of them is being verified during the change.
func TestTokenVerdictsOfTheLastFileAreNotFoundUnderTheNext(t *testing.T) {
	issuer := newIssuer(t)
	content := func(audience string) []byte {
		encoded, err := json.Marshal(configOf(issuer, audience))
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	file := testreview.JSONFile(t, configOf(issuer))
	g := testhandler.Guard(t, "", tokenSite(tokenBlock("*", "authentication_config "+file, "inject front_proxy")))
	long := make([]any, 900)
	for n := range long {
		long[n] = map[string]any{"a": n}
	}
	var tokens [800]string
	for n := range tokens {
		tokens[n] = issuer.Key(1).Sign(map[string]any{"alg": "ES256", "kid": "ec"}, issuer.Claims(map[string]any{"long": long}))
	}
	var sent atomic.Int64
	next := func() string { return tokens[int(sent.Add(1))%len(tokens)] }
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	good := func(token string) bool {
		return requestWith(t.Context(), transport, "http://"+g.Addr+"/", token) == nil
	}
	for range 5 {
		replaceFile(t, file, content("dash"))
		testhandler.WaitUntil(t, "the issuer is trusted", func() bool { return good(next()) })
		var running sync.WaitGroup
		var accepted sync.Map
		time.AfterFunc(200*time.Millisecond, func() { _ = os.WriteFile(file, content("other"), 0o600) })
		for range 16 {
			running.Go(func() {
				for token := next(); good(token); token = next() {
					accepted.Store(token, nil)
				}
			})
		}
		running.Wait() // each has seen that the issuer is no longer trusted
		accepted.Range(func(token, _ any) bool {
			if good(token.(string)) {
				t.Error("a token is accepted by a file that was replaced")
			}
			return true
		})
	}
	g.Upstream.Take()
}
