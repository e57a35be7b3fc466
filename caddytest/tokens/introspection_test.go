// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
)

const introspectedAs = "X-Remote-User"

// introspectionFault is an answer that is not a plain yes, with the client's status and the reason
// in the log.
type introspectionFault struct {
	name   string
	answer http.HandlerFunc
	status int
	reason string
}

func introspectionFaults(s *testintrospection.Server) []introspectionFault {
	const json = "application/json"
	good := `"active":true,"iss":"` + s.Issuer + `","sub":"admin","aud":"dash","exp":4000000000`
	said := func(changes map[string]any) http.HandlerFunc { return answersWith(s, changes) }
	return []introspectionFault{
		{"our own credentials are refused", answerWith(401, json, `{"error":"invalid_client"}`), 503, "the endpoint refuses the proxy's own credentials (status 401)"},
		{"the proxy may not introspect", answerWith(403, json, `{`+good+`}`), 503, "the endpoint refuses the proxy's own credentials (status 403)"},
		{"our own credentials are refused with 400", answerWith(400, json, `{"error":"invalid_client"}`), 503, "the endpoint refuses the proxy's own credentials"},
		{"a page", answerWith(200, "text/html", `{`+good+`}`), 503, "it is not application/json"},
		{"a signed answer", answerWith(200, "application/token-introspection+jwt", `{`+good+`}`), 503, "it is not application/json"},
		{"nothing", answerWith(200, json, ""), 503, "it is not a JSON object"},
		{"half of it", answerWith(200, json, `{`+good), 503, "it is not a JSON object"},
		{"another user after the first", answerWith(200, json, `{`+good+`,"sub":"root"}`), 503, "it is not a JSON object in UTF-8 with unique names"},
		{"another answer in another case", answerWith(200, json, `{"Active":false,`+good+`}`), 503, "it is not a JSON object in UTF-8 with unique names"},
		{"an error with status 200", answerWith(200, json, `{"error":"server_error",`+good+`}`), 503, "it is an error with status 200"},
		{"too much", answerWith(200, json, `{`+good+`,"x":"`+strings.Repeat(" ", 1<<20)+`"}`), 503, "the answer is larger than 262144 bytes"},
		{"an error with a good answer", answerWith(500, json, `{`+good+`}`), 503, "status 500"},
		{"not found", answerWith(404, "text/plain", "404"), 503, "status 404"},
		{"busy", answerWith(429, json, `{}`), 503, "status 429"},

		{"inactive", answerWith(200, json, `{"active":false}`), 401, "it is not active"},
		{"inactive, with a user", said(map[string]any{"active": false}), 401, "it is not active"},
		{"an empty object", answerWith(200, json, `{}`), 401, "does not say whether it is active"},
		{"true as text", said(map[string]any{"active": "true"}), 401, "does not say whether it is active"},
		{"one", said(map[string]any{"active": 1}), 401, "does not say whether it is active"},
		{"no end", said(map[string]any{"exp": nil}), 401, "until when it is good (exp)"},
		{"its end was long ago", said(map[string]any{"exp": 1}), 401, "it expired "},
		{"no issuer", said(map[string]any{"iss": nil}), 401, "the answer names no issuer (iss)"},
		{"another issuer", said(map[string]any{"iss": "https://login.example"}), 401, "it is from another issuer"},
		{"no audience", said(map[string]any{"aud": nil}), 401, "the answer names no audience (aud)"},
		{"another audience", said(map[string]any{"aud": []string{"dashboard"}}), 401, "it is for another audience"},
		{"not valid before tomorrow", said(map[string]any{"nbf": time.Now().Add(24 * time.Hour).Unix()}), 401, "it becomes valid in "},
		{"a token for DPoP", said(map[string]any{"token_type": "DPoP"}), 401, "its token_type is not Bearer"},
		{"a refresh token", said(map[string]any{"typ": "Refresh"}), 401, "it is not an access token"},
		{"a token that is bound to a key", said(map[string]any{"cnf": map[string]any{"jkt": "x"}}), 401, "the token is bound by a cnf that is not understood"},
		{"a token that is bound to another's certificate", said(map[string]any{"cnf": map[string]any{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}), 401, "the token is bound to a certificate, and the client does not have one"},
		{"no user", said(map[string]any{"sub": nil}), 401, `there is no claim "sub"`},
		{"a user that is not a text", said(map[string]any{"sub": []string{"admin"}}), 401, `the claim "sub" is not a string`},
		{"a user that breaks lines", said(map[string]any{"sub": "a\r\nX-Remote-User: admin"}), 403, "control or format character"},
		{"groups left out", said(map[string]any{"groups": nil, "_claim_names": map[string]any{"groups": "src1"}}), 403, "the issuer left out the groups"},
	}
}

// Unless the server answers with a plain yes, nothing is forwarded. An undecided token is asked
// about again by the next request; a bad one is not.
func TestIntrospectionIsBroken(t *testing.T) {
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s, "cache_ttl 1h", "negative_cache_ttl 1h"), anonymous, "inject front_proxy")))
	for _, c := range introspectionFaults(s) {
		t.Run(c.name, func(t *testing.T) {
			token := s.Login(map[string]any{"jti": nil})
			before := s.Asked()
			s.Answers(c.answer)
			defer s.Answers(nil)
			if c.status == http.StatusServiceUnavailable {
				g.askWhile(t, "", token, c.reason, 5*time.Second)
				g.askWhile(t, "", token, c.reason, 5*time.Second)
				wantIntrospected(t, s, before+2, "by two requests")
				s.Answers(nil)
				g.goesOn(t, "", token, http.Header{introspectedAs: {"as:alice"}, "X-Remote-Group": {"as:dev", "as:ops"}})
				return
			}
			for range 2 {
				got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", []string{testhandler.Bearer(token)}, "")
				if got.Status != c.status || got.Text != "" || !strings.Contains(g.lastRefusal(t), c.reason) {
					t.Errorf("%d %q, refused: %s\nwant %d, %s", got.Status, got.Text, g.lastRefusal(t), c.status, c.reason)
				}
				g.CheckNothing(t)
			}
			wantIntrospected(t, s, before+1, "by two requests")
			g.Refused = len(g.Refusals(t))
		})
	}
}

// A redirect could have the token and the proxy's own secret sent to any host.
func TestIntrospectionIsRedirected(t *testing.T) {
	var elsewhere atomic.Int64
	other := newServer(t)
	other.Answers(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s), "inject front_proxy")))
	token := s.Login(nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{other.URL, "/introspect"} {
			s.Answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, status) })
			before := s.Asked()
			g.askWhile(t, "", token, "the endpoint redirects", 5*time.Second)
			wantIntrospected(t, s, before+1, "by a redirect")
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// Another server at the same address, such as one that took over the name, must get neither the
// token nor the secret.
func TestIntrospectionByAServerWithAnotherCertificate(t *testing.T) {
	s, other := newServer(t), newServer(t)
	block := strings.Replace(introspectionBlock(t, s), s.URL, other.URL, 1) // with the CA of the first
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", block, "inject front_proxy")))
	g.askWhile(t, "", s.Login(nil), "introspecting a token: asking ", 5*time.Second)
	wantIntrospected(t, other, 0, "without a good certificate")
}

// A token with bytes that no OAuth token has is another kind of secret, and stays here.
func TestIntrospectionOfWhatIsNotAToken(t *testing.T) {
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s), "inject front_proxy")))
	for _, token := range []string{"kubeconfig-u-abcdef:gh12345678", "user:long-password-1", "a&token=other-token-1&b", `"quoted-token-12"`, "a%26b-long-enough-1"} {
		g.isRefused(t, "", secret(t, token), 401, "rejected: the token has characters that no token of RFC 6750 has…")
	}
	wantIntrospected(t, s, 0, "about what is not a token")
}

// The source takes what is left: a JWT of a configured issuer never goes to the server, even if it
// is a bad one, and the server decides about every other token, also a JWT.
func TestIntrospectionTakesWhatOthersLeave(t *testing.T) {
	issuer, s := newIssuer(t), newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", oidcBlock(t, issuer), introspectionBlock(t, s), "inject front_proxy")))
	good, bad := issuer.Token(t, nil), issuer.Token(t, map[string]any{"aud": "other"})
	g.goesOn(t, "", good, http.Header{
		"X-Remote-User": {"oidc:alice"}, "X-Remote-Group": {"oidc:dev", "oidc:ops"}, "X-Remote-Extra-" + credentialExtra: {"JTI=" + jti(t, good)},
	})
	g.isRefused(t, "", bad, 401, `rejected: the token is for another audience: "other"`)
	wantIntrospected(t, s, 0, "about tokens of an issuer")
	foreign := newIssuer(t).Token(t, nil)
	g.isRefused(t, "", foreign, 401, "rejected: introspecting a token: it is not active")
	s.Know(foreign, map[string]any{"jti": nil, "groups": nil})
	known := s.Know(newIssuer(t).Token(t, nil), map[string]any{"jti": nil, "groups": nil})
	g.goesOn(t, "", known, http.Header{"X-Remote-User": {"as:alice"}})
	g.isRefused(t, "", foreign, 401, "rejected: introspecting a token: it is not active") // kept
	wantIntrospected(t, s, 2, "about two other tokens")
}

// Two sites that ask one server in two ways do not see each other's verdicts (R65: Oathkeeper's
// GHSA-4mq7-pvjg-xp2r).
func TestIntrospectionVerdictsAreNotShared(t *testing.T) {
	s := newServer(t)
	other := testintrospection.New(t)
	file := testintrospection.SecretFile(t)
	block := func(options ...string) string { // one file, so that nothing else differs
		text := introspectionBlock(t, s, options...)
		return strings.Replace(text, strings.Fields(strings.Split(text, "client_secret_file ")[1])[0], file, 1)
	}
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("a", block(), "inject front_proxy"),
		tokenBlock("audience", strings.Replace(block(), "audience dash", "audience other", 1), "inject front_proxy"),
		tokenBlock("claim", block("required_claim client_id other"), "inject front_proxy"),
		tokenBlock("name", strings.Replace(block(), "username_claim sub", "username_claim username", 1), "inject front_proxy"),
		tokenBlock("server", introspectionBlock(t, other), "inject front_proxy"),
	))
	token := s.Login(map[string]any{"jti": nil, "groups": nil})
	for range 2 {
		g.goesOn(t, "a", token, http.Header{"X-Remote-User": {"as:alice"}})
		g.isRefused(t, "audience", token, 401, `rejected: introspecting a token: it is for another audience: "dash"`)
		g.isRefused(t, "claim", token, 401, `rejected: the claim "client_id" is not the required value`)
		g.goesOn(t, "name", token, http.Header{"X-Remote-User": {"as:alice@example.com"}})
		g.isRefused(t, "server", token, 401, "rejected: introspecting a token: it is not active")
	}
	wantIntrospected(t, s, 4, "by four sites")
}

// A revoked token is accepted for cache_ttl, and never after its exp. A changed secret takes
// effect with the next request.
func TestIntrospectionVerdictsEnd(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) { replaceFile(t, file, []byte(text)) }
	write(testintrospection.Secret)
	text := introspectionBlock(t, s, "cache_ttl 2s", "clock_skew 0s")
	text = strings.Replace(text, strings.Fields(strings.Split(text, "client_secret_file ")[1])[0], file, 1)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", text, "inject front_proxy")))
	alice := http.Header{"X-Remote-User": {"as:alice"}}
	start := time.Now()
	revoked := s.Login(map[string]any{"jti": nil, "groups": nil})
	ending := s.Login(map[string]any{"jti": nil, "groups": nil, "exp": start.Add(time.Second).Unix()})
	g.goesOn(t, "", revoked, alice)
	if time.Since(start) < 500*time.Millisecond && time.Until(time.Unix(start.Add(time.Second).Unix(), 0)) > 100*time.Millisecond {
		g.goesOn(t, "", ending, alice)
	}
	s.Revoke(revoked)
	g.goesOn(t, "", revoked, alice)
	time.Sleep(time.Until(start.Add(1100 * time.Millisecond)))
	g.isRefused(t, "", ending, 401, "rejected: introspecting a token: it expired …")
	time.Sleep(time.Until(start.Add(2500 * time.Millisecond)))
	g.isRefused(t, "", revoked, 401, "rejected: introspecting a token: it is not active")

	write("another secret, which is wrong")
	g.askWhile(t, "", s.Login(nil), "the endpoint refuses the proxy's own credentials (status 401)", 5*time.Second)
	write("")
	g.askWhile(t, "", s.Login(nil), "is empty", 5*time.Second)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	g.askWhile(t, "", s.Login(nil), "no such file", 5*time.Second)
	write(testintrospection.Secret)
	g.goesOn(t, "", s.Login(map[string]any{"jti": nil, "groups": nil}), alice)
}

// A server that hangs or is away: known users are served for as long as cache_ttl, and the
// others get 503 in time.
func TestIntrospectionHangs(t *testing.T) {
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s, "cache_ttl 1h", "timeout 1s"), "inject token")))
	known := s.Login(nil)
	g.goesOn(t, "", known, asBearer(known))
	for name, hang := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"active":true,`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.Answers(hang)
			defer s.Answers(nil)
			token := s.Login(nil)
			g.askWhile(t, "", token, "", 4*time.Second)
			g.goesOn(t, "", known, asBearer(known))
			s.Answers(nil)
			g.goesOn(t, "", token, asBearer(token))
		})
	}
	s.Stop()
	g.askWhile(t, "", s.Login(nil), "introspecting a token", 4*time.Second)
	g.goesOn(t, "", known, asBearer(known))
	s.Start(t)
	g.untilOn(t, "", func() string { return s.Login(nil) }, 5*time.Second)
}

// A client cannot name the user in fields of its own beside a good token.
func TestIntrospectedClientNamesAnotherUser(t *testing.T) {
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s, "token_header X-Opaque"), "inject front_proxy")))
	token := s.Login(map[string]any{"jti": nil, "groups": nil})
	alice := http.Header{"X-Remote-User": {"as:alice"}}
	hostile := []string{"X-Remote-User: admin", "x_remote_user: admin", "X-Remote-Group: system:masters", "Impersonate-User: admin"}
	for _, fields := range [][]string{{testhandler.Bearer(token)}, {"X-Opaque: " + token}} {
		g.Exchange(t, &testhandler.Exchange{Line: "GET / HTTP/1.1", Fields: append(fields, hostile...), Want: alice})
	}
	g.Exchange(t, &testhandler.Exchange{Line: "GET / HTTP/1.1", Fields: append([]string{testhandler.Bearer(token), testhandler.Bearer(token)}, hostile...), Status: 400, Reason: "malformed: 2 lines of Authorization"})
	g.isRefused(t, "", secret(t, "invented-"+rand.Text()), 401, "rejected: introspecting a token: it is not active")
}
