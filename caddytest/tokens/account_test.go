// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// accountSite impersonates the users that a trusted proxy names, with a token of a service
// account. Each of the two paths has a handler of its own.
func accountSite(kubernetes string, options ...string) string {
	block := func(at string) string {
		return tokenBlock(
			at, kubernetes, "trusted_proxies static "+testhandler.TrustedPeer,
			"forwarded {\n user X-Forwarded-User\n groups X-Forwarded-Groups\n}",
			"inject impersonation {\n service_account kube-system/caddy {\n"+strings.Join(options, "\n")+"\n}\n}",
		)
	}
	return tokenSite(block("one"), block("two"))
}

// asks sends requests for alice until the answer has this status, for at most within, and
// returns that answer. Earlier answers may have another status.
func (g *guarded) asks(t *testing.T, path string, status int, within time.Duration) testhandler.Reply {
	t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		got := g.Send(t, testhandler.TrustedPeer, "GET /"+path+" HTTP/1.1", testhandler.AliceAnd("Impersonate-User: admin"), "")
		if got.Status == status {
			return got
		}
		if time.Since(start) > within {
			t.Fatalf("for %v the status is %d, want %d: %+v", within, got.Status, status, g.Refusals(t))
		}
	}
}

// checkCredentials checks every request that arrived: it has a credential that was issued to
// the proxy, and exactly alice as the user. It returns the credentials.
func (g *guarded) checkCredentials(t *testing.T, api *testreview.API) []string {
	t.Helper()
	var used []string
	issued := api.Tokens()
	for _, r := range g.Upstream.Take() {
		token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found || !slices.Contains(issued, token) {
			t.Errorf("the upstream received the credential %q", r.Header["Authorization"])
		}
		want := testhandler.Received{Line: r.Line, Header: testhandler.Proxied(testhandler.TrustedPeer, http.Header{
			"Authorization": {"Bearer " + token}, "Impersonate-User": {"alice"},
		}), Trailer: http.Header{}}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("the upstream received\n%+v\nwant\n%+v", r, want)
		}
		if len(used) == 0 || used[len(used)-1] != token {
			used = append(used, token)
		}
	}
	return used
}

// The life of a token of the service account: it is shared by all sites, replaced in time,
// and kept while the API server is away. After its end requests are refused until the API
// server is back.
func TestTokenOfTheServiceAccount(t *testing.T) {
	api := newAPI(t)
	api.Lives(6 * time.Second) // the token is replaced after 3 s, and used for 5.4 s
	g := tokenGuard(t, "", accountSite(api.Kubeconfig(t)))
	const soon = 5 * time.Second
	g.asks(t, "one", http.StatusOK, soon)
	g.asks(t, "two", http.StatusOK, soon)
	if used := g.checkCredentials(t, api); len(used) != 1 || len(api.Tokens()) != 1 {
		t.Errorf("two sites use %d tokens, and %d were issued", len(used), len(api.Tokens()))
	}

	time.Sleep(4 * time.Second)
	g.asks(t, "one", http.StatusOK, 0)
	g.asks(t, "two", http.StatusOK, 0)
	if used := g.checkCredentials(t, api); len(used) != 1 || used[0] == api.Tokens()[0] {
		t.Error("the token is not replaced in time")
	}

	api.Stop()
	gone := time.Now()
	g.asks(t, "one", http.StatusOK, 0) // the last good one
	got := g.asks(t, "one", http.StatusServiceUnavailable, 8*time.Second)
	if last := time.Since(gone); last < 1500*time.Millisecond {
		t.Errorf("the last good token was used for %v", last)
	}
	if got.Header.Get("Retry-After") == "" || got.Text != "" {
		t.Errorf("the client gets %v %q", got.Header, got.Text)
	}
	if reason := g.lastRefusal(t); !strings.HasPrefix(reason, "unavailable: getting a service account token: ") {
		t.Errorf("refused: %s", reason)
	}
	g.asks(t, "two", http.StatusServiceUnavailable, 0)
	g.checkCredentials(t, api)

	api.Start(t)
	g.asks(t, "one", http.StatusOK, 15*time.Second) // by now attempts are up to a few seconds apart
	g.asks(t, "two", http.StatusOK, 0)
	if used := g.checkCredentials(t, api); len(used) != 1 || used[0] != api.LastToken() {
		t.Error("the token in use is not the last one that was issued")
	}
	_, requests := api.Calls()
	for _, request := range requests {
		if request.Path != "/api/v1/namespaces/kube-system/serviceaccounts/caddy/token" {
			t.Errorf("asked was %s", request.Path)
		}
	}
}

// If the API server is away at the start, the configuration loads all the same, and nothing
// is sent without a credential.
func TestTokenOfTheServiceAccountComesLate(t *testing.T) {
	api := newAPI(t)
	api.Stop()
	g := tokenGuard(t, "", accountSite(api.Kubeconfig(t), "audience kiali other"))
	g.asks(t, "one", http.StatusServiceUnavailable, 0)
	g.asks(t, "two", http.StatusServiceUnavailable, 0)
	g.CheckNothing(t)
	api.Start(t)
	g.asks(t, "two", http.StatusOK, 10*time.Second)
	g.asks(t, "one", http.StatusOK, 0)
	g.checkCredentials(t, api)
	if _, requests := api.Calls(); len(requests) != 1 || !slices.Equal(requests[0].Audiences, []string{"kiali", "other"}) {
		t.Errorf("the API server was asked %+v", requests)
	}
}

// Answers without a credential: an empty token, or none, must lead neither to an
// Authorization without a token nor to a request without Authorization.
func TestTokenOfTheServiceAccountIsMissing(t *testing.T) {
	const later = "2099-01-01T00:00:00Z"
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	grants := func(token, expires string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { testreview.Granted(w, token, expires) }
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		reason string
	}{
		{"an empty token", grants("", later), "the answer has no token"},
		{"two words", grants("a b", later), "the answer has no token"},
		{"a line break", grants("a\r\nImpersonate-User: admin", later), "the answer has no token"},
		{"one that has expired", grants(secret(t, "account-that-has-expired"), "2020-01-01T00:00:00Z"), "the token in the answer expired at 2020-01-01T00:00:00Z"},
		{"one without an end", text(201, "application/json", `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"account-without-an-end"}}`), "the answer has no expirationTimestamp"},
		{"no status", text(201, "application/json", `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1"}`), "the answer has no token"},
		{"a page", text(200, "text/html", "<html>account-on-a-page</html>"), "the answer is not an object of the Kubernetes API"},
		{"a TokenReview", text(201, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"token":"account-of-a-review"}}`), "the answer is of another kind"},
		{"forbidden", text(403, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"serviceaccounts \"caddy\" is forbidden"}`), "the API server does not allow the proxy to create serviceaccounts/token"},
		{"not found", text(404, "text/plain", "404 page not found"), "(status 404)"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+"/elsewhere", http.StatusTemporaryRedirect)
		}, "the API server redirects, which is not followed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, token := range []string{"account-without-an-end", "account-on-a-page", "account-of-a-review"} {
				secret(t, token)
			}
			api := newAPI(t)
			api.Answers(nil, c.answer)
			g := tokenGuard(t, "", accountSite(api.Kubeconfig(t)))
			got := g.asks(t, "one", http.StatusServiceUnavailable, 0)
			if got.Header.Get("Retry-After") != "5" || got.Text != "" {
				t.Errorf("the client gets %v %q", got.Header, got.Text)
			}
			if reason := g.lastRefusal(t); !strings.HasPrefix(reason, "unavailable: getting a service account token: ") || !strings.Contains(reason, c.reason) {
				t.Errorf("refused: %s\nwant: %s", reason, c.reason)
			}
			g.CheckNothing(t)
			api.Answers(nil, nil)
			g.asks(t, "one", http.StatusOK, 10*time.Second)
			g.checkCredentials(t, api)
		})
	}
}

// Requests wait for the first token, but not for ever.
func TestTokenOfTheServiceAccountIsWaitedFor(t *testing.T) {
	api := newAPI(t)
	api.Answers(nil, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(500 * time.Millisecond)
		token := secret(t, "account-that-took-its-time")
		api.Grant(w, token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	g := tokenGuard(t, "", accountSite(api.Kubeconfig(t)))
	g.asks(t, "one", http.StatusOK, 0)
	g.checkCredentials(t, api)

	hangs := newAPI(t)
	hangs.Answers(nil, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		time.Sleep(100 * time.Millisecond) // an answer at the moment in which the client gives up may still be read
	})
	g = tokenGuard(t, "", accountSite(hangs.Kubeconfig(t, "timeout 1s")))
	start := time.Now()
	g.asks(t, "one", http.StatusServiceUnavailable, 0)
	if waited := time.Since(start); waited > 5*time.Second {
		t.Errorf("the client waited for %v", waited)
	}
	if reason := g.lastRefusal(t); !strings.Contains(reason, "no answer within 1s") {
		t.Errorf("refused: %s", reason)
	}
	g.CheckNothing(t)
	hangs.Answers(nil, nil)
	g.asks(t, "one", http.StatusOK, 10*time.Second)
	g.checkCredentials(t, hangs)
}

// Different accounts and audiences have different tokens.
func TestTokenOfAnotherServiceAccount(t *testing.T) {
	api := newAPI(t)
	kubernetes := api.Kubeconfig(t)
	block := func(at, account string) string {
		return tokenBlock(at, kubernetes, "trusted_proxies static "+testhandler.TrustedPeer, "forwarded {\n user X-Forwarded-User\n}",
			"inject impersonation {\n service_account "+account+"\n}")
	}
	g := tokenGuard(t, "", tokenSite(
		block("a", "one/caddy"), block("b", "two/caddy"), block("c", "one/caddy {\n audience kiali\n}"), block("d", "one/caddy"),
	))
	used := make(map[string]string)
	for _, path := range []string{"a", "b", "c", "d"} {
		g.asks(t, path, http.StatusOK, 0)
		used[path] = strings.Join(g.checkCredentials(t, api), " ")
	}
	if used["a"] != used["d"] || used["a"] == used["b"] || used["a"] == used["c"] || used["b"] == used["c"] || len(api.Tokens()) != 3 {
		t.Errorf("%d tokens were issued, and %v are used", len(api.Tokens()), used)
	}
}
