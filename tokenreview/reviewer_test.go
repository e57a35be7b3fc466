// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokenreview"
)

// client is a Client that is a function.
type client func(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error)

func (c client) ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
	return c(ctx, token, audiences)
}

// says is a client that always answers the same.
func says(status authenticationv1.TokenReviewStatus) client {
	return func(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) {
		return &status, nil
	}
}

// yes is the answer about a good token.
func yes(change func(*authenticationv1.TokenReviewStatus)) authenticationv1.TokenReviewStatus {
	status := authenticationv1.TokenReviewStatus{
		Authenticated: true,
		User:          authenticationv1.UserInfo{Username: "alice", Groups: []string{"dev"}},
		Audiences:     []string{"dashboard"},
	}
	change(&status)
	return status
}

// jwt is a token with these claims.
func jwt(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// wantSentinel compares the sentinel, and that there is no other.
func wantSentinel(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) || !identity.IsRefusal(err) {
		tb.Fatalf("got %v, want exactly %v", err, want)
	}
}

func TestReviewReturnsTheUser(t *testing.T) {
	status := yes(func(s *authenticationv1.TokenReviewStatus) {
		s.User = authenticationv1.UserInfo{
			Username: "alice", UID: "42",
			Groups: []string{"system:authenticated", "ops", "dev", "dev", "system:masters", "system:authenticated", "System:Authenticated", ""},
			Extra:  map[string]authenticationv1.ExtraValue{"example.com/Tenant": {"acme", "b"}, "none": nil},
		}
	})
	var audiences []string
	var seconds []float64
	reviewer := &tokenreview.Reviewer{
		Client: client(func(_ context.Context, token string, asked []string) (*authenticationv1.TokenReviewStatus, error) {
			if token != "opaque" {
				t.Errorf("asked about %q", token)
			}
			audiences = asked
			return &status, nil
		}),
		Limit:    tokencache.NewLimit(0, 0),
		OnReview: func(s float64) { seconds = append(seconds, s) },
	}
	got, err := reviewer.Review(t.Context(), "opaque", true)
	if err != nil {
		t.Fatal(err)
	}
	want := tokencache.Verdict{User: identity.User{
		Username: "alice", UID: "42", Groups: []string{"ops", "dev", "dev", "system:masters", "System:Authenticated", ""},
		Extra: map[string][]string{"example.com/Tenant": {"acme", "b"}, "none": nil},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if audiences != nil || len(seconds) != 1 || seconds[0] < 0 {
		t.Errorf("audiences %q, observed %v", audiences, seconds)
	}
	status.User.Groups[1], status.User.Extra["example.com/Tenant"][0] = "mallory", "mallory"
	if !reflect.DeepEqual(got, want) {
		t.Error("the verdict shares memory with the answer")
	}
}

func TestReviewRejects(t *testing.T) {
	const token = "opaque-SECRET"
	type status = authenticationv1.TokenReviewStatus
	for name, test := range map[string]struct {
		status    status
		audiences []string
		want      string
	}{
		"an unknown token":              {status{Error: "[invalid bearer token, token lookup failed]"}, nil, `the API server says "[invalid bearer token, token lookup failed]"`},
		"a no without a reason":         {status{}, nil, "does not know it"},
		"a user without a yes":          {yes(func(s *status) { s.Authenticated = false }), nil, "does not know it"},
		"a yes with an error":           {yes(func(s *status) { s.Error = "but" }), nil, `the API server says "but"`},
		"a yes without a user":          {yes(func(s *status) { s.User.Username = "" }), nil, "names no user"},
		"a yes about an anonymous user": {yes(func(s *status) { s.User.Username = "system:anonymous" }), nil, "an anonymous user"},
		"a yes about an anonymous user's group": {
			yes(func(s *status) { s.User.Groups = []string{"dev", "system:unauthenticated"} }), nil, "an anonymous user",
		},
		"no audience, though asked":       {yes(func(s *status) { s.Audiences = nil }), []string{"dashboard"}, "names no audience"},
		"another audience":                {yes(func(s *status) { s.Audiences = []string{"vault", "Dashboard"} }), []string{"dashboard", "kube"}, "for another audience"},
		"an error that says the token":    {status{Error: "no " + token}, nil, "does not know it"},
		"an error of many bytes":          {status{Error: strings.Repeat("x", 5000)}, nil, "(5000 bytes)"},
		"an error that forges a log line": {status{Error: "a\n\x1b[2Jlevel=info"}, nil, `"a\n\x1b[2Jlevel=info"`},
	} {
		t.Run(name, func(t *testing.T) {
			reviewer := &tokenreview.Reviewer{Client: says(test.status), Audiences: test.audiences}
			verdict, err := reviewer.Review(t.Context(), token, false)
			wantSentinel(t, err, identity.ErrRejected)
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "SECRET") || len(err.Error()) > 200 {
				t.Errorf("got %q, want %q in it", err, test.want)
			}
			if !reflect.DeepEqual(verdict, tokencache.Verdict{}) {
				t.Errorf("there is %+v beside the error", verdict)
			}
		})
	}
}

func TestReviewAsksForAudiences(t *testing.T) {
	for _, answered := range [][]string{{"dashboard"}, {"kube"}, {"vault", "kube"}} {
		reviewer := &tokenreview.Reviewer{
			Audiences: []string{"dashboard", "kube"},
			Client: client(func(_ context.Context, _ string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
				if !slices.Equal(audiences, []string{"dashboard", "kube"}) {
					t.Errorf("asked for %q", audiences)
				}
				status := yes(func(s *authenticationv1.TokenReviewStatus) { s.Audiences = answered })
				return &status, nil
			}),
		}
		if verdict, err := reviewer.Review(t.Context(), "opaque", false); err != nil || verdict.User.Username != "alice" {
			t.Errorf("%q: %+v, %v", answered, verdict, err)
		}
	}
}

// CVE-2023-48312: an empty token made an anonymous request, which the proxy took for a
// user's.
func TestReviewNeverAsksAboutAnEmptyToken(t *testing.T) {
	reviewer := &tokenreview.Reviewer{Client: client(func(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) {
		t.Error("asked")
		return nil, errors.ErrUnsupported
	})}
	_, err := reviewer.Review(t.Context(), "", true)
	wantSentinel(t, err, identity.ErrRejected)
}

func TestReviewWithoutAnAnswer(t *testing.T) {
	observed := 0
	refusal := fmt.Errorf("%w: creating tokenreviews", identity.ErrUnavailable)
	for _, refuse := range []error{refusal, nil} {
		reviewer := &tokenreview.Reviewer{
			Client: client(func(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) {
				return nil, refuse
			}),
			// one at a time: the second would wait for ever if the first one's slot were lost
			Limit:    tokencache.NewLimit(100, 1),
			OnReview: func(float64) { observed++ },
		}
		for range 2 {
			_, err := reviewer.Review(t.Context(), "opaque", false)
			wantSentinel(t, err, identity.ErrUnavailable)
			if refuse != nil && !errors.Is(err, refuse) {
				t.Error(err)
			}
		}
	}
	if observed != 4 {
		t.Errorf("observed %d calls, not 4", observed)
	}
}

// A client that panics must not keep its slot for ever.
func TestReviewFreesItsSlotAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reviewer := &tokenreview.Reviewer{
			Client: client(func(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) { panic("bug") }),
			Limit:  tokencache.NewLimit(100, 1),
		}
		for range 3 {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic is swallowed")
					}
				}()
				_, _ = reviewer.Review(t.Context(), "opaque", true)
			}()
		}
	})
}

func TestReviewReservesForServiceAccounts(t *testing.T) {
	for username, want := range map[string][]string{
		"system:serviceaccount:default:builder": {"system:serviceaccount:default:builder", "system:serviceaccounts", "system:serviceaccounts:default"},
		"system:serviceaccount:kube-system:a.b": {"system:serviceaccount:kube-system:a.b", "system:serviceaccounts", "system:serviceaccounts:kube-system"},

		"alice":                                   nil,
		"system:admin":                            nil,
		"system:node:n1":                          nil,
		"system:serviceaccount":                   nil,
		"system:serviceaccount:":                  nil,
		"system:serviceaccount:default":           nil,
		"system:serviceaccount:default:":          nil,
		"system:serviceaccount::builder":          nil,
		"system:serviceaccount:default:a:b":       nil,
		"system:serviceaccount:Default:a":         nil,
		"system:serviceaccount:a.b:c":             nil,
		"system:serviceaccount:default:-a":        nil,
		"system:serviceaccount:default:a ":        nil,
		"system:serviceaccount:default:a\n":       nil,
		"System:serviceaccount:default:builder":   nil,
		" system:serviceaccount:default:builder":  nil,
		"system:serviceaccounts:default:builder":  nil,
		"oidc:system:serviceaccount:default:name": nil,
	} {
		reviewer := &tokenreview.Reviewer{Client: says(yes(func(s *authenticationv1.TokenReviewStatus) { s.User.Username = username }))}
		verdict, err := reviewer.Review(t.Context(), "opaque", false)
		if err != nil || !slices.Equal(verdict.AllowReserved, want) || verdict.User.Username != username {
			t.Errorf("%q: %q, %v", username, verdict.AllowReserved, err)
		}
	}
}

// Reserved names pass the policy as intended: the groups of the account's own namespace are
// allowed, and those of another are not.
func TestReviewedServiceAccountAndPolicy(t *testing.T) {
	for group, allowed := range map[string]bool{
		"system:serviceaccounts": true, "system:serviceaccounts:default": true, "dev": true, "system:authenticated": true,
		"system:serviceaccounts:kube-system": false, "system:masters": false, "system:nodes": false,
	} {
		reviewer := &tokenreview.Reviewer{Client: says(yes(func(s *authenticationv1.TokenReviewStatus) {
			s.User.Username, s.User.Groups = "system:serviceaccount:default:builder", []string{group}
		}))}
		verdict, err := reviewer.Review(t.Context(), "opaque", false)
		if err != nil {
			t.Fatal(err)
		}
		var policy identity.Policy
		err = policy.Check(&identity.Identity{User: verdict.User, AllowReserved: verdict.AllowReserved})
		if (err == nil) != allowed {
			t.Errorf("%s: %v", group, err)
		}
	}
}

func TestReviewReadsWhenATokenExpires(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, test := range map[string]struct {
		token string
		want  time.Time
	}{
		"a number":              {jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix()+60)), now.Add(time.Minute)},
		"a fraction":            {jwt(fmt.Sprintf(`{"exp":%d.75}`, now.Unix()+60)), now.Add(time.Minute)},
		"an exponent":           {jwt(`{"exp":4e9}`), time.Unix(4_000_000_000, 0)},
		"among others":          {jwt(fmt.Sprintf(`{"a":{"exp":1},"exp":%d,"EXP":1,"b":[]}`, now.Unix()+60)), now.Add(time.Minute)},
		"the year 9999":         {jwt(`{"exp":253402300799}`), time.Unix(253402300799, 0)},
		"the year 10000":        {jwt(`{"exp":253402300800}`), time.Time{}},
		"a number too large":    {jwt(`{"exp":1e999}`), time.Time{}},
		"text":                  {jwt(`{"exp":"1"}`), time.Time{}},
		"null":                  {jwt(`{"exp":null}`), time.Time{}},
		"none":                  {jwt(`{}`), time.Time{}},
		"in capitals only":      {jwt(`{"EXP":1}`), time.Time{}},
		"twice":                 {jwt(`{"exp":1,"exp":2}`), time.Time{}},
		"a list":                {jwt(`[1]`), time.Time{}},
		"half an object":        {jwt(`{"exp":1`), time.Time{}},
		"not base64url":         {"a.{}.b", time.Time{}},
		"an opaque token":       {"opaque", time.Time{}},
		"with one dot":          {"a." + strings.Split(jwt(`{"exp":1}`), ".")[1], time.Time{}},
		"with three dots":       {jwt(`{"exp":1}`) + ".x", time.Time{}},
		"with dots and no more": {"..", time.Time{}},
	} {
		reviewer := &tokenreview.Reviewer{Client: says(yes(func(*authenticationv1.TokenReviewStatus) {}))}
		verdict, err := reviewer.Review(t.Context(), test.token, false)
		if err != nil || !verdict.Expires.Equal(test.want) || verdict.Expires.IsZero() != test.want.IsZero() {
			t.Errorf("%s: %v, %v", name, verdict.Expires, err)
		}
	}
}

// The API server keeps a token as good for ten seconds, even past its end.
func TestReviewRejectsExpiredTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for claim, good := range map[string]bool{
			fmt.Sprint(now + 1): true, fmt.Sprint(now): false, fmt.Sprintf("%d.9", now): false, fmt.Sprint(now - 1): false,
			"0": false, "-1": false, "-1e300": false,
		} {
			reviewer := &tokenreview.Reviewer{Client: says(yes(func(*authenticationv1.TokenReviewStatus) {}))}
			_, err := reviewer.Review(t.Context(), jwt(`{"exp":`+claim+`}`), true)
			if good && err != nil {
				t.Errorf("%s: %v", claim, err)
			}
			if !good {
				wantSentinel(t, err, identity.ErrRejected)
			}
		}
	})
}

// A whole review, with a server instead of the API server.
func TestReviewOverTheWire(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.Proto != "HTTP/1.1" {
			t.Errorf("%s, %v", r.Proto, err)
		}
		review.Status.Error = "invalid bearer token"
		if review.Spec.Token == "good" {
			review.Status = yes(func(*authenticationv1.TokenReviewStatus) {})
		}
		if review.Spec.Token == "html" {
			_, _ = io.WriteString(w, "<html>")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "config")
	content := fmt.Sprintf(`{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c"}}],"clusters":[{"name":"c","cluster":
		{"server":%q,"certificate-authority-data":%q}}]}`, server.URL, base64.StdEncoding.EncodeToString(
		[]byte("-----BEGIN CERTIFICATE-----\n"+base64.StdEncoding.EncodeToString(server.Certificate().Raw)+"\n-----END CERTIFICATE-----\n")))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	asker, err := kubernetes.New(kubernetes.Config{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	reviewer := &tokenreview.Reviewer{Client: asker, Audiences: []string{"dashboard"}, Limit: tokencache.NewLimit(0, 0)}
	if verdict, err := reviewer.Review(t.Context(), "good", false); err != nil || verdict.User.Username != "alice" {
		t.Errorf("%+v, %v", verdict, err)
	}
	for token, want := range map[string]error{"bad": identity.ErrRejected, "html": identity.ErrUnavailable} {
		_, err := reviewer.Review(t.Context(), token, false)
		wantSentinel(t, err, want)
	}
}

func BenchmarkReview(b *testing.B) {
	status := yes(func(s *authenticationv1.TokenReviewStatus) {
		s.User.Username = "system:serviceaccount:default:builder"
		s.User.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}
		s.User.Extra = map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/credential-id": {"JTI=x"}}
	})
	for name, token := range map[string]string{
		"opaque": "opaque", "jwt": jwt(`{"aud":["dashboard"],"exp":4102444800,"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:default:builder"}`),
	} {
		b.Run(name, func(b *testing.B) {
			reviewer := &tokenreview.Reviewer{Client: says(status), Audiences: []string{"dashboard"}, Limit: tokencache.NewLimit(1e9, 0)}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reviewer.Review(ctx, token, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
