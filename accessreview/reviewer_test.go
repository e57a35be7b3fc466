// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/accessreview"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// cluster is an API server that lets each user impersonate some names.
type cluster struct {
	mu    sync.Mutex
	may   map[string][]string // by user, "resource name"
	asked []string            // "user resource name"
	down  bool
	takes time.Duration
	open  int
	most  int // that were open at once
}

func (c *cluster) ReviewAccess(ctx context.Context, as http.Header, what kubernetes.ResourceAttributes) (bool, error) {
	c.mu.Lock()
	user, name := as.Get("Impersonate-User"), what.Resource+" "+what.Name
	c.asked = append(c.asked, user+" "+name)
	takes, down, allowed := c.takes, c.down, slices.Contains(c.may[user], name)
	c.open++
	c.most = max(c.most, c.open)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
	}()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", identity.ErrUnavailable, ctx.Err())
		}
	}
	if down {
		return false, fmt.Errorf("%w: the API server is down", identity.ErrUnavailable)
	}
	return allowed, nil
}

// change changes the cluster's rights or state.
func (c *cluster) change(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// take returns the questions since the last call, in order.
func (c *cluster) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	slices.Sort(asked)
	return asked
}

// by is a user as the injector writes it.
func by(user string, groups ...string) accessreview.Requester {
	header := http.Header{"Authorization": {"Bearer proxy"}, "Impersonate-User": {user}}
	if len(groups) > 0 {
		header["Impersonate-Group"] = groups
	}
	return accessreview.Requester{Username: user, Header: header}
}

func as(user string, groups ...string) *identity.User {
	return &identity.User{Username: user, Groups: groups}
}

func newReviewer(t *testing.T, c *cluster) *accessreview.Reviewer {
	t.Helper()
	r := &accessreview.Reviewer{Client: c, Cache: accessreview.NewCache(), Limit: tokencache.NewLimit(0, 0)}
	t.Cleanup(r.Cache.Close)
	return r
}

// wantDenied asserts which resource and name a review denies.
func wantDenied(t *testing.T, err error, user, name string) {
	t.Helper()
	denial, ok := errors.AsType[*accessreview.DeniedError](err)
	if !ok || denial.User != user || denial.Resource+" "+denial.Name != name || !identity.IsRefusal(err) {
		t.Errorf("got %v, want a denial of %s for %s", err, name, user)
	}
}

func wantAsked(t *testing.T, c *cluster, want ...string) {
	t.Helper()
	if got := c.take(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestAUserMayActAsWhomRBACAllows(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob", "groups ops"}}}
	r := newReviewer(t, c)
	if err := r.Review(t.Context(), by("alice"), as("bob", "ops")); err != nil {
		t.Error(err)
	}
	wantAsked(t, c, "alice groups ops", "alice users bob")
}

// Who may be ops may not add dev; and a group that is denied is not taken for one that was not asked.
func TestOneValueThatIsNotAllowedRefusesAll(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob", "groups ops"}}}
	r := newReviewer(t, c)
	wantDenied(t, r.Review(t.Context(), by("alice"), as("bob", "ops", "dev")), "alice", "groups dev")
	wantDenied(t, r.Review(t.Context(), by("alice"), as("bob", "dev", "ops")), "alice", "groups dev")
}

// A request that asks for 64 values of a user that the client may not be costs one question.
func TestWhoMayNotBeTheUserIsNotAskedAboutMore(t *testing.T) {
	c := &cluster{}
	r := newReviewer(t, c)
	wantDenied(t, r.Review(t.Context(), by("eve"), as("bob", "ops", "dev")), "eve", "users bob")
	wantAsked(t, c, "eve users bob")
}

func TestVerdictsAreKeptForTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{may: map[string][]string{"alice": {"users bob"}}}
		r := newReviewer(t, c)
		defer r.Cache.Close()
		ask := func() (error, error) {
			return r.Review(t.Context(), by("alice"), as("bob")), r.Review(t.Context(), by("eve"), as("bob"))
		}
		for range 5 { // as kubectl does: discovery first
			alice, eve := ask()
			if alice != nil {
				t.Error(alice)
			}
			wantDenied(t, eve, "eve", "users bob")
		}
		wantAsked(t, c, "alice users bob", "eve users bob")

		c.change(func() { c.may = map[string][]string{"eve": {"users bob"}} })
		time.Sleep(accessreview.TTL - time.Millisecond)
		if alice, eve := ask(); alice != nil || eve == nil {
			t.Errorf("before the end: %v, %v", alice, eve)
		}
		time.Sleep(time.Millisecond)
		alice, eve := ask()
		wantDenied(t, alice, "alice", "users bob")
		if eve != nil {
			t.Error(eve)
		}
	})
}

// A verdict is about one requester, with exactly these groups and attributes.
func TestAVerdictIsNotAnotherRequesters(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob"}}}
	r := newReviewer(t, c)
	if err := r.Review(t.Context(), by("alice"), as("bob")); err != nil {
		t.Fatal(err)
	}
	c.take()
	c.change(func() { c.may = nil })
	withUID := by("alice")
	withUID.Header["Impersonate-Uid"] = []string{"2"}
	withExtra := by("alice")
	withExtra.Header["Impersonate-Extra-Scopes"] = []string{"none"}
	for name, requester := range map[string]accessreview.Requester{
		"another user":        by("eve"),
		"with a group":        by("alice", "guests"),
		"with two groups":     by("alice", "guests", "x"),
		"with them joined":    by("alice", "guestsx"),
		"with a uid":          withUID,
		"with an extra":       withExtra,
		"in another spelling": by("Alice"),
	} {
		wantDenied(t, r.Review(t.Context(), requester, as("bob")), requester.Username, "users bob")
		if asked := c.take(); len(asked) != 1 {
			t.Errorf("%s: asked %q", name, asked)
		}
	}
	renewed := by("alice")
	renewed.Header["Authorization"] = []string{"Bearer renewed"}
	if err := r.Review(t.Context(), renewed, as("bob")); err != nil || len(c.take()) != 0 {
		t.Errorf("the proxy's renewed token counts: %v", err)
	}
}

// Without the user the API server would be asked about the proxy itself, which may do everything.
func TestTheAPIServerIsNeverAskedAboutTheProxy(t *testing.T) {
	c := &cluster{may: map[string][]string{"": {"users bob"}, "alice": {"users bob"}, "eve": {"users bob"}}}
	r := newReviewer(t, c)
	for name, header := range map[string]http.Header{
		"nothing":         {},
		"no user":         {"Authorization": {"Bearer proxy"}},
		"an empty user":   {"Authorization": {"Bearer proxy"}, "Impersonate-User": {""}},
		"two users":       {"Authorization": {"Bearer proxy"}, "Impersonate-User": {"alice", "eve"}},
		"another user":    {"Authorization": {"Bearer proxy"}, "Impersonate-User": {"eve"}},
		"no credential":   {"Impersonate-User": {"alice"}},
		"two credentials": {"Authorization": {"Bearer proxy", "Bearer x"}, "Impersonate-User": {"alice"}},
	} {
		err := r.Review(t.Context(), accessreview.Requester{Username: "alice", Header: header}, as("bob"))
		if !errors.Is(err, identity.ErrInternal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantAsked(t, c)
}

func TestAnOutageIsNotKept(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob"}}, down: true}
	r := newReviewer(t, c)
	err := r.Review(t.Context(), by("alice"), as("bob"))
	if !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) ||
		err.Error() != "unavailable: reviewing an impersonation: unavailable: the API server is down" {
		t.Error(err)
	}
	c.change(func() { c.down = false })
	if err := r.Review(t.Context(), by("alice"), as("bob")); err != nil {
		t.Error(err)
	}
}

// A definite no is the answer, whatever else could not be decided: trying again would not help.
func TestANoGoesBeforeAnOutage(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob", "groups ops"}}}
	r := newReviewer(t, c)
	wantDenied(t, r.Review(t.Context(), by("alice"), as("bob", "dev")), "alice", "groups dev")
	c.change(func() { c.down = true })
	wantDenied(t, r.Review(t.Context(), by("alice"), as("bob", "ops", "dev")), "alice", "groups dev")
}

// One budget for all questions, and no more than a few at once.
func TestAllQuestionsHaveOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var groups []string
		may := []string{"users bob"}
		for n := range 60 {
			groups = append(groups, fmt.Sprint("g", n))
			may = append(may, fmt.Sprint("groups g", n))
		}
		c := &cluster{may: map[string][]string{"alice": may}, takes: time.Second}
		r := newReviewer(t, c)
		defer r.Cache.Close()
		start := time.Now()
		err := r.Review(t.Context(), by("alice"), as("bob", groups...))
		if took := time.Since(start); took != accessreview.Budget || !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("%v after %v", err, took)
		}
		synctest.Wait()
		c.change(func() {
			if c.most != 8 {
				t.Errorf("%d questions at once, want 8", c.most)
			}
		})
	})
}

// kubectl sends several requests at once.
func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{may: map[string][]string{"alice": {"users bob"}}, takes: time.Second}
		r := newReviewer(t, c)
		defer r.Cache.Close()
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if err := r.Review(t.Context(), by("alice"), as("bob")); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		wantAsked(t, c, "alice users bob")
	})
}

// A user who invents names cannot keep others waiting who were let through a while ago.
func TestAFloodOfInventedNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{may: map[string][]string{"alice": {"users bob"}}, takes: 100 * time.Millisecond}
		r := newReviewer(t, c)
		defer r.Cache.Close()
		if err := r.Review(t.Context(), by("alice"), as("bob")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		refused := make(chan error, 2000)
		for n := range 2000 {
			wait.Go(func() { refused <- r.Review(ctx, by("eve"), as(fmt.Sprint("nobody", n))) })
		}
		synctest.Wait()
		start := time.Now()
		if err := r.Review(t.Context(), by("alice"), as("bob")); err != nil || time.Since(start) > 200*time.Millisecond {
			t.Errorf("alice waits %v: %v", time.Since(start), err)
		}
		time.Sleep(accessreview.Budget)
		cancel()
		wait.Wait()
		if asked := len(c.take()); asked > 400 {
			t.Errorf("the API server was asked %d times within five seconds", asked)
		}
	})
}

func TestVerdictsCanBeFlushed(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob"}, "carol": {"users dave"}}}
	r := newReviewer(t, c)
	ask := func() {
		t.Helper()
		if err := errors.Join(r.Review(t.Context(), by("alice"), as("bob")), r.Review(t.Context(), by("carol"), as("dave"))); err != nil {
			t.Fatal(err)
		}
		_ = r.Review(t.Context(), by("eve"), as("bob"))
	}
	ask()
	c.take()
	for _, test := range []struct {
		user      string
		good, bad int
		asked     []string
	}{
		{"alice", 1, 1, []string{"alice users bob", "eve users bob"}}, // a refusal says nothing about a user
		{"dave", 1, 1, []string{"carol users dave", "eve users bob"}},
		{"", 2, 1, []string{"alice users bob", "carol users dave", "eve users bob"}},
		{"nobody", 0, 1, []string{"eve users bob"}},
	} {
		if good, bad := accessreview.Flush(r.Cache, test.user); good != test.good || bad != test.bad {
			t.Errorf("%q: %d and %d verdicts", test.user, good, bad)
		}
		ask()
		wantAsked(t, c, test.asked...)
	}
}

// The command check lists the questions.
func TestEachVerdictIsReported(t *testing.T) {
	c := &cluster{may: map[string][]string{"alice": {"users bob"}}}
	r := newReviewer(t, c)
	var said []string
	r.OnVerdict = func(what kubernetes.ResourceAttributes, err error) {
		said = append(said, fmt.Sprint(what.Resource, " ", what.Name, " ", err == nil))
	}
	hits := make(map[bool]int)
	r.OnLookup = func(hit bool) { hits[hit]++ }
	for range 2 {
		wantDenied(t, r.Review(t.Context(), by("alice"), as("bob", "ops")), "alice", "groups ops")
	}
	want := []string{"users bob true", "groups ops false"}
	if !reflect.DeepEqual(said, append(want, want...)) || hits[true] != 2 || hits[false] != 2 {
		t.Errorf("said %s, hits %v", strings.Join(said, ", "), hits)
	}
}
