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
	"net/url"
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

// atToken is a provider whose token endpoint answers so. Discovery works.
func atToken(t *testing.T, token network, changes ...func(*codeflow.Config)) *codeflow.Provider {
	t.Helper()
	return fake(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/t" {
			return answer(200, "application/json", document(nil)), nil
		}
		return token(r)
	}, changes...)
}

// issued is an answer of the token endpoint with changes: nil removes a member.
func issued(changes map[string]any) string {
	members := map[string]any{"access_token": "hidden-a", "token_type": "Bearer", "id_token": "hidden-i", "refresh_token": "hidden-r", "expires_in": 300, "scope": "openid"}
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	encoded, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

var good = codeflow.Tokens{IDToken: "hidden-i", AccessToken: "hidden-a", RefreshToken: "hidden-r"}

// exchange redeems a code.
func exchange(ctx context.Context, p *codeflow.Provider) (*codeflow.Tokens, error) {
	c, err := codeflow.ParseCallback("code=hidden-c&state=s&iss=" + url.QueryEscape(issuer))
	if err != nil {
		return nil, err
	}
	return p.Exchange(ctx, c, attempt())
}

// Acceptance tests 36 to 38. Only what says that the grant is over ends a session: an answer
// that cannot be understood says nothing about the grant.
func TestAnswersOfTheTokenEndpoint(t *testing.T) {
	const bad = "the answer of the token endpoint: "
	ended, ours, down := []error{identity.ErrRejected, codeflow.ErrGrantEnded}, []error{identity.ErrUnavailable, codeflow.ErrClientFault}, []error{identity.ErrUnavailable}
	fault := func(code string) string { return fmt.Sprintf(`{"error":%q,"error_description":"hidden"}`, code) }
	for name, test := range map[string]struct {
		status int
		kind   string
		body   string
		want   string // empty: the good tokens
		is     []error
	}{
		"good":                         {200, "application/json", issued(nil), "", nil},
		"good with a charset":          {200, "application/json; charset=UTF-8", issued(nil), "", nil},
		"good with bearer":             {200, "Application/JSON", issued(map[string]any{"token_type": "bearer"}), "", nil},
		"good with others that double": {200, "application/json", issued(map[string]any{"x": map[string]any{"y": 1}}), "", nil},
		"good with a text as time":     {200, "application/json", issued(map[string]any{"expires_in": "300"}), "", nil},

		"no longer good":       {400, "application/json", fault("invalid_grant"), "the issuer has ended the grant: the token endpoint answers invalid_grant", ended},
		"no longer good, 403":  {403, "application/json", fault("invalid_grant"), "invalid_grant", ended},
		"another factor":       {400, "application/json", fault("interaction_required"), "interaction_required", ended},
		"wrong secret":         {401, "application/json", fault("invalid_client"), "the client's configuration is at fault: the token endpoint answers invalid_client (status 401)", ours},
		"wrong secret, 400":    {400, "application/json", fault("invalid_client"), "invalid_client (status 400)", ours},
		"not for this client":  {400, "application/json", fault("unauthorized_client"), "unauthorized_client", ours},
		"wrong request":        {400, "application/json", fault("invalid_request"), "invalid_request", ours},
		"wrong scope":          {400, "application/json", fault("invalid_scope"), "invalid_scope", ours},
		"later":                {400, "application/json", fault("temporarily_unavailable"), "the token endpoint answers temporarily_unavailable (status 400)", down},
		"made up":              {400, "application/json", fault("hidden"), "an error that is not known", down},
		"in capitals":          {400, "application/json", fault("INVALID_GRANT"), "an error that is not known", down},
		"a number as error":    {400, "application/json", `{"error":1}`, "an error that is not known", down},
		"an error twice":       {400, "application/json", `{"error":"hidden","error":"invalid_grant"}`, "not with the error of a token endpoint", down},
		"an error in two ways": {400, "application/json", `{"error":"hidden","Error":"invalid_grant"}`, "not with the error of a token endpoint", down},
		"an error as text":     {400, "text/plain", "error=invalid_grant", "status 400, and not with the error", down},
		"an error as a page":   {400, "text/html", fault("invalid_grant"), "status 400, and not with the error", down},
		"nothing with 400":     {400, "application/json", "", "status 400, and not with the error", down},

		"down":                    {500, "text/html", "<html>hidden", "the token endpoint answers with status 500", down},
		"down with JSON":          {503, "application/json", fault("invalid_grant"), "the token endpoint answers with status 503", down},
		"too many":                {429, "application/json", fault("invalid_grant"), "the token endpoint answers with status 429", down},
		"too slow":                {408, "application/json", fault("invalid_grant"), "the token endpoint answers with status 408", down},
		"a redirect":              {307, "text/html", "hidden", "the token endpoint answers with status 307", down},
		"another redirect":        {302, "application/json", issued(nil), "the token endpoint answers with status 302", down},
		"nothing":                 {204, "application/json", "", "the token endpoint answers with status 204", down},
		"created":                 {201, "application/json", issued(nil), "the token endpoint answers with status 201", down},
		"not found":               {404, "text/html", "hidden", "the token endpoint answers with status 404", down},
		"a page of a proxy":       {200, "text/html", "<html>hidden", bad + "it is not application/json", down},
		"a form":                  {200, "application/x-www-form-urlencoded", "access_token=hidden&token_type=bearer", bad + "it is not application/json", down},
		"a text":                  {200, "text/plain", issued(nil), bad + "it is not application/json", down},
		"no type":                 {200, "", issued(nil), bad + "it is not application/json", down},
		"a list":                  {200, "application/json", "[" + issued(nil) + "]", bad + "it is not a JSON object", down},
		"two objects":             {200, "application/json", issued(nil) + issued(nil), bad + "it is not a JSON object", down},
		"cut":                     {200, "application/json", issued(nil)[:40], bad + "it is not a JSON object", down},
		"a token twice":           {200, "application/json", `{"id_token":"hidden",` + issued(nil)[1:], bad + "it is not a JSON object", down},
		"a token in capitals too": {200, "application/json", `{"ID_TOKEN":"hidden",` + issued(nil)[1:], bad + "it is not a JSON object", down},
		"an error with 200":       {200, "application/json", fault("invalid_grant"), bad + "it is an error with status 200", down},
		"no access token":         {200, "application/json", issued(map[string]any{"access_token": nil}), bad + "it has no access_token", down},
		"an empty access token":   {200, "application/json", issued(map[string]any{"access_token": ""}), bad + "its access_token is not a text", down},
		"a number as a token":     {200, "application/json", issued(map[string]any{"refresh_token": 1}), bad + "its refresh_token is not a text", down},
		"a line in a token":       {200, "application/json", issued(map[string]any{"id_token": "hidden\r\n"}), bad + "its id_token is not a text", down},
		"a token that is long":    {200, "application/json", issued(map[string]any{"id_token": strings.Repeat("a", 65537)}), bad + "its id_token is longer than 65536 bytes", down},
		"no type of token":        {200, "application/json", issued(map[string]any{"token_type": nil}), bad + "its token_type is not Bearer", down},
		"another type of token":   {200, "application/json", issued(map[string]any{"token_type": "DPoP"}), bad + "its token_type is not Bearer", down},
		"two megabytes":           {200, "application/json", issued(nil) + strings.Repeat(" ", 2<<20), "larger than 262144 bytes", down},
		"two megabytes with 400":  {400, "application/json", fault("invalid_grant") + strings.Repeat(" ", 2<<20), "larger than 262144 bytes", down},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			p := atToken(t, func(*http.Request) (*http.Response, error) {
				asked.Add(1)
				response := answer(test.status, test.kind, test.body)
				response.Header.Set("Location", "https://evil.example/")
				if test.kind == "" {
					response.Header.Del("Content-Type")
				}
				return response, nil
			})
			for doing, do := range map[string]func() (*codeflow.Tokens, error){
				"redeeming a code: ": func() (*codeflow.Tokens, error) { return exchange(t.Context(), p) },
				"refreshing: ":       func() (*codeflow.Tokens, error) { return p.Refresh(t.Context(), "hidden-old") },
			} {
				asked.Store(0)
				tokens, err := do()
				switch {
				case test.want == "" && (err != nil || *tokens != good):
					t.Errorf("%s%v", doing, err)
				case test.want != "":
					wantError(t, err, test.want, []string{"hidden", "evil"}, test.is...)
					if tokens != nil || !strings.HasPrefix(err.Error(), doing) {
						t.Errorf("%v, %v", tokens, err)
					}
				}
				if asked.Load() != 1 {
					t.Errorf("%sasked %d times", doing, asked.Load())
				}
			}
		})
	}
}

func TestAnswersThatMayLackAToken(t *testing.T) {
	p := atToken(t, func(*http.Request) (*http.Response, error) {
		return answer(200, "application/json", `{"access_token":"hidden-a","token_type":"Bearer","id_token":null,"refresh_token":null}`), nil
	})
	_, err := exchange(t.Context(), p)
	wantError(t, err, "unavailable: redeeming a code: the answer has no ID token", []string{"hidden"}, identity.ErrUnavailable)
	tokens, err := p.Refresh(t.Context(), "hidden-old")
	if want := (codeflow.Tokens{AccessToken: "hidden-a", RefreshToken: "hidden-old"}); err != nil || *tokens != want {
		t.Errorf("%v, %v", tokens, err)
	}
}

// No answer at all, or not in time: one request, and the grant may be as good as before.
func TestTokenEndpointThatDoesNotAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		token network
		want  string
		after time.Duration
	}{
		"it hangs, and the browser leaves": {func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, "no whole answer within 10s", time.Second},
		"it hangs": {func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, "no whole answer within 10s", 10 * time.Second},
		"it drips": {func(r *http.Request) (*http.Response, error) {
			response := answer(200, "application/json", "")
			response.Body = io.NopCloser(drip{r.Context()})
			return response, nil
		}, "no whole answer within 10s", 10 * time.Second},
		"it closes":       {func(*http.Request) (*http.Response, error) { return nil, io.EOF }, "the connection ended before the answer did", 0},
		"it is not HTTP":  {func(*http.Request) (*http.Response, error) { return nil, errors.New("hidden") }, "the answer is not valid HTTP", 0},
		"the body is cut": {func(*http.Request) (*http.Response, error) { return cut(), nil }, "the connection ended before the answer did", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				p := atToken(t, func(r *http.Request) (*http.Response, error) {
					asked.Add(1)
					return test.token(r)
				})
				started := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.after == time.Second {
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				}
				_, err := p.Refresh(ctx, "hidden-old")
				wantError(t, err, test.want, []string{"hidden"}, identity.ErrUnavailable, fetch.ErrUnreachable)
				if asked.Load() != 1 || time.Since(started) != test.after {
					t.Errorf("asked %d times in %s", asked.Load(), time.Since(started))
				}
			})
		})
	}
}

// drip sends a blank a second.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func cut() *http.Response {
	response := answer(200, "application/json", "")
	response.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"access_token":"hid`), errorReader{}))
	return response
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTokenEndpointIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, asked atomic.Int64
		p := atToken(t, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			return answer(200, "application/json", issued(nil)), nil
		})
		var all sync.WaitGroup
		for range 640 {
			all.Go(func() {
				if _, err := p.Refresh(t.Context(), "hidden-old"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Refresh(ctx, "hidden-old")
		wantError(t, err, "while others asked the token endpoint", []string{"hidden"}, identity.ErrUnavailable)
		all.Wait()
		if asked.Load() != 640 || most.Load() != 64 {
			t.Errorf("asked %d times, %d at once", asked.Load(), most.Load())
		}
	})
}

// The issuer has moved its token endpoint: the new place is found before the document is old,
// and an attacker cannot make the proxy ask for it all the time.
func TestMovedTokenEndpointIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var documents atomic.Int64
		var at atomic.Pointer[string]
		before, after := "/old", "/new"
		at.Store(&before)
		p := fake(t, func(r *http.Request) (*http.Response, error) {
			switch r.URL.Path {
			case *at.Load():
				return answer(200, "application/json", issued(nil)), nil
			case "/realm/.well-known/openid-configuration":
				documents.Add(1)
				return answer(200, "application/json", document(map[string]any{"token_endpoint": "https://idp.example" + *at.Load()})), nil
			}
			return answer(404, "text/html", "hidden"), nil
		})
		if _, err := p.Refresh(t.Context(), "hidden-old"); err != nil {
			t.Fatal(err)
		}
		at.Store(&after)
		for range 100 {
			_, err := p.Refresh(t.Context(), "hidden-old")
			wantError(t, err, "status 404", []string{"hidden"}, identity.ErrUnavailable)
		}
		if documents.Load() != 1 {
			t.Errorf("%d documents within the time", documents.Load())
		}
		time.Sleep(10 * time.Second)
		_, err := p.Refresh(t.Context(), "hidden-old")
		wantError(t, err, "status 404", nil, identity.ErrUnavailable)
		_, _ = p.Metadata(t.Context()) // starts the fetch
		synctest.Wait()
		if _, err := p.Refresh(t.Context(), "hidden-old"); err != nil || documents.Load() != 2 {
			t.Errorf("%v after %d documents", err, documents.Load())
		}
	})
}

// Whatever the answer is, it is read as it was written or refused, and ends a session only if it
// says so.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, "application/json", issued(nil))
	f.Add(400, "application/json;charset=utf-8", `{"error":"invalid_grant"}`)
	f.Add(200, "text/plain", "access_token=a")
	f.Add(401, "application/json", `{"error":"invalid_client","Error":null}`)
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		p, err := codeflow.New(codeflow.Config{
			Issuer: issuer, ClientID: "dash", Auth: codeflow.ClientAuth{Method: codeflow.AuthNone}, NoDiscovery: true,
			AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t",
			Transport: network(func(*http.Request) (*http.Response, error) { return answer(status, kind, body), nil }),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		tokens, err := p.Refresh(t.Context(), "old")
		if err != nil {
			if tokens != nil || !identity.IsRefusal(err) || len(err.Error()) > 300 {
				t.Errorf("%v", err)
			}
			if errors.Is(err, codeflow.ErrGrantEnded) && (status < 400 || status > 499 || !strings.Contains(body, "error")) {
				t.Errorf("%d %q ends a session", status, body)
			}
			return
		}
		var members map[string]any
		if status != 200 || json.Unmarshal([]byte(body), &members) != nil || members["access_token"] != tokens.AccessToken {
			t.Errorf("%d %q is %+v", status, body, tokens)
		}
		if id, _ := members["id_token"].(string); id != tokens.IDToken {
			t.Errorf("%q is %+v", body, tokens)
		}
		if refresh, _ := members["refresh_token"].(string); refresh != tokens.RefreshToken && (refresh != "" || tokens.RefreshToken != "old") {
			t.Errorf("%q is %+v", body, tokens)
		}
	})
}
