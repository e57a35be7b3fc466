// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const alice = "X-Forwarded-User: alice"

const originalUserField = "Impersonate-Extra-Kube-Identity.caddyserver.com%2foriginal-User"

func TestAClientGoesOnAsTheUserWhomItMayBe(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob", "alice groups ops", "alice uids u-1", "alice userextras/tenant acme", "alice users carol")
	h := testhandler.Load(t, acting(t, r, nil))
	as := func(user string, more ...string) http.Header {
		header := http.Header{"Authorization": {"Bearer " + testhandler.OwnToken}, "Impersonate-User": {user}}
		for _, line := range more {
			name, value, _ := strings.Cut(line, ": ")
			header[name] = append(header[name], value)
		}
		return header
	}
	for name, test := range map[string]struct {
		fields []string
		want   http.Header
		user   string // of the placeholder
	}{
		"as bob":  {[]string{alice, "Impersonate-User: bob"}, as("bob", originalUserField+": alice"), "bob"},
		"herself": {[]string{alice, "X-Forwarded-Groups: dev", "X-Forwarded-Email: alice@example.com"}, as("alice", "Impersonate-Group: dev"), "alice"},
		// uid and extra go to the API server, which has allowed them, though the injector sends none by itself
		"with everything": {
			[]string{alice, "Impersonate-User: bob", "Impersonate-Group: ops", "Impersonate-Uid: u-1", "Impersonate-Extra-Tenant: acme"},
			as("bob", "Impersonate-Group: ops", "Impersonate-Uid: u-1", "Impersonate-Extra-Tenant: acme", originalUserField+": alice"), "bob",
		},
		// neither her groups nor her address are carol's
		"carol has nothing of alice's": {
			[]string{alice, "X-Forwarded-Groups: dev", "X-Forwarded-Email: alice@example.com", "Impersonate-User: carol"},
			as("carol", originalUserField+": alice"), "carol",
		},
		"without a credential": {nil, as("system:anonymous", "Impersonate-Group: system:unauthenticated"), "system:anonymous"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.Get(t, test.fields...)
			if got := sent(a.Upstream); a.Status != http.StatusOK || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%d (%s), the upstream gets\n%v, want\n%v", a.Status, a.Reason(), got, test.want)
			}
			if user := a.Placeholder("http.auth.user.id"); user != test.user {
				t.Errorf("{http.auth.user.id} is %q, want %q", user, test.user)
			}
			if email := a.Placeholder("http.auth.user.email"); test.user != "alice" && email != "" {
				t.Errorf("{http.auth.user.email} is %q", email)
			}
		})
	}
}

func TestAClientThatMayNotActAsAnother(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob")
	h := testhandler.Load(t, acting(t, r, object{"deny_users": []string{"root"}, "allow_groups": []string{"dev"}}))
	for name, test := range map[string]struct {
		fields []string
		status int
		reason string
		asked  []string
	}{
		"the API server says no": {
			[]string{alice, "Impersonate-User: dave"},
			403,
			`forbidden: users "dave" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope`,
			[]string{"alice users dave"},
		},
		"anonymous": {
			[]string{"Impersonate-User: bob"}, 403, "forbidden: a client without a credential asks to impersonate another user", nil,
		},
		"the policy denies the user":  {[]string{alice, "Impersonate-User: root"}, 403, `forbidden: user "root" is denied`, nil},
		"a reserved name":             {[]string{alice, "Impersonate-User: system:admin"}, 403, `forbidden: user "system:admin" is reserved`, nil},
		"a group that is not allowed": {[]string{alice, "Impersonate-User: bob", "Impersonate-Group: dev", "Impersonate-Group: ops"}, 403, `forbidden: the client asks to impersonate the group "ops", which allow_groups does not have`, nil},
		"a wish that cannot be read":  {[]string{alice, "Impersonate-Group: dev"}, 400, "malformed: the client asks to impersonate without naming a user", nil},
		"of another site's page": {
			[]string{alice, "Impersonate-User: bob", "Connection: Upgrade", "Upgrade: websocket", "Origin: https://evil.example"},
			403,
			`forbidden: a page of another origin opens a stream`, nil,
		},
		"a denied user who would be another": {[]string{"X-Forwarded-User: root", "Impersonate-User: bob"}, 403, `forbidden: user "root" is denied`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.Get(t, test.fields...)
			if a.Status != test.status || !strings.HasPrefix(a.Reason(), test.reason) || a.Upstream != nil {
				t.Errorf("%d, %s, upstream %v", a.Status, a.Reason(), a.Upstream)
			}
			if asked := r.take(); !slices.Equal(asked, test.asked) {
				t.Errorf("asked %q", asked)
			}
			if user := a.Placeholder("http.auth.user.id"); user != "" {
				t.Errorf("{http.auth.user.id} is %q", user)
			}
		})
	}
}

// Nothing is forwarded, and the next request asks again.
func TestAnImpersonationThatCannotBeDecided(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob")
	h := testhandler.Load(t, acting(t, r, nil))
	for name, instead := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"403": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"429": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"kind":"SelfSubjectAccessReview"`))
		},
		"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		r.answers(instead)
		if a := h.Get(t, alice, "Impersonate-User: bob"); a.Status != http.StatusServiceUnavailable || a.Upstream != nil {
			t.Errorf("%s: %d (%s), upstream %v", name, a.Status, a.Reason(), a.Upstream)
		}
		if a := h.Get(t, alice); a.Status != http.StatusOK {
			t.Errorf("%s: alice as herself gets %d (%s)", name, a.Status, a.Reason())
		}
	}
	r.answers(nil)
	if a := h.Get(t, alice, "Impersonate-User: bob"); a.Status != http.StatusOK {
		t.Errorf("%d (%s)", a.Status, a.Reason())
	}
	r.Close()
	if a := h.Get(t, alice, "Impersonate-User: dave"); a.Status != http.StatusServiceUnavailable || a.Upstream != nil {
		t.Errorf("without an API server: %d (%s), upstream %v", a.Status, a.Reason(), a.Upstream)
	}
}

// A session or a verdict of alice's keeps what follows from it: not the user whom she was once.
func TestAWishIsNotKeptWithTheVerdictOfTheSource(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob", "alice users carol")
	h := testhandler.Load(t, acting(t, r, nil))
	for range 3 {
		for _, test := range []struct {
			fields []string
			want   string
		}{
			{[]string{alice, "Impersonate-User: bob"}, "bob"},
			{[]string{alice}, "alice"},
			{[]string{alice, "Impersonate-User: carol"}, "carol"},
			{[]string{"X-Forwarded-User: eve"}, "eve"},
			{[]string{"X-Forwarded-User: eve", "Impersonate-User: bob"}, ""},
		} {
			if got := h.Get(t, test.fields...).Upstream.Get("Impersonate-User"); got != test.want {
				t.Errorf("%v goes on as %q", test.fields, got)
			}
		}
	}
	if asked := r.take(); !slices.Equal(asked, []string{"alice users bob", "alice users carol", "eve users bob"}) {
		t.Errorf("asked %q", asked)
	}
	if got := h.Metrics(t, "caddy_kube_identity_cache_requests_total"); got["client_impersonation hit"] != 6 || got["client_impersonation miss"] != 3 {
		t.Errorf("lookups: %v", got)
	}
	if got := h.Metrics(t, "caddy_kube_identity_review_duration_seconds"); got[""] != 3 {
		t.Errorf("reviews: %v", got)
	}
}

// The next configuration, and another site, have the same verdicts: what they depend on is the same.
func TestVerdictsOfImpersonationOutliveAReload(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob")
	config := acting(t, r, nil)
	h := testhandler.Load(t, config)
	h.Get(t, alice, "Impersonate-User: bob")
	config["max_groups"] = 3
	next := testhandler.Load(t, config)
	h.End()
	if a := next.Get(t, alice, "Impersonate-User: bob"); a.Status != http.StatusOK {
		t.Errorf("%d (%s)", a.Status, a.Reason())
	}
	if asked := r.take(); !slices.Equal(asked, []string{"alice users bob"}) {
		t.Errorf("asked %q", asked)
	}
	state := guest.States()
	found := 0
	for key := range state {
		if strings.HasPrefix(key.(string), "client_impersonation ") {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d states: %v", found, state)
	}

	for _, test := range []struct {
		what  guest.Flush
		want  int
		asked int
	}{
		{guest.Flush{User: "eve"}, 0, 0},
		{guest.Flush{Source: "forwarded"}, 0, 0},
		{guest.Flush{Source: "client_impersonation"}, 1, 1},
		{guest.Flush{User: "alice"}, 1, 1},
		{guest.Flush{User: "bob"}, 1, 1},
		{guest.Flush{}, 1, 1},
	} {
		guest.Drop(guest.Flush{Source: "forwarded"}) // it keeps the identity of alice, too
		dropped := guest.Drop(test.what)
		next.Get(t, alice, "Impersonate-User: bob")
		if asked := r.take(); dropped.Verdicts != test.want || len(asked) != test.asked {
			t.Errorf("%+v: dropped %+v, then asked %q", test.what, dropped, asked)
		}
	}
	next.End()
	testhandler.WantNothingLeft(t)
}

// Both users are in the logs; whoami shows as whom the request goes on.
func TestTheLogNamesBothUsers(t *testing.T) {
	_, file := testhandler.Logging(t)
	r := newRights(t, "alice users bob", "alice groups ops")
	h := testhandler.Load(t, acting(t, r, object{"audit": "all"}))
	h.MiddlewareHandler.(guest.Detailer).GiveDetails()
	h.Get(t, alice, "X-Forwarded-Groups: dev", "Impersonate-User: bob", "Impersonate-Group: ops")
	h.Get(t, alice, "X-Forwarded-Groups: dev", "Impersonate-User: dave")
	h.Get(t, alice, "X-Forwarded-Groups: dev", "Impersonate-User: b\u202eob") // a terminal would turn the rest around
	h.Get(t, alice, "X-Forwarded-Groups: dev")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{
		`"msg":"allowed"`: 2,
		`"user":"alice","groups":["dev"],"impersonated":"bob","impersonated_groups":["ops"]`: 1,
		`"user":"alice","groups":["dev"],"impersonated":"dave","impersonated_groups":[]`:     2, // refused, and its audit
		`"impersonated":"\"b\\u202eob\""`:                                                    2,
		`"user":"bob"`:                                                                       0,
	} {
		if got := strings.Count(string(content), want); got != times {
			t.Errorf("%d times %s in the log, want %d\n%s", got, want, times, content)
		}
	}
	var passed *guest.Passed
	request := testhandler.Request(alice, "X-Forwarded-Groups: dev", "Impersonate-User: bob", "Impersonate-Group: ops")
	err = h.ServeHTTP(nopWriter{}, request, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		passed = passedOf(r.Context())
		return nil
	}))
	if err != nil || passed == nil || passed.User.Username != "bob" || !slices.Equal(passed.User.Groups, []string{"ops"}) || len(passed.LeftOut) > 0 {
		t.Errorf("whoami sees %+v, %v", passed, err)
	}
}

// The user's own token proves alice, and not bob: an injector of another repository gets none. What
// it does to an identity reaches neither other requests nor the question.
func TestAnInjectorOfAnotherRepositoryGetsNoTokenForAnotherUser(t *testing.T) {
	testhandler.Quiet(t)
	r := newRights(t, "alice users bob", "alice groups ops")
	config := acting(t, r, object{"sources": []any{object{"source": "test_badge"}}})
	config["injectors"] = append(config["injectors"].([]any), object{"injector": "test_scribble", "in_place": true})
	h := testhandler.Load(t, config)
	for range 3 {
		a := h.Get(t, "X-Badge: alice", "Impersonate-User: bob", "Impersonate-Group: ops")
		if got := a.Upstream["X-Scribble-User"]; !slices.Equal(got, []string{"bob", "test_badge", ""}) {
			t.Errorf("%d (%s), the injector gets %q", a.Status, a.Reason(), got)
		}
		if got := a.Upstream["Impersonate-Group"]; !slices.Equal(got, []string{"ops"}) {
			t.Errorf("the groups are %q", got)
		}
		a = h.Get(t, "X-Badge: alice")
		if got := a.Upstream["X-Scribble-User"]; !slices.Equal(got, []string{"alice", "test_badge", "the token of alice"}) {
			t.Errorf("%d (%s), the injector gets %q", a.Status, a.Reason(), got)
		}
	}
}

// A stream that alice opens as bob ends with the token of alice.
func TestAnotherUserIsOneUntilTheCredentialEnds(t *testing.T) {
	testhandler.Quiet(t)
	issuer := testissuer.New(t)
	r := newRights(t, "alice users bob")
	h := testhandler.Load(t, acting(t, r, object{"sources": []any{testhandler.OIDC(issuer, nil)}}))
	h.MiddlewareHandler.(guest.Detailer).GiveDetails()
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	token := issuer.Token(t, object{"sub": "alice", "exp": ends.Unix()})
	var passed *guest.Passed
	serve := func() error {
		request := testhandler.Request("Authorization: Bearer "+token, "Impersonate-User: bob")
		return h.ServeHTTP(nopWriter{}, request, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			passed = passedOf(r.Context())
			return nil
		}))
	}
	testhandler.WaitUntil(t, "the keys are there", func() bool { return serve() == nil })
	if passed == nil || passed.User.Username != "bob" || !passed.Expires.Equal(ends) {
		t.Errorf("%+v, want it to end at %v", passed, ends)
	}
}

// nopWriter is a response that is not read.
type nopWriter struct{}

func (nopWriter) Header() http.Header         { return make(http.Header) }
func (nopWriter) Write(b []byte) (int, error) { return len(b), nil }
func (nopWriter) WriteHeader(int)             {}

func passedOf(ctx context.Context) *guest.Passed {
	passed, _ := ctx.Value(guest.PassedKey{}).(*guest.Passed)
	return passed
}
