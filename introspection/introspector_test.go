// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package introspection_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/introspection"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

type members = map[string]any

// newIntrospector asks a server of the test for tokens for the audience dash.
func newIntrospector(t *testing.T, s *testintrospection.Server) *introspection.Introspector {
	t.Helper()
	endpoint, err := introspection.NewEndpoint(s.URL, nil, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(endpoint.Close)
	return &introspection.Introspector{
		Endpoint:  endpoint,
		ClientID:  testintrospection.ClientID,
		Auth:      codeflow.ClientAuth{Secret: func() (string, error) { return testintrospection.Secret, nil }},
		Issuer:    s.Issuer,
		Audiences: []string{"board", "dash"},
		Skew:      time.Minute,
		Mapper:    &oidc.Mapping{Username: "sub", UsernamePrefix: "as:", Groups: "groups", UID: "uid"},
	}
}

func TestActiveTokenNamesItsUser(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	token := s.Login(members{"uid": "1", "jti": "j", "exp": end.Unix(), "aud": []string{"x", "dash"}})
	got, err := newIntrospector(t, s).Review(t.Context(), token, false)
	want := tokencache.Verdict{
		User: identity.User{
			Username: "as:alice", UID: "1", Groups: []string{"dev", "ops"},
			Extra: map[string][]string{identity.CredentialID: {"JTI=j"}},
		},
		Issuer: s.Issuer, Expires: end, AllowReserved: []string{identity.CredentialID},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if calls := s.Calls(); len(calls) != 1 || !reflect.DeepEqual(calls[0], url.Values{"token": {token}, "token_type_hint": {"access_token"}}) {
		t.Errorf("the server was asked %v", calls)
	}
}

// answerCase is an answer about a token, and what becomes of the token.
type answerCase struct {
	name    string
	changes members
	want    error // nil: it is good
	reason  string
}

// RFC 7662 requires active alone: each of the other members is demanded here, and a missing one
// is a no.
func TestAnswerConfirmsTheToken(t *testing.T) {
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	rejected := identity.ErrRejected
	s := testintrospection.NewBy(t, nil)
	introspector := newIntrospector(t, s)
	for _, c := range []answerCase{
		{"with all that is demanded", members{"uid": "1"}, nil, ""},
		{"for one of several audiences", members{"aud": []string{"x", "board"}}, nil, ""},
		{"without a token_type", members{"token_type": nil}, nil, ""},
		{"with a token_type in another case", members{"token_type": "bearer"}, nil, ""},
		{"without iat and nbf", members{"iat": nil}, nil, ""},
		{"Keycloak's typ of an access token", members{"typ": "Bearer"}, nil, ""},
		{"expired within the skew", members{"exp": in(-50 * time.Second)}, nil, ""},
		{"valid within the skew", members{"nbf": in(50 * time.Second), "iat": in(50 * time.Second)}, nil, ""},

		{"inactive", members{"active": false}, rejected, "it is not active"},
		{"without active", members{"active": nil}, rejected, "does not say whether it is active"},
		{"active as text", members{"active": "true"}, rejected, "does not say whether it is active"},
		{"active as a number", members{"active": 1}, rejected, "does not say whether it is active"},
		{"active in a list", members{"active": []bool{true}}, rejected, "does not say whether it is active"},
		{"Active, which Go's own decoder takes for active", members{"active": nil, "Active": true}, rejected, "does not say whether it is active"},
		{"without an issuer", members{"iss": nil}, rejected, "the answer names no issuer (iss)"},
		{"of another issuer", members{"iss": s.Issuer + "/"}, rejected, "it is from another issuer: "},
		{"of two issuers", members{"iss": []string{s.Issuer}}, rejected, "the answer names no issuer (iss)"},
		{"without an audience", members{"aud": nil}, rejected, "the answer names no audience (aud)"},
		{"for no audience", members{"aud": []string{}}, rejected, "the answer names no audience (aud)"},
		{"for another audience", members{"aud": "Dash"}, rejected, `it is for another audience: "Dash"`},
		{"for an audience that begins so", members{"aud": []string{"dash-admin"}}, rejected, "it is for another audience"},
		{"for audiences that are not texts", members{"aud": []any{"dash", 1}}, rejected, "the answer names no audience (aud)"},
		{"without an end", members{"exp": nil}, rejected, "does not say until when it is good (exp)"},
		{"with an end in quotes", members{"exp": fmt.Sprint(in(time.Hour))}, rejected, "does not say until when it is good (exp)"},
		{"with an end after all time", members{"exp": 1e300}, rejected, "does not say until when it is good (exp)"},
		{"expired", members{"exp": in(-2 * time.Minute)}, rejected, "it expired 2m"},
		{"not yet valid", members{"nbf": in(2 * time.Minute)}, rejected, "it becomes valid in "},
		{"issued in the future", members{"iat": in(2 * time.Minute)}, rejected, "it becomes valid in "},
		{"with nbf in quotes", members{"nbf": "0"}, rejected, "its nbf is not a time"},
		{"with iat in quotes", members{"iat": "0"}, rejected, "its iat is not a time"},
		{"for DPoP", members{"token_type": "DPoP"}, rejected, "its token_type is not Bearer"},
		{"with a token_type that is not a text", members{"token_type": []string{"Bearer"}}, rejected, "its token_type is not Bearer"},
		{"a refresh token of Keycloak's", members{"typ": "Refresh"}, rejected, "it is not an access token"},
		{"an offline token of Keycloak's", members{"typ": "Offline"}, rejected, "it is not an access token"},
		{"an ID token of Keycloak's", members{"typ": "ID"}, rejected, "it is not an access token"},
		{"a logout", members{"events": members{}}, rejected, "it reports events"},
		{"without a user", members{"sub": nil}, rejected, `there is no claim "sub"`},
		{"with an empty user", members{"sub": ""}, rejected, `the claim "sub" is not a string`},
		{"with groups that are not texts", members{"groups": []any{"dev", members{}}}, rejected, `the claim "groups" is not a list of strings`},
		{"with groups left out", members{"groups": nil, "hasgroups": true}, identity.ErrForbidden, "the issuer left out the groups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes := members{"uid": "1"}
			maps.Copy(changes, c.changes)
			wantReason(t, introspector, s.Login(changes), c.want, c.reason)
		})
	}
}

func wantReason(t *testing.T, by *introspection.Introspector, token string, want error, reason string) {
	t.Helper()
	verdict, err := by.Review(t.Context(), token, false)
	switch {
	case want == nil && (err != nil || verdict.User.Username == ""):
		t.Errorf("got %+v, %v", verdict, err)
	case want != nil && (!errors.Is(err, want) || !identity.IsRefusal(err) || !strings.Contains(err.Error(), reason)):
		t.Errorf("got %v, want %v: %s", err, want, reason)
	case err != nil && (!reflect.DeepEqual(verdict, tokencache.Verdict{}) || identity.LeaksToken(err.Error(), token)):
		t.Errorf("got %+v beside %v", verdict, err)
	}
}

// An answer that says nothing about the token decides nothing: the token may be good.
func TestAnswerIsNotOneAboutTheToken(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	introspector := newIntrospector(t, s)
	good := `"active":true,"iss":"` + s.Issuer + `","sub":"alice","aud":"dash","exp":4000000000`
	with := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const json = "application/json"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"our own credentials are refused": {with(401, json, `{"error":"invalid_client"}`), "the endpoint refuses the proxy's own credentials (status 401)"},
		"the proxy may not introspect":    {with(403, json, `{`+good+`}`), "the endpoint refuses the proxy's own credentials (status 403)"},
		"our own credentials, with 400":   {with(400, json, `{"error":"invalid_client"}`), "the endpoint refuses the proxy's own credentials (status 400, invalid_client)"},
		"a bad request":                   {with(400, json, `{"error":"invalid_request"}`), "the endpoint answers with status 400"},
		"not found":                       {with(404, "text/plain", "404"), "the endpoint answers with status 404"},
		"busy":                            {with(429, json, `{}`), "the endpoint answers with status 429"},
		"an error":                        {with(500, json, `{`+good+`}`), "the endpoint answers with status 500"},
		"no content":                      {with(204, json, ""), "the endpoint answers with status 204"},
		"created":                         {with(201, json, `{`+good+`}`), "the endpoint answers with status 201"},
		"an error with status 200":        {with(200, json, `{"error":"server_error",`+good+`}`), "it is an error with status 200"},
		"a page":                          {with(200, "text/html", `{`+good+`}`), "it is not application/json"},
		"a signed answer (RFC 9701)":      {with(200, "application/token-introspection+jwt", "e30.e30."), "it is not application/json"},
		"no content type":                 {with(200, "", `{`+good+`}`), "it is not application/json"},
		"active twice":                    {with(200, json, `{"active":false,`+good+`}`), "it is not a JSON object in UTF-8 with unique names"},
		"active twice, in another case":   {with(200, json, `{`+good+`,"Active":false}`), "it is not a JSON object in UTF-8 with unique names"},
		"sub twice":                       {with(200, json, `{`+good+`,"sub":"admin"}`), "it is not a JSON object in UTF-8 with unique names"},
		"sub twice, with the long s":      {with(200, json, `{`+good+`,"\u017fub":"admin"}`), "it is not a JSON object in UTF-8 with unique names"},
		"two objects":                     {with(200, json, `{`+good+`}{`+good+`}`), "it is not a JSON object in UTF-8 with unique names"},
		"a list":                          {with(200, json, `[{`+good+`}]`), "it is not a JSON object in UTF-8 with unique names"},
		"nothing":                         {with(200, json, ""), "it is not a JSON object in UTF-8 with unique names"},
		"half of it":                      {with(200, json, `{`+good), "it is not a JSON object in UTF-8 with unique names"},
		"bytes that are not UTF-8":        {with(200, json, "{"+good+",\"name\":\"\xff\"}"), "it is not a JSON object in UTF-8 with unique names"},
		"too much":                        {with(200, json, `{`+good+`,"x":"`+strings.Repeat("x", 256<<10)+`"}`), "the answer is larger than 262144 bytes"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "the endpoint redirects (status 307), which is not followed"},
		"the end of the connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection ended before the answer did"},
		"a body that ends too early": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Content-Type", json)
			_, _ = w.Write([]byte(`{` + good + `}`))
		}, "the connection ended before the answer did"},
		"an answer that is compressed anyhow": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Type", json)
			_, _ = w.Write([]byte("\x1f\x8b"))
		}, "it is not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Answers(c.answer)
			wantReason(t, introspector, "opaque-token-0123456789", identity.ErrUnavailable, c.reason)
		})
	}
}

// What is not a token of RFC 6750 is not sent: it is another kind of secret in the wrong field.
func TestTokenIsNotSent(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	introspector := newIntrospector(t, s)
	for _, token := range []string{"", "=", "a:b", "user:secret", `a"b`, "a=b", "a b", "a&token=b", "a%20b", "a,b", "ä", "a\x00"} {
		wantReason(t, introspector, token, identity.ErrRejected, "and is not introspected")
	}
	if n := s.Asked(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	wantReason(t, introspector, s.Know("AZaz09-._~+/==", members{"uid": "1"}), nil, "")
}

// A server that repeats the token in a name must not get it into the log.
func TestTokenIsNotShown(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	introspector := newIntrospector(t, s)
	for _, name := range []string{"iss", "aud"} {
		const token = "opaque-token-0123456789"
		s.Know(token, members{name: "x" + token})
		wantReason(t, introspector, token, identity.ErrRejected, "not shown, since it has a part of the token")
	}
}

func TestClientProvesItself(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	var got *http.Request
	s.Answers(func(w http.ResponseWriter, r *http.Request) {
		got = r
		testintrospection.Write(w, 200, s.Members(members{"uid": "1"}))
	})
	key := []byte(testpki.KeyPEM(t, testpki.NewCA(t, nil, "client", nil)))
	secret := func() (string, error) { return "s3cret", nil }
	for name, c := range map[string]struct {
		auth codeflow.ClientAuth
		want []string // of the form, besides the token
	}{
		"basic":           {codeflow.ClientAuth{Method: codeflow.AuthBasic, Secret: secret}, nil},
		"by default":      {codeflow.ClientAuth{Secret: secret}, nil},
		"post":            {codeflow.ClientAuth{Method: codeflow.AuthPost, Secret: secret}, []string{"client_id", "client_secret"}},
		"none":            {codeflow.ClientAuth{Method: codeflow.AuthNone}, []string{"client_id"}},
		"assertion_file":  {codeflow.ClientAuth{Method: codeflow.AuthAssertionFile, Assertion: secret}, []string{"client_assertion", "client_assertion_type", "client_id"}},
		"private_key_jwt": {codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: func() ([]byte, error) { return key, nil }}, []string{"client_assertion", "client_assertion_type", "client_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			introspector := newIntrospector(t, s)
			introspector.Auth = c.auth
			wantReason(t, introspector, "opaque", nil, "")
			want := url.Values{"token": {"opaque"}, "token_type_hint": {"access_token"}}
			for _, name := range c.want {
				want[name] = got.PostForm[name]
			}
			_, _, basic := got.BasicAuth()
			if !reflect.DeepEqual(got.PostForm, want) || basic != (c.want == nil) || got.Header["Idempotency-Key"] != nil {
				t.Errorf("the server was asked %v, %v", got.PostForm, got.Header)
			}
		})
	}
	t.Run("a secret that cannot be read is the proxy's own fault", func(t *testing.T) {
		introspector := newIntrospector(t, s)
		introspector.Auth = codeflow.ClientAuth{Secret: func() (string, error) { return "", errors.New("no such file") }}
		before := s.Asked()
		wantReason(t, introspector, "opaque", identity.ErrUnavailable, "no such file")
		if s.Asked() != before {
			t.Error("the server was asked without a proof")
		}
	})
}

func TestEndpointMustNotBeReadOnTheWay(t *testing.T) {
	for raw, want := range map[string]string{
		"https://as.example/introspect":         "",
		"http://127.0.0.1:8080/introspect":      "",
		"http://as.example/introspect":          "is not an https url",
		"https://user:secret@as.example/":       "url holds a user name",
		"https://as.example/introspect#x":       "has a fragment",
		"ftp://as.example/":                     "is not an https url",
		"as.example":                            "is not an https url",
		"http://127.0.0.1.as.example/":          "is not an https url",
		"https://as.example:0/":                 "has no usable host",
		"https://" + strings.Repeat("a", 3<<10): "longer than",
	} {
		_, err := introspection.NewEndpoint(raw, nil, 1)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", raw, err, want)
		}
	}
}

// The server hangs: the judgement ends with its context.
func TestServerHangs(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	s.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := newIntrospector(t, s).Review(ctx, "opaque", false)
	if !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) {
		t.Error(err)
	}
}
