// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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

// untilOn sends new tokens until they are accepted, for at most within. Earlier ones must be
// refused with 503.
func (g *guarded) untilOn(t *testing.T, path string, token func() string, within time.Duration) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		mine := token()
		got := g.Send(t, testhandler.TrustedPeer, "GET /"+path+" HTTP/1.1", []string{testhandler.Bearer(mine)}, "")
		if got.Status == http.StatusOK {
			break
		}
		if got.Status != http.StatusServiceUnavailable || time.Since(start) > within {
			t.Fatalf("after %v: status %d: %+v", time.Since(start), got.Status, g.lastRefusal(t))
		}
		g.CheckNothing(t)
	}
	g.Refused = len(g.Refusals(t))
	g.Upstream.Take()
}

func (g *guarded) lastRefusal(t *testing.T) string {
	t.Helper()
	refusals := g.Refusals(t)
	if len(refusals) == 0 {
		return "nothing was refused"
	}
	return refusals[len(refusals)-1].Reason
}

// askWhile sends a request to the site of a hanging or broken server, and wants 503 within a
// time, with nothing for the upstream and no reason for the client.
func (g *guarded) askWhile(t *testing.T, path, token, reason string, within time.Duration) {
	t.Helper()
	start := time.Now()
	got := g.Send(t, testhandler.TrustedPeer, "GET /"+path+" HTTP/1.1", []string{testhandler.Bearer(token)}, "")
	if took := time.Since(start); took > within {
		t.Errorf("it took %v", took)
	}
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "5" || got.Text != "" {
		t.Errorf("the client gets %d %v %q", got.Status, got.Header, got.Text)
	}
	if !strings.HasPrefix(g.lastRefusal(t), "unavailable: ") || !strings.Contains(g.lastRefusal(t), reason) {
		t.Errorf("refused: %s\nwant: %s", g.lastRefusal(t), reason)
	}
	g.Refused = len(g.Refusals(t))
	g.CheckNothing(t)
}

// An issuer that is out of reach stops neither Caddy nor the other issuers, and needs no
// restart once it is back. The keys that it published before stay good.
func TestTokenIssuerIsAway(t *testing.T) {
	here, away := newIssuer(t), newIssuer(t)
	away.Stop()
	config := configOf(here)
	config["jwt"] = append(config["jwt"].([]any), configOf(away)["jwt"].([]any)...)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("oidc", oidcBlock(t, away), oidcBlock(t, here), "inject token"),
		tokenBlock("config", "authentication_config "+testreview.JSONFile(t, config), "inject token"),
	))
	fresh := func(i *testissuer.Issuer) func() string { return func() string { return i.Token(t, nil) } }
	for _, path := range []string{"oidc", "config"} {
		token := fresh(here)()
		g.goesOn(t, path, token, asBearer(token))
		token = fresh(away)()
		g.askWhile(t, path, token, "there are no keys of the issuer: discovering where the keys are: ", 5*time.Second)
		g.askWhile(t, path, token, "connect: connection refused", 5*time.Second)
		g.isRefused(t, path, away.Token(t, map[string]any{"exp": 1}), 401, "rejected: the token expired …") // which needs no key
	}
	away.Start(t)
	g.untilOn(t, "oidc", fresh(away), 15*time.Second)
	g.untilOn(t, "config", fresh(away), 15*time.Second)

	here.Stop()
	away.Stop()
	for _, path := range []string{"oidc", "config"} {
		for _, i := range []*testissuer.Issuer{here, away} {
			token := fresh(i)()
			g.goesOn(t, path, token, asBearer(token))
		}
	}
	// the kid is unknown: it may be a new key's, which cannot be found out now
	time.Sleep(10 * time.Second)
	g.askWhile(t, "oidc", here.TokenBy(t, testissuer.RSA("new", 1), nil), "the issuer has no such key, and newer keys could not be fetched", 5*time.Second)
	g.isRefused(t, "oidc", here.TokenBy(t, testissuer.RSA("rsa", 1), nil), 401, "rejected: the token is not signed by a key of the issuer")
	for _, i := range []*testissuer.Issuer{here, away} {
		token := fresh(i)()
		g.goesOn(t, "oidc", token, asBearer(token))
	}
}

// A key that the issuer has published since is accepted at once, and a key that it has
// withdrawn is not, not even for tokens that were accepted before.
func TestTokenIssuerRotatesItsKeys(t *testing.T) {
	issuer := newIssuer(t)
	file := map[string]any{"keys": []any{issuer.Key(0).JWK(), issuer.Key(1).JWK()}}
	path := testreview.JSONFile(t, file)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("oidc", oidcBlock(t, issuer), "inject token"),
		tokenBlock("config", "authentication_config "+testreview.JSONFile(t, configOf(issuer)), "inject token"),
		tokenBlock("file", "oidc "+issuer.URL+" {\n audience dash\n jwks_file "+path+"\n}", "inject token"),
	))
	old, other, fresh := issuer.Key(0), issuer.Key(1), testissuer.RSA("fresh", 1)
	sites := []string{"oidc", "config", "file"}
	cached := issuer.TokenBy(t, old, nil)
	for _, site := range sites {
		g.goesOn(t, site, cached, asBearer(cached))
		g.goesOn(t, site, cached, asBearer(cached))
	}
	time.Sleep(10 * time.Second) // before that no token causes another fetch
	for _, site := range sites {
		g.goesOn(t, site, cached, asBearer(cached))
	}
	issuer.Publish(fresh, other)
	file["keys"] = []any{fresh.JWK(), other.JWK()}
	encoded, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	replaceFile(t, path, encoded)
	time.Sleep(1200 * time.Millisecond) // the file is checked once a second
	const gone = `rejected: the issuer has no such key: "rsa"`
	for _, site := range sites {
		for range 2 {
			token := issuer.TokenBy(t, fresh, nil)
			g.goesOn(t, site, token, asBearer(token))
		}
		g.isRefused(t, site, cached, 401, gone)
		g.isRefused(t, site, issuer.TokenBy(t, old, nil), 401, gone)
		token := issuer.TokenBy(t, other, nil)
		g.goesOn(t, site, token, asBearer(token))
	}
	wantFetches(t, issuer, 4, "by two sources, before and after")
	g.isRefused(t, "oidc", issuer.TokenBy(t, &testissuer.Key{ID: "fresh", Alg: "RS256", Private: old.Private}, nil), 401, "rejected: the token is not signed by a key of the issuer")
}

// The keys of an issuer have been stolen, and it withdraws all of them: by an empty list, or by
// a list of keys that cannot be used. Its tokens are refused, also those that were accepted
// before and those of the thief. The last good keys were used for another day.
func TestTokenIssuerWithdrawsAllItsKeys(t *testing.T) {
	for name, emptied := range map[string]string{
		"an empty list":         `{"keys":[]}`,
		"keys that are secrets": `{"keys":[{"kty":"oct","kid":"rsa","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			path := testreview.JSONFile(t, map[string]any{"keys": []any{issuer.Key(0).JWK()}})
			g := tokenGuard(t, "", tokenSite(
				tokenBlock("oidc", oidcBlock(t, issuer), "inject token"),
				tokenBlock("url", oidcBlock(t, issuer, "jwks_url "+issuer.URL+"/keys"), "inject token"),
				tokenBlock("config", "authentication_config "+testreview.JSONFile(t, configOf(issuer)), "inject token"),
				tokenBlock("file", "oidc "+issuer.URL+" {\n audience dash\n jwks_file "+path+"\n}", "inject token"),
			))
			sites := []string{"oidc", "url", "config", "file"}
			for _, site := range sites {
				token := issuer.Token(t, nil)
				g.goesOn(t, site, token, asBearer(token))
			}
			issuer.Answers(nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(emptied)) })
			replaceFile(t, path, []byte(emptied))
			time.Sleep(10 * time.Second) // before that no token causes another fetch
			for _, site := range sites {
				accepted := issuer.Token(t, nil)
				if site != "file" { // which has been read again by now
					g.goesOn(t, site, accepted, asBearer(accepted))
				}
				const gone = "rejected: the issuer has no such key: it publishes no key that can be used"
				g.isRefused(t, site, issuer.TokenBy(t, testissuer.RSA("new", 1), nil), 401, gone)
				g.isRefused(t, site, accepted, 401, gone)
				g.isRefused(t, site, issuer.Token(t, nil), 401, gone)
			}
		})
	}
}

// brokenIssuers are answers without keys, with the reason in the log.
func brokenIssuers(t *testing.T) map[string]func(i *testissuer.Issuer) (discovery, jwks http.HandlerFunc, reason string) {
	t.Helper()
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	document := func(issuer, keys string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { (*testissuer.Issuer)(nil).Document(w, issuer, keys) }
	}
	both := func(answer http.HandlerFunc, reason string) func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
		return func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) { return answer, answer, reason }
	}
	keys := func(answer http.HandlerFunc, reason string) func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
		return func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) { return nil, answer, reason }
	}
	return map[string]func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string){
		"a page":                both(body(200, "<html>maintenance</html>"), "it is not a JSON object"),
		"an error":              both(body(500, "{}"), "status 500"),
		"nothing there":         both(http.NotFound, "status 404"),
		"too much":              both(body(200, `{"issuer":"`+strings.Repeat("a", 1<<20)+`"}`), "the answer is larger than 262144 bytes"),
		"nothing at all":        both(body(200, ""), "it is not a JSON object"),
		"keys on a page":        keys(body(200, "<html>maintenance</html>"), "fetching keys from "),
		"keys that are too big": keys(body(200, `{"keys":[`+strings.Repeat(" ", 4<<20)+`]}`), "the answer is larger than "),
		"an error for the keys": keys(body(503, `{"keys":[]}`), "status 503"),
		"no list of keys":       keys(body(200, `{"error":"unavailable"}`), "fetching keys from "),
		"half the keys":         keys(body(200, `{"keys":[{"kty":"RSA","kid":"rsa"`), "fetching keys from "),
		"another issuer": func(i *testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
			return document("https://evil.example", i.URL+"/keys"), nil, `it belongs to the issuer "https://evil.example"`
		},
		"keys over plain http": func(i *testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
			return document(i.URL, "http://192.0.2.1/keys"), nil, "its jwks_uri: "
		},
		"keys in a file": func(i *testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
			return document(i.URL, "file:///etc/passwd"), nil, "its jwks_uri: "
		},
	}
}

// Issuers that answer with anything but keys: 503 for their tokens, nothing forwarded, and
// good tokens as soon as the issuers work again. All are asked through one Caddy, so that
// the test waits once.
func TestTokenIssuerIsBroken(t *testing.T) {
	var elsewhere atomic.Int64
	other := newIssuer(t)
	other.Answers(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	faults := brokenIssuers(t)
	faults["a redirect to another"] = func(*testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
		answer := func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		}
		return answer, answer, "status 302"
	}
	faults["keys that are redirected"] = func(i *testissuer.Issuer) (http.HandlerFunc, http.HandlerFunc, string) {
		return nil, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, i.URL+"/.well-known/openid-configuration", http.StatusPermanentRedirect)
		}, "status 308"
	}
	type broken struct {
		name, path, reason string
		issuer             *testissuer.Issuer
	}
	var all []broken
	var blocks []string
	for name, fault := range faults {
		b := broken{name: name, path: fmt.Sprintf("at-%d", len(all)), issuer: newIssuer(t)}
		var discovery, jwks http.HandlerFunc
		discovery, jwks, b.reason = fault(b.issuer)
		b.issuer.Answers(discovery, jwks)
		all = append(all, b)
		blocks = append(blocks, tokenBlock(b.path, oidcBlock(t, b.issuer), onFailure, "inject front_proxy"))
	}
	untrusted := broken{"a certificate by another CA", "untrusted", "the certificate is not issued by a trusted CA", newIssuer(t)}
	own := untrusted.issuer.CA
	untrusted.issuer.CA = testpki.NewCA(t, nil, "another CA", nil)
	all = append(all, untrusted)
	blocks = append(blocks, tokenBlock(untrusted.path, oidcBlock(t, untrusted.issuer), onFailure, "inject front_proxy"))
	untrusted.issuer.CA = own
	g := tokenGuard(t, "", tokenSite(blocks...))
	for _, b := range all {
		t.Run(b.name, func(t *testing.T) {
			g.askWhile(t, b.path, b.issuer.Token(t, nil), b.reason, 5*time.Second)
			g.askWhile(t, b.path, b.issuer.TokenBy(t, b.issuer.Key(1), nil), b.reason, 5*time.Second)
		})
		b.issuer.Answers(nil, nil)
	}
	for _, b := range all {
		if b.path != untrusted.path {
			g.untilOn(t, b.path, func() string { return b.issuer.Token(t, nil) }, 20*time.Second)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// A slow issuer: requests that need its keys wait, but not for ever, and others do not wait.
// If it then publishes a bad key set, the last good one stays.
func TestTokenIssuerHangs(t *testing.T) {
	slow, hangs, here := newIssuer(t), newIssuer(t), newIssuer(t)
	slow.Answers(nil, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{slow.Key(0).JWK()}})
	})
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	hangs.Answers(hang, hang)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", oidcBlock(t, slow), oidcBlock(t, hangs), oidcBlock(t, here), onFailure, "inject token")))
	token := slow.Token(t, nil)
	g.goesOn(t, "", token, asBearer(token))
	var waiting sync.WaitGroup
	start := time.Now()
	conn := g.Dial(t, testhandler.TrustedPeer)
	testhandler.WriteRequest(t, conn, "GET / HTTP/1.1", []string{testhandler.Bearer(hangs.Token(t, nil)), "Connection: close"}, "")
	waiting.Go(func() { // the answer comes once the fetch is given up
		buffer := make([]byte, len("HTTP/1.1 503"))
		if _, err := conn.Read(buffer); err != nil || string(buffer) != "HTTP/1.1 503" {
			t.Errorf("the client gets %q, %v", buffer, err)
		}
		if waited := time.Since(start); waited > 15*time.Second {
			t.Errorf("the client waited for %v", waited)
		}
	})
	for range 3 {
		began := time.Now()
		token := here.Token(t, nil)
		g.goesOn(t, "", token, asBearer(token))
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("with another issuer that hangs it took %v", took)
		}
	}
	waiting.Wait()
	g.CheckNothing(t)
	if reason := g.lastRefusal(t); !strings.Contains(reason, "no whole answer within 10s") {
		t.Errorf("refused: %s", reason)
	}
	hangs.Answers(nil, nil)
	g.untilOn(t, "", func() string { return hangs.Token(t, nil) }, 15*time.Second)

	here.Answers(hang, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":null}`)) })
	g.askWhile(t, "", here.TokenBy(t, testissuer.RSA("new", 1), nil), "the issuer has no such key, and newer keys could not be fetched", 12*time.Second)
	token = here.Token(t, nil)
	g.goesOn(t, "", token, asBearer(token))
}

// CVE-2024-28180 and others: any client could make the proxy ask the issuer, once for each
// invented token.
func TestTokenFloodOfUnknownKeys(t *testing.T) {
	issuer := newIssuer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", oidcBlock(t, issuer), "inject token")))
	good := issuer.Token(t, nil)
	g.goesOn(t, "", good, asBearer(good))
	const tokens, at = 400, 8
	flood := make(chan string, tokens)
	for n := range tokens {
		flood <- issuer.TokenBy(t, testissuer.EC(t, fmt.Sprintf("made-up-%d", n)), nil)
	}
	close(flood)
	time.Sleep(10 * time.Second) // until then no token causes a fetch
	transport := &http.Transport{MaxIdleConnsPerHost: at}
	defer transport.CloseIdleConnections()
	var running sync.WaitGroup
	for range at {
		running.Go(func() {
			for token := range flood {
				if err := requestWith(t.Context(), transport, "http://"+g.Addr+"/", token); err == nil || err.Error() != "status 401" {
					t.Errorf("a token by an unknown key: %v", err)
				}
			}
		})
	}
	running.Wait()
	g.CheckNothing(t)
	g.Refused = len(g.Refusals(t))
	if n := issuer.Fetches.Load(); n < 2 || n > 4 {
		t.Errorf("the keys were fetched %d times", n)
	}
	g.goesOn(t, "", good, asBearer(good))
}
