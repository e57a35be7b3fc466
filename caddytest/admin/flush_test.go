// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// reviewing is a site whose tokens the API server reviews.
func reviewing(t *testing.T, cluster *testreview.API) string {
	t.Helper()
	return guarded(cluster.Kubeconfig(t)+`
		token_review {
			cache_ttl 1h
			qps 10000
			max_in_flight 1000
		}`, "inject headers {\n\t\t\tuser X-User\n\t\t}")
}

// An operator takes a group from alice and flushes her verdicts. No request that begins after
// the flush may still have the group: neither by a verdict that was kept, nor by one whose
// judgement began before the flush and ended after it.
func TestNoRequestIsServedFromAVerdictThatWasFlushedBeforeItBegan(t *testing.T) {
	const clients, tokens, flushes = 1000, 20, 5
	cluster := testreview.New(t)
	var group atomic.Int64 // of alice; it grows
	cluster.Answers(func(w http.ResponseWriter, _ *http.Request) {
		now := group.Load()
		time.Sleep(time.Duration(10+rand.IntN(40)) * time.Millisecond)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": map[string]any{
				"authenticated": true,
				"user":          testreview.User{Username: "alice", Groups: []string{"group-" + strings.Repeat("x", int(now))}},
			},
		})
	}, nil)
	o := start(t, "", reviewing(t, cluster))
	ctx, stop := context.WithCancel(t.Context())
	var flushed, answered atomic.Int64 // flushed: what alice's group was at least when the last flush returned
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for n := range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				began := flushed.Load()
				r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "http://"+o.site+"/", http.NoBody)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer token-of-alice-"+string(rune('a'+n%tokens)))
				response, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				_, seen, _ := strings.Cut(string(body), "group-")
				if response.StatusCode != http.StatusOK || int64(len(seen)) < began {
					t.Errorf("a request that began after flush %d was answered with %d %q", began, response.StatusCode, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := range int64(flushes) {
		before := answered.Load()
		testhandler.WaitUntil(t, "each client has had an answer", func() bool { return answered.Load() >= before+clients || t.Failed() })
		asked := cluster.Asked()
		dropped := o.flush(t, `{"user": "alice"}`)
		if dropped.Verdicts == 0 || dropped.Verdicts > tokens {
			t.Errorf("flush %d dropped %+v", n, dropped)
		}
		testhandler.WaitUntil(t, "judgements are under way", func() bool { return cluster.Asked() >= asked+tokens/2 || t.Failed() })
		group.Store(n + 1)
		o.flush(t, `{"user": "alice"}`)
		flushed.Store(n + 1)
	}
	before := answered.Load()
	testhandler.WaitUntil(t, "the last flush has been seen", func() bool { return answered.Load() >= before+clients || t.Failed() })
}

// Verdicts on other users stay, and what the handler derived from a verdict goes with it.
func TestFlushDropsTheVerdictsThatMatch(t *testing.T) {
	cluster := testreview.New(t)
	alice, bob := cluster.Login(testreview.User{Username: "alice"}), cluster.Login(testreview.User{Username: "bob"})
	o := start(t, "", reviewing(t, cluster))
	use := func() {
		for _, token := range []string{alice, bob} {
			if status, body := o.get(t, "/", testhandler.Bearer(token)); status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
		}
	}
	for _, test := range []struct {
		name, body string
		want       guest.Flushed
		reviews    int
	}{
		{"a user", `{"user": "alice"}`, guest.Flushed{Verdicts: 1}, 1},
		{"a user with a verdict of this source", `{"user": "bob", "source": "token_review"}`, guest.Flushed{Verdicts: 1}, 1},
		{"a source", `{"source": "token_review"}`, guest.Flushed{Verdicts: 2}, 2},
		{"a user without a verdict", `{"user": "carol"}`, guest.Flushed{}, 0},
		{"a name that only begins so", `{"user": "ali"}`, guest.Flushed{}, 0},
	} {
		use()
		before := cluster.Asked()
		if got := o.flush(t, test.body); got != test.want {
			t.Errorf("%s: dropped %+v, want %+v", test.name, got, test.want)
		}
		use()
		if asked := cluster.Asked() - before; asked != test.reviews {
			t.Errorf("%s: %d reviews, want %d", test.name, asked, test.reviews)
		}
	}
	if status, _ := o.get(t, "/", "Authorization: Bearer of-a-stranger"); status != http.StatusUnauthorized {
		t.Errorf("a bad token gets %d", status)
	}
	if got := o.flush(t, `{"user": "carol"}`); got != (guest.Flushed{Refusals: 1}) {
		t.Errorf("a refusal has no user, and goes with each flush: %+v", got)
	}
	if log := o.LogText(t); strings.Contains(log, `"carol"`) || !strings.Contains(log, `"user_hash":"`+guest.HashUser("carol")) {
		t.Error("the log must have the hash of the user, and not the name")
	}
}

func TestFlushRefusesWhatItDoesNotUnderstand(t *testing.T) {
	o := start(t, "", reviewing(t, testreview.New(t)))
	const asJSON = "Content-Type: application/json"
	for name, test := range map[string]struct {
		method, path, body, kind string
		status                   int
		why                      string
	}{
		"an empty body":                  {"POST", "flush", "", asJSON, 400, "the body is not one JSON object"},
		"an empty object":                {"POST", "flush", "{}", asJSON, 400, "says nothing to drop"},
		"a member that is not known":     {"POST", "flush", `{"group": "dev"}`, asJSON, 400, `the member \"group\" is not known`},
		"a member in another case":       {"POST", "flush", `{"User": "alice"}`, asJSON, 400, "is not known"},
		"a member twice":                 {"POST", "flush", `{"user": "alice", "user": "bob"}`, asJSON, 400, "twice"},
		"a number":                       {"POST", "flush", `{"user": 1}`, asJSON, 400, "is not a string with a text"},
		"an empty name":                  {"POST", "flush", `{"user": ""}`, asJSON, 400, "is not a string with a text"},
		"a list":                         {"POST", "flush", `["alice"]`, asJSON, 400, "the body is not one JSON object"},
		"two objects":                    {"POST", "flush", `{"user": "alice"}{}`, asJSON, 400, "the body is not one JSON object"},
		"an object that is cut off":      {"POST", "flush", `{"user": "alice"`, asJSON, 400, "the body is not one JSON object"},
		"a name that is not UTF-8":       {"POST", "flush", "{\"user\": \"\xff\"}", asJSON, 400, "the body is not one JSON object"},
		"a form":                         {"POST", "flush", "user=alice", "Content-Type: application/x-www-form-urlencoded", 400, "Content-Type"},
		"no type":                        {"POST", "flush", `{"user": "alice"}`, "X-Other: x", 400, "Content-Type"},
		"a user in the URL":              {"POST", "flush?user=alice", `{"user": "alice"}`, asJSON, 400, "there is a query"},
		"too much":                       {"POST", "flush", `{"user": "` + strings.Repeat("x", 64<<10) + `"}`, asJSON, 400, "larger"},
		"GET":                            {"GET", "flush", "", asJSON, 405, "POST"},
		"a source that is not there":     {"POST", "flush", `{"source": "oidc"}`, asJSON, 400, "the sources are token_review"},
		"a source with a long name":      {"POST", "flush", `{"source": "` + strings.Repeat("x", 9000) + `"}`, asJSON, 400, `has a source \"` + strings.Repeat("x", 64) + `\"… (9000 bytes)`},
		"half of a surrogate pair":       {"POST", "flush", `{"user": "a\ud800"}`, asJSON, 400, "has U+FFFD"},
		"an issuer that is not there":    {"POST", "flush", `{"issuer": "https://idp.example"}`, asJSON, 400, "the issuers are none"},
		"POST for the state":             {"POST", "state", "", asJSON, 405, "GET"},
		"a query that is not known":      {"GET", "state?user=alice", "", asJSON, 400, "users=hashed"},
		"users in a way that is unknown": {"GET", "state?users=all", "", asJSON, 400, "users=hashed"},
	} {
		status, body := ask(t, test.method, "http://"+o.admin+"/kube_identity/"+test.path, test.body, test.kind)
		if status != test.status || !strings.Contains(body, test.why) {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, test.status, test.why)
		}
	}
}
