// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// In a bubble a second passes at once; only the network takes time.
func TestAuthenticationConfigFollowsItsFile(t *testing.T) {
	_, logFile := testhandler.Logging(t)
	one, two := testissuer.New(t), testissuer.New(t)
	path := authenticationFile(t, one)
	synctest.Test(t, func(t *testing.T) {
		s := testhandler.Load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector()})
		defer s.End()
		ofOne, ofTwo := one.Token(t, nil), two.Token(t, object{"sub": "bob"})
		for range 2 {
			s.WantUser(t, ofOne, "alice", 200)
			s.WantUser(t, ofTwo, "", 401)
		}
		asked := one.Fetches.Load()

		testhandler.Write(t, path, authenticationConfig(t, two, one))
		s.WantUser(t, ofTwo, "", 401) // within the second
		time.Sleep(time.Second)
		s.WantUser(t, ofTwo, "bob", 200)
		s.WantUser(t, ofOne, "alice", 200)
		if got := one.Fetches.Load(); got != asked {
			t.Errorf("the issuer that stayed was asked for its keys %d times more", got-asked)
		}

		// the verdict of a moment ago is in the cache, for 10 seconds
		testhandler.Write(t, path, authenticationConfig(t, two))
		time.Sleep(time.Second)
		s.WantUser(t, ofOne, "", 401)
		s.WantUser(t, ofTwo, "bob", 200)

		// other claims, other audiences: no verdict under the last file counts
		changed := strings.ReplaceAll(authenticationConfig(t, two), `"prefix":""`, `"prefix":"two:"`)
		testhandler.Write(t, path, changed)
		time.Sleep(time.Second)
		s.WantUser(t, ofTwo, "two:bob", 200)
		testhandler.Write(t, path, strings.ReplaceAll(changed, `["dash"]`, `["another"]`))
		time.Sleep(time.Second)
		s.WantUser(t, ofTwo, "", 401)
	})
	testhandler.WantNothingLeft(t)
	if log, err := os.ReadFile(logFile); err != nil || bytes.Count(log, []byte(`"the file has changed"`)) != 4 {
		t.Errorf("the log does not have the four changes: %s, %v", log, err)
	}
}

// The API server (v1.37) has version 2 of go-oidc, which allows a minute before nbf; version 3
// allows five. A token that it does not take yet was taken here.
func TestAuthenticationConfigTakesATokenWhenTheAPIServerDoes(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	path := authenticationFile(t, issuer)
	synctest.Test(t, func(t *testing.T) {
		s := testhandler.Load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector()})
		defer s.End()
		in := func(wait time.Duration) int64 { return time.Now().Add(wait).Unix() }
		hour := in(time.Hour)
		for _, test := range []struct {
			claims object
			user   string
			status int
		}{
			{object{"exp": hour, "nbf": in(time.Minute)}, "alice", 200},
			{object{"exp": hour, "nbf": in(61 * time.Second)}, "", 401},
			{object{"exp": hour, "nbf": in(3 * time.Minute)}, "", 401},
			{object{"exp": in(-time.Second)}, "", 401},
		} {
			s.WantUser(t, issuer.Token(t, test.claims), test.user, test.status)
		}
	})
	testhandler.WantNothingLeft(t)
}

func TestAuthenticationConfigKeepsTheLastGoodFile(t *testing.T) {
	_, logFile := testhandler.Logging(t)
	one, two := testissuer.New(t), testissuer.New(t)
	path := authenticationFile(t, one)
	good := authenticationConfig(t, one)
	for name, content := range map[string]string{
		"missing":                          "",
		"empty":                            "\n",
		"half written":                     good[:len(good)/2],
		"another kind":                     `{"apiVersion": "v1", "kind": "Config"}`,
		"a field that does not exist":      strings.Replace(good, `"kind"`, `"jwts": [], "kind"`, 1),
		"an issuer without an audience":    strings.Replace(good, `["dash"]`, `[]`, 1),
		"an issuer without a user":         strings.Replace(good, `"prefix":""`, `"prefix":null`, 1),
		"a good issuer beside a bad one":   strings.Replace(authenticationConfig(t, one, two), two.URL, "http://127.0.0.1", 1),
		"issuers in a field that is wrong": strings.Replace(good, `"jwt":[`, `"jwt":[],"x":[`, 1),
		"two documents":                    good + "\n---\n" + authenticationConfig(t, two),
		"the same issuer twice":            authenticationConfig(t, one, one),
		"an expression that does not work": strings.Replace(good, `"claim":"sub","prefix":""`, `"expression":"claims.sub +"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Write(t, path, good)
			testhandler.Write(t, logFile, "")
			synctest.Test(t, func(t *testing.T) {
				s := testhandler.Load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector()})
				defer s.End()
				alice, bob := one.Token(t, nil), two.Token(t, object{"sub": "bob"})
				s.WantUser(t, alice, "alice", 200)
				if name == "missing" {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				} else {
					testhandler.Write(t, path, content)
				}
				time.Sleep(time.Second)
				s.WantUser(t, alice, "alice", 200)
				s.WantUser(t, bob, "", 401)
				log, err := os.ReadFile(logFile)
				if err != nil || !bytes.Contains(log, []byte(`"keeping the last good file"`)) {
					t.Errorf("the log does not mention the file: %s, %v", log, err)
				}
				if _, err := testhandler.TryLoad(t, object{
					"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector(),
				}); err == nil {
					t.Error("the file loads")
				}
				s.WantUser(t, alice, "alice", 200)
				testhandler.Write(t, path, authenticationConfig(t, two))
				time.Sleep(time.Second)
				s.WantUser(t, bob, "bob", 200)
				s.WantUser(t, alice, "", 401)
			})
			testhandler.WantNothingLeft(t)
		})
	}
}

// All issuers are removed from the file, to lock their users out. The last file with issuers
// stayed in use.
func TestAuthenticationConfigWithoutIssuersAcceptsNoToken(t *testing.T) {
	testhandler.Logging(t)
	one := testissuer.New(t)
	path := authenticationFile(t, one)
	config := object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": testhandler.UserInjector()}
	const head = `{"apiVersion":"apiserver.config.k8s.io/v1","kind":"AuthenticationConfiguration"`
	for name, content := range map[string]string{"an empty list": head + `,"jwt":[]}`, "no list": head + "}"} {
		t.Run(name, func(t *testing.T) {
			testhandler.Write(t, path, authenticationConfig(t, one))
			synctest.Test(t, func(t *testing.T) {
				s := testhandler.Load(t, config)
				defer s.End()
				alice := one.Token(t, nil)
				s.WantUser(t, alice, "alice", 200)
				testhandler.Write(t, path, content)
				time.Sleep(time.Second)
				if a := s.Get(t, "Authorization: Bearer "+alice); a.Status != 401 || a.Upstream != nil {
					t.Errorf("status %d, the upstream received %v", a.Status, a.Upstream)
				}
				if _, err := testhandler.TryLoad(t, config); err == nil || !strings.Contains(err.Error(), "jwt has no issuer") {
					t.Errorf("loading the file: %v", err)
				}
				testhandler.Write(t, path, authenticationConfig(t, one))
				time.Sleep(time.Second)
				s.WantUser(t, alice, "alice", 200)
			})
			testhandler.WantNothingLeft(t)
		})
	}
}
