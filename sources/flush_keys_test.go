// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// A flush of another source's tokens asked the issuers of the file for their keys.
func TestOnlyAFlushThatConcernsASourceHasItsKeysFetched(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	path := authenticationFile(t, issuer)
	synctest.Test(t, func(t *testing.T) {
		s := testhandler.Load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector()})
		defer s.End()
		s.WantUser(t, issuer.Token(t, nil), "alice", 200)
		for _, test := range []struct {
			what    guest.Flush
			fetches bool
		}{
			{guest.Flush{Issuer: issuer.URL, Source: "oidc"}, false},
			{guest.Flush{Issuer: "https://other.example"}, false},
			{guest.Flush{User: "alice"}, false},
			{guest.Flush{Source: "authentication_config"}, false},
			{guest.Flush{Issuer: issuer.URL, Source: "authentication_config"}, true},
			{guest.Flush{Issuer: issuer.URL, User: "bob"}, true},
		} {
			time.Sleep(time.Minute) // the last fetch is not too recent
			asked := issuer.Fetches.Load()
			guest.Drop(test.what)
			time.Sleep(time.Second)
			if got := issuer.Fetches.Load() > asked; got != test.fetches {
				t.Errorf("%+v: keys are fetched: %v", test.what, got)
			}
		}
	})
	testhandler.WantNothingLeft(t)
}
