// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// network answers instead of the network.
type network func(r *http.Request) (*http.Response, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r) }

func answer(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

const issuer = "https://idp.example/realm"

// document is a discovery document with changes: nil removes a member.
func document(changes map[string]any) string {
	members := map[string]any{
		"issuer": issuer, "authorization_endpoint": "https://idp.example/a", "token_endpoint": "https://idp.example/t",
		"end_session_endpoint": "https://idp.example/e", "revocation_endpoint": "https://idp.example/r",
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true,
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"}, "code_challenge_methods_supported": []string{"plain", "S256"},
		"scopes_supported": []string{"openid"}, "response_modes_supported": []string{"query"}, "jwks_uri": 7,
	}
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	encoded, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// fake is a provider at the issuer over a network of the test.
func fake(t *testing.T, via network, changes ...func(*codeflow.Config)) *codeflow.Provider {
	t.Helper()
	c := codeflow.Config{Issuer: issuer, ClientID: "dash", Auth: codeflow.ClientAuth{Secret: secretOf(secret)}, Transport: via}
	for _, change := range changes {
		change(&c)
	}
	p, err := codeflow.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestMetadata(t *testing.T) {
	whole := codeflow.Metadata{
		AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t", EndSessionURL: "https://idp.example/e", RevocationURL: "https://idp.example/r",
		IssuerParameter: true, BackChannelLogout: true, AuthMethods: []string{"client_secret_post"}, ChallengeMethods: []string{"plain", "S256"},
		ResponseModes: []string{"query"}, Scopes: []string{"openid"},
	}
	least := codeflow.Metadata{AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t"}
	changed := func(m codeflow.Metadata, change func(*codeflow.Metadata)) *codeflow.Metadata {
		change(&m)
		return &m
	}
	few := map[string]any{
		"end_session_endpoint": nil, "revocation_endpoint": nil, "authorization_response_iss_parameter_supported": nil, "backchannel_logout_supported": nil,
		"token_endpoint_auth_methods_supported": nil, "code_challenge_methods_supported": nil, "scopes_supported": nil, "response_modes_supported": nil,
	}
	for name, test := range map[string]struct {
		body   string
		config func(*codeflow.Config)
		want   *codeflow.Metadata
		err    string
	}{
		"a whole document":  {document(nil), nil, &whole, ""},
		"as little as need": {document(few), nil, &least, ""},
		"null is missing":   {strings.Replace(document(few), "{", `{"end_session_endpoint":null,"scopes_supported":null,"backchannel_logout_supported":null,`, 1), nil, &least, ""},
		"an empty list":     {document(map[string]any{"scopes_supported": []string{}}), nil, changed(whole, func(m *codeflow.Metadata) { m.Scopes = []string{} }), ""},
		"configured urls go first": {
			document(map[string]any{"token_endpoint": nil}), func(c *codeflow.Config) {
				c.TokenURL, c.EndSessionURL = "https://other.example/t", "https://other.example/e?x=y"
			},
			changed(whole, func(m *codeflow.Metadata) {
				m.TokenURL, m.EndSessionURL = "https://other.example/t", "https://other.example/e?x=y"
			}), "",
		},

		"of another issuer":          {document(map[string]any{"issuer": "https://idp.example/other"}), nil, nil, `it belongs to the issuer "https://idp.example/other"`},
		"of the issuer with a slash": {document(map[string]any{"issuer": issuer + "/"}), nil, nil, "it belongs to the issuer"},
		"without an issuer":          {document(map[string]any{"issuer": nil}), nil, nil, "its issuer is not a string"},
		"with a number as issuer":    {document(map[string]any{"issuer": 1}), nil, nil, "its issuer is not a string"},
		"without an authorization":   {document(map[string]any{"authorization_endpoint": nil}), nil, nil, "it has no authorization_endpoint"},
		"without a token endpoint":   {document(map[string]any{"token_endpoint": nil}), nil, nil, "it has no token_endpoint"},
		"an endpoint over http":      {document(map[string]any{"token_endpoint": "http://idp.example/t"}), nil, nil, "its token_endpoint: \"http://idp.example/t\" is not an https url"},
		"an endpoint on loopback":    {document(map[string]any{"token_endpoint": "http://127.0.0.1/t"}), nil, nil, "and the document came over https"},
		"an endpoint with a user":    {document(map[string]any{"revocation_endpoint": "https://hidden@idp.example/t"}), nil, nil, "its revocation_endpoint: url holds a user name"},
		"a fragment":                 {document(map[string]any{"authorization_endpoint": "https://idp.example/a#b"}), nil, nil, "its authorization_endpoint"},
		"javascript":                 {document(map[string]any{"end_session_endpoint": "javascript:alert(1)"}), nil, nil, "its end_session_endpoint"},
		"a list as endpoint":         {document(map[string]any{"token_endpoint": []string{"https://idp.example/t"}}), nil, nil, "its token_endpoint: it is not a string"},
		"a text as a flag":           {document(map[string]any{"backchannel_logout_supported": "true"}), nil, nil, "its backchannel_logout_supported: it is neither true nor false"},
		"a text as a list":           {document(map[string]any{"scopes_supported": "openid"}), nil, nil, "its scopes_supported: it is not a list of strings"},
		"a number in a list":         {document(map[string]any{"scopes_supported": []any{"openid", 1}}), nil, nil, "its scopes_supported: it is not a list of strings"},
		"a name twice":               {strings.Replace(document(nil), "{", `{"token_endpoint":"https://evil.example",`, 1), nil, nil, "there twice"},
		"a name twice in other case": {strings.Replace(document(nil), "{", `{"Token_Endpoint":"https://evil.example",`, 1), nil, nil, "there twice"},
		"a list":                     {"[]", nil, nil, "it is not a JSON object"},
		"a page":                     {"<html>hidden", nil, nil, "it is not a JSON object"},
		"nothing":                    {"", nil, nil, "it is not a JSON object"},
		"too much":                   {document(nil) + strings.Repeat(" ", 256<<10), nil, nil, "larger than 262144 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p := fake(t, func(r *http.Request) (*http.Response, error) {
				if r.URL.String() != issuer+"/.well-known/openid-configuration" || r.Method != http.MethodGet {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				return answer(200, "application/json", test.body), nil
			}, func(c *codeflow.Config) {
				if test.config != nil {
					test.config(c)
				}
			})
			got, err := p.Metadata(t.Context())
			if test.err != "" {
				wantError(t, err, test.err, []string{"hidden"}, identity.ErrUnavailable)
			} else if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestWithoutDiscoveryNothingIsAsked(t *testing.T) {
	p := fake(t, func(r *http.Request) (*http.Response, error) {
		t.Errorf("asked %s", r.URL)
		return nil, io.EOF
	}, func(c *codeflow.Config) {
		c.NoDiscovery, c.AuthorizationURL, c.TokenURL = true, "https://idp.example/a", "https://idp.example/t"
	})
	p.Warm()
	got, err := p.Metadata(t.Context())
	if want := (&codeflow.Metadata{AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if asked, err := p.Revoke(t.Context(), "hidden"); asked || err != nil {
		t.Error(asked, err)
	}
	if to, err := p.LogoutURL(t.Context(), codeflow.Logout{}); to != "" || err != nil {
		t.Error(to, err)
	}
}

// A thousand browsers that come while the issuer is slow cause one request.
func TestOneFetchForAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		p := fake(t, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			time.Sleep(5 * time.Second)
			return answer(200, "application/json", document(nil)), nil
		})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if _, err := p.Metadata(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

func TestDocumentIsKeptOverOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var down atomic.Bool
		var problems []string
		p := fake(t, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			if down.Load() {
				return answer(503, "text/html", "hidden"), nil
			}
			return answer(200, "application/json", document(map[string]any{"end_session_endpoint": fmt.Sprintf("https://idp.example/%d", asked.Load())})), nil
		}, func(c *codeflow.Config) {
			c.OnProblem = func(message string, err error) { problems = append(problems, fmt.Sprintf("%s: %v", message, err)) }
		})
		want := func(name, url string, count int64) {
			t.Helper()
			known, err := p.Metadata(t.Context())
			synctest.Wait()
			if err != nil || known.EndSessionURL != "https://idp.example/"+url || asked.Load() != count {
				t.Errorf("%s: %+v, %v after %d requests, want %s after %d", name, known, err, asked.Load(), url, count)
			}
		}
		want("at first", "1", 1)
		time.Sleep(12*time.Hour - time.Second)
		want("within twelve hours", "1", 1)
		down.Store(true)
		time.Sleep(time.Second)
		want("after twelve hours, in the background", "1", 2)
		want("at once", "1", 2)
		for range 48 * 60 {
			time.Sleep(time.Minute)
			_, _ = p.Metadata(t.Context())
			synctest.Wait()
		}
		if n := asked.Load(); n < 1500 || n > 48*60+3 {
			t.Errorf("asked %d times in two days of an outage", n)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		last := asked.Load()
		want("two days later", "1", last+1)
		want("after it", fmt.Sprint(last+1), last+1)
		p.Close()
		if first, end := problems[0], problems[len(problems)-1]; !strings.HasPrefix(first, "keeping the last good discovery document of an issuer: ") ||
			end != "the discovery document of an issuer can be read again: <nil>" || strings.Contains(strings.Join(problems, ""), "hidden") {
			t.Errorf("%q, %q", first, end)
		}
	})
}

func TestIssuerThatIsDownIsNotAskedByEveryBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		p := fake(t, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			return nil, errors.New("hidden")
		})
		for range 1000 {
			_, err := p.Metadata(t.Context())
			wantError(t, err, "the issuer's discovery document is not known: discovering the endpoints: asking \"idp.example\"", []string{"hidden"},
				identity.ErrUnavailable, fetch.ErrUnreachable)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		time.Sleep(2 * time.Second)
		_, _ = p.Metadata(t.Context())
		if asked.Load() != 2 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

// The browser goes away, or the configuration does, while the issuer hangs.
func TestNoOneWaitsForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fake(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Metadata(ctx)
		wantError(t, err, "the request ended before", nil, identity.ErrUnavailable)
		if time.Since(started) != time.Second {
			t.Errorf("waited %s", time.Since(started))
		}
		_, err = p.Metadata(t.Context())
		wantError(t, err, "no whole answer within 10s", nil, identity.ErrUnavailable)
		if time.Since(started) != 10*time.Second {
			t.Errorf("waited %s", time.Since(started))
		}
		time.Sleep(time.Minute)
		p.Warm()
		synctest.Wait()
		p.Close()
		_, err = p.Metadata(t.Context())
		wantError(t, err, "no longer in use", nil, identity.ErrUnavailable)
	})
}

func TestOrigins(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://IDP.example:8443/a?b=c": "https://idp.example:8443", "http://127.0.0.1/": "http://127.0.0.1", "": "", "%": "", "/a": "",
	} {
		if got := codeflow.Origin(endpoint); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}
