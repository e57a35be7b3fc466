// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"bytes"
	"maps"
	"net/http"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
)

// introspects is a configuration with the source for a server's tokens, with more options.
func introspects(t *testing.T, s *testintrospection.Server, file string, options object) object {
	t.Helper()
	source := object{
		"source": "introspection", "url": s.URL, "issuer": s.Issuer, "audience": []string{"dash"},
		"client_id": testintrospection.ClientID, "client_secret_file": file, "username_prefix": "-", "groups_claim": "groups",
	}
	if s.CA != nil {
		source["trust_pool"] = testhandler.InlinePool(s.CA)
	}
	maps.Copy(source, options)
	return object{"sources": []any{source}, "injectors": testhandler.UserInjector()}
}

// In a bubble seconds pass at once; only the network takes time.
func TestIntrospectionWhileTheServerIsAway(t *testing.T) {
	testhandler.Logging(t)
	server := testintrospection.New(t)
	bobs, carols := server.Login(object{"sub": "bob"}), server.Login(object{"sub": "carol"})
	server.CloseConnections()
	config := introspects(t, server, testintrospection.SecretFile(t), object{"cache_ttl": "30s", "negative_cache_ttl": "5s"})
	config["sources"] = append(config["sources"].([]any), object{"source": "anonymous", "on_failure": true})
	synctest.Test(t, func(t *testing.T) {
		server.Know(bobs, object{"sub": "bob", "exp": time.Now().Add(time.Hour).Unix(), "iat": nil}) // by the bubble's clock
		server.Know(carols, object{"sub": "carol", "exp": time.Now().Add(20 * time.Second).Unix(), "iat": nil})
		s := testhandler.Load(t, config)
		defer s.End()
		s.WantUser(t, bobs, "bob", 200)
		server.Answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		s.WantUser(t, bobs, "bob", 200) // by the earlier verdict
		s.WantUser(t, carols, "", 503)  // not anonymous: the token is not known to be bad
		server.Answers(nil)
		s.WantUser(t, carols, "carol", 200) // at once: an undecided result is not kept
		time.Sleep(20*time.Second - 1)
		s.WantUser(t, carols, "carol", 200)
		before := server.Asked()
		time.Sleep(time.Second + 1)
		s.WantUser(t, carols, "carol", 200) // within the skew, and asked about each time
		s.WantUser(t, carols, "carol", 200)
		if asked := server.Asked() - before; asked != 2 {
			t.Errorf("after exp the server was asked %d times by two requests", asked)
		}
		server.Answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		s.WantUser(t, bobs, "bob", 200)
		time.Sleep(9 * time.Second)
		s.WantUser(t, bobs, "", 503)
	})
	testhandler.WantNothingLeft(t)
}

// A token that many requests bring at once is introspected once, also over a reload; a flush has
// it introspected again.
func TestIntrospectionAsksOnceUntilItIsFlushed(t *testing.T) {
	testhandler.Logging(t)
	server, file := testintrospection.New(t), testintrospection.SecretFile(t)
	token := server.Login(nil)
	s := testhandler.Load(t, introspects(t, server, file, nil))
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() {
			if a := s.Get(t, "Authorization: Bearer "+token); a.Status != http.StatusOK {
				t.Errorf("status %d (%s)", a.Status, a.Reason())
			}
		})
	}
	together.Wait()
	next := testhandler.Load(t, introspects(t, server, file, nil))
	s.End()
	next.WantUser(t, token, "alice", 200)
	if got := server.Asked(); got != 1 {
		t.Errorf("the server was asked %d times", got)
	}
	next.WantUser(t, "invented", "", 401)

	want := guest.CacheState{Source: "introspection", Issuers: []string{server.Issuer}, Size: 4096, Verdicts: 1, Refusals: 1, Users: map[string]int{"alice": 1}}
	caches := guest.Inspect(time.Now(), true).Caches
	if len(caches) != 1 {
		t.Fatalf("the state has %+v", caches)
	}
	got := caches[0]
	got.Hits, got.Misses, got.HitRate = 0, 0, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the state has %+v, want %+v", got, want)
	}
	for _, what := range []guest.Flush{{Issuer: "https://other.example"}, {Source: "token_review"}} {
		if dropped := guest.Drop(what); dropped != (guest.Flushed{}) {
			t.Errorf("%+v dropped %+v", what, dropped)
		}
	}
	if dropped := guest.Drop(guest.Flush{Issuer: server.Issuer, User: "alice"}); dropped != (guest.Flushed{Verdicts: 1, Refusals: 1}) {
		t.Errorf("dropped %+v", dropped)
	}
	server.Revoke(token)
	next.WantUser(t, token, "", 401)
	if hits := next.Metrics(t, "caddy_kube_identity_cache_requests_total"); hits["introspection hit"] == 0 || hits["introspection miss"] == 0 {
		t.Errorf("the metrics have %v", hits)
	}
	if took := next.Metrics(t, "caddy_kube_identity_review_duration_seconds"); took[""] < 2 {
		t.Errorf("the metrics have %v", took)
	}
	next.End()
	testhandler.WantNothingLeft(t)
}

// A claim with the groups that no answer has is a mistake in the configuration.
func TestIntrospectionRemarksThatGroupsAreMissing(t *testing.T) {
	_, file := testhandler.Logging(t)
	server := testintrospection.New(t)
	s := testhandler.Load(t, introspects(t, server, testintrospection.SecretFile(t), object{"groups_claim": "roles"}))
	s.WantUser(t, server.Login(nil), "alice", 200)
	s.End()
	log, err := os.ReadFile(file)
	if err != nil || bytes.Count(log, []byte("no valid token has had the claim of groups_claim")) != 1 {
		t.Errorf("the log has %v\n%s", err, log)
	}
}
