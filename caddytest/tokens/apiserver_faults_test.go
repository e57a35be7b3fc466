// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// answerWith is an answer of the API server with exactly this body.
func answerWith(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// answerOf is a TokenReview with a status.
func answerOf(status string) http.HandlerFunc {
	return answerWith(201, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":`+status+`}`)
}

// reviewFault is an answer that is not a plain yes or no, with the client's status and the
// reason in the log.
type reviewFault struct {
	name   string
	answer http.HandlerFunc
	status int
	reason string
}

func reviewFaults() []reviewFault {
	const admin = `"user":{"username":"admin","groups":["dev"]}`
	failure := func(status int, message string) http.HandlerFunc {
		return answerWith(status, "application/json", fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q}`, message))
	}
	return []reviewFault{
		{"a page", answerWith(200, "text/html", "<html>"+admin+"</html>"), 503, "the answer is not an object of the Kubernetes API"},
		{"nothing", answerWith(200, "application/json", ""), 503, "creating tokenreviews"},
		{"half of it", answerWith(201, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,`+admin), 503, "creating tokenreviews"},
		{"no kind", answerWith(201, "application/json", `{"status":{"authenticated":true,`+admin+`}}`), 503, "the answer has no kind or apiVersion"},
		{"another kind", answerWith(201, "application/json", `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,`+admin+`}}`), 503, "the answer is of another kind"},
		{"another version", answerWith(201, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1beta1","status":{"authenticated":true,`+admin+`}}`), 503, "the answer is of another kind"},
		{"no status", answerWith(201, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1"}`), 503, "the answer has no status"},
		{"too much", answerOf(`{"authenticated":true,` + admin + `,"error":"` + strings.Repeat(" ", 2<<20) + `"}`), 503, "the answer is larger than 1048576 bytes"},
		{"not found", answerWith(404, "text/plain", "404 page not found"), 503, "status 404"},
		{"forbidden", failure(403, `tokenreviews is forbidden: User "caddy" cannot create`), 503, "does not allow the proxy to create tokenreviews"},
		{"the proxy's credential is refused", failure(401, "Unauthorized"), 503, "the API server refuses the proxy's own credential"},
		{"busy", failure(429, "too many requests"), 503, "the API server is busy"},
		{"an error", failure(500, "etcdserver: request timed out"), 503, "status 500"},
		{"an error with a good answer", answerWith(500, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,`+admin+`}}`), 503, "status 500"},
		{"accepted, and not created", answerWith(202, "application/json", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,`+admin+`}}`), 503, "status 202"},
		{"the end of the connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, "creating tokenreviews"},
		{"true as text", answerOf(`{"authenticated":"true",` + admin + `}`), 503, "creating tokenreviews"},

		{"an empty status", answerOf(`{}`), 401, "the API server does not know it"},
		{"a user who is not authenticated", answerOf(`{` + admin + `}`), 401, "the API server does not know it"},
		{"a user beside an error", answerOf(`{"authenticated":true,` + admin + `,"error":"no"}`), 401, `the API server says "no"`},
		{"no user", answerOf(`{"authenticated":true}`), 401, "the answer names no user"},
		{"a user without a name", answerOf(`{"authenticated":true,"user":{"uid":"1","groups":["dev"]}}`), 401, "the answer names no user"},
		{"anonymous", answerOf(`{"authenticated":true,"user":{"username":"system:anonymous"}}`), 401, "the answer names an anonymous user"},
		{"unauthenticated", answerOf(`{"authenticated":true,"user":{"username":"a","groups":["system:unauthenticated"]}}`), 401, "the answer names an anonymous user"},
		{"a reserved user", answerOf(`{"authenticated":true,"user":{"username":"system:admin"}}`), 403, `user "system:admin" is reserved`},
		{"a reserved group", answerOf(`{"authenticated":true,"user":{"username":"a","groups":["system:masters"]}}`), 403, `group "system:masters" is reserved`},
		{"a user of blanks", answerOf(`{"authenticated":true,"user":{"username":" "}}`), 403, "the user begins or ends with a blank"},
		{"a group that breaks lines", answerOf(`{"authenticated":true,"user":{"username":"a","groups":["b\r\nImpersonate-User: admin"]}}`), 403, "the group has a control or format character"},
		{"another service account's groups", answerOf(`{"authenticated":true,"user":{"username":"system:serviceaccount:a:b","groups":["system:serviceaccounts:kube-system"]}}`), 403, `group "system:serviceaccounts:kube-system" is reserved`},
	}
}

// Unless the API server answers with a plain yes, nothing is forwarded, and an undecided
// token is asked about again by the next request.
func TestTokenReviewIsBroken(t *testing.T) {
	api := newAPI(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review {\n cache_ttl 1h\n}", anonymous, "inject front_proxy")))
	for _, c := range reviewFaults() {
		t.Run(c.name, func(t *testing.T) {
			token := api.Login(testreview.User{Username: "carol"})
			before := api.Asked()
			api.Answers(c.answer, nil)
			defer api.Answers(nil, nil)
			if c.status == http.StatusServiceUnavailable {
				g.askWhile(t, "", token, c.reason, 5*time.Second)
				g.askWhile(t, "", token, c.reason, 5*time.Second)
				again := int64(0) // net/http asks once more when an idle connection turns out to be dead
				if c.name == "the end of the connection" {
					again = 2
				}
				if asked := int64(api.Asked() - before); asked < 2 || asked > 2+again {
					t.Errorf("by two requests the API server was asked %d times", asked)
				}
				api.Answers(nil, nil)
				g.goesOn(t, "", token, http.Header{"X-Remote-User": {"carol"}})
				return
			}
			for range 2 {
				got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", []string{testhandler.Bearer(token)}, "")
				if got.Status != c.status || got.Text != "" || !strings.Contains(g.lastRefusal(t), c.reason) {
					t.Errorf("%d %q, refused: %s\nwant %d, %s", got.Status, got.Text, g.lastRefusal(t), c.status, c.reason)
				}
				g.CheckNothing(t)
			}
			wantAsked(t, api, before+1, "by two requests")
			g.Refused = len(g.Refusals(t))
		})
	}
}

// The answers that count as a yes, the parts of them that are left out, and the names that a
// service account may have.
func TestTokenReviewSaysYes(t *testing.T) {
	api := newAPI(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review", "inject front_proxy")))
	for answer, want := range map[string]http.Header{
		`{"authenticated":true,"user":{"username":"carol"}}`: {"X-Remote-User": {"carol"}},
		`{"authenticated":true,"user":{"username":"carol","groups":["system:authenticated","a, b"]},"audiences":["x"]}`: {
			"X-Remote-User": {"carol"}, "X-Remote-Group": {"a, b"},
		},
		`{"authenticated":true,"user":{"username":"system:serviceaccount:ns:sa","groups":["system:serviceaccounts","system:serviceaccounts:ns","system:authenticated"]}}`: {
			"X-Remote-User": {"system:serviceaccount:ns:sa"}, "X-Remote-Group": {"system:serviceaccounts", "system:serviceaccounts:ns"},
		},
	} {
		api.Answers(answerOf(answer), nil)
		g.goesOn(t, "", secret(t, "opaque-"+rand.Text()), want)
	}
}

// CVE-2022-3172: an API server that redirects could have the token and the proxy's own
// credential sent to any host.
func TestTokenReviewIsRedirected(t *testing.T) {
	var elsewhere atomic.Int64
	other := newAPI(t)
	other.Answers(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }, nil)
	api := newAPI(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review", "inject front_proxy")))
	token := api.Login(carol())
	for _, status := range []int{301, 302, 307, 308} {
		for _, target := range []string{"https://" + other.Addr + "/apis/authentication.k8s.io/v1/tokenreviews", "/elsewhere"} {
			api.Answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, status) }, nil)
			g.askWhile(t, "", token, "the API server redirects, which is not followed", 5*time.Second)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// An API server that is slow, hangs, or is away: known users are served for as long as
// cache_ttl, and the others get 503 in time.
func TestTokenReviewHangs(t *testing.T) {
	api := newAPI(t)
	g := tokenGuard(t, "", tokenSite(
		tokenBlock("calls", api.Kubeconfig(t, "timeout 1s"), "token_review {\n cache_ttl 1h\n}", "inject token"),
		tokenBlock("source", api.Kubeconfig(t, "timeout 1m"), "token_review {\n timeout 1s\n}", "inject token"),
	))
	known := api.Login(carol())
	g.goesOn(t, "calls", known, asBearer(known))
	api.Answers(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		answerOf(`{"authenticated":true,"user":{"username":"carol"}}`)(w, r)
	}, nil)
	for _, path := range []string{"calls", "source"} {
		token := api.Login(carol())
		g.goesOn(t, path, token, asBearer(token))
	}
	for name, hang := range map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the answer": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"carol"}`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			api.Answers(hang, nil)
			defer api.Answers(nil, nil)
			tokens := map[string]string{"calls": api.Login(carol()), "source": api.Login(carol())}
			for path, token := range tokens {
				g.askWhile(t, path, token, "", 4*time.Second)
			}
			g.goesOn(t, "calls", known, asBearer(known))
			api.Answers(nil, nil)
			for path, token := range tokens {
				g.goesOn(t, path, token, asBearer(token))
			}
		})
	}
	api.Stop()
	g.askWhile(t, "calls", api.Login(carol()), "creating tokenreviews", 4*time.Second) // refused, or a connection that ends
	g.goesOn(t, "calls", known, asBearer(known))
	api.Start(t)
	g.untilOn(t, "calls", func() string { return api.Login(carol()) }, 5*time.Second)
}

// A client that invents tokens causes a review of each, and must not block other users'
// reviews: a token causes one review however many requests have it, and known tokens pass
// first.
func TestTokenFloodOfReviews(t *testing.T) {
	api := newAPI(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review {\n cache_ttl 1s\n qps 40\n max_in_flight 4\n timeout 5s\n}", "inject token")))
	known := api.Login(carol())
	g.goesOn(t, "", known, asBearer(known))
	url := "http://" + g.Addr + "/"
	transport := &http.Transport{MaxIdleConnsPerHost: 40}
	defer transport.CloseIdleConnections()

	one, before := api.Login(carol()), api.Asked() // at once, by many
	var running sync.WaitGroup
	for range 40 {
		running.Go(func() {
			if err := requestWith(t.Context(), transport, url, one); err != nil {
				t.Errorf("one token, many requests: %v", err)
			}
		})
	}
	running.Wait()
	wantAsked(t, api, before+1, "by many requests with one token")
	g.Upstream.Take()

	var under, most atomic.Int64
	api.Answers(func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		time.Sleep(100 * time.Millisecond)
		answerOf(`{"authenticated":false,"user":{}}`)(w, r)
	}, nil)
	before = api.Asked()
	start := time.Now()
	for range 300 {
		token := secret(t, "made-up-"+rand.Text())
		running.Go(func() {
			err := requestWith(t.Context(), transport, url, token)
			if err == nil || err.Error() != "status 401" && err.Error() != "status 503" {
				t.Errorf("an invented token: %v", err)
			}
		})
	}
	time.Sleep(1100 * time.Millisecond) // known's verdict has ended meanwhile
	api.Answers(nil, nil)
	began := time.Now()
	if err := requestWith(t.Context(), transport, url, known); err != nil {
		t.Errorf("a user from before the flood gets %v after %v", err, time.Since(began))
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a user from before the flood waited for %v", took)
	}
	running.Wait()
	// a second's worth may begin at once, and then 40 a second; half of them for unknown
	// tokens
	if asked, limit := api.Asked()-before, 22+int(21*time.Since(start).Seconds()); asked > limit {
		t.Errorf("the API server was asked %d times in %v, want no more than %d", asked, time.Since(start), limit)
	}
	if most.Load() > 4 {
		t.Errorf("%d reviews were under way at once", most.Load())
	}
	for _, r := range g.Upstream.Take() {
		if r.Header.Get("Authorization") != "Bearer "+known {
			t.Errorf("the upstream received %+v", r)
		}
	}
	g.Refused = len(g.Refusals(t))
}
