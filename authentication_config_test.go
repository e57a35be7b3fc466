// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authenticationConfig is the API server's file for these issuers.
func authenticationConfig(t *testing.T, issuers ...*testIssuer) string {
	t.Helper()
	var jwt []any
	for _, issuer := range issuers {
		jwt = append(jwt, object{
			"issuer": object{
				"url": issuer.URL, "audiences": []string{"dashboards"}, "certificateAuthority": pemText(issuer.Certificate()),
			},
			"claimMappings": object{"username": object{"claim": "sub", "prefix": ""}},
		})
	}
	text, err := json.Marshal(object{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func authenticationFile(t *testing.T, issuers ...*testIssuer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authentication.json")
	writeAll(t, path, authenticationConfig(t, issuers...))
	return path
}

// In a bubble, where a second passes at once, but for what the network takes.
func TestAuthenticationConfigFollowsItsFile(t *testing.T) {
	_, logFile := loggingTo(t)
	one, two := newIssuer(t), newIssuer(t)
	path := authenticationFile(t, one)
	synctest.Test(t, func(t *testing.T) {
		s := load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": withUser()})
		defer s.end()
		ofOne, ofTwo := one.token(t, nil), two.token(t, object{"sub": "bob"})
		for range 2 {
			s.wantUser(t, ofOne, "alice", 200)
			s.wantUser(t, ofTwo, "", 401)
		}
		asked := one.asked.Load()

		writeAll(t, path, authenticationConfig(t, two, one))
		s.wantUser(t, ofTwo, "", 401) // within the second
		time.Sleep(time.Second)
		s.wantUser(t, ofTwo, "bob", 200)
		s.wantUser(t, ofOne, "alice", 200)
		if got := one.asked.Load(); got != asked {
			t.Errorf("the issuer that stayed was asked for its keys %d times more", got-asked)
		}

		// the verdict of a moment ago is in the cache, for 10 seconds
		writeAll(t, path, authenticationConfig(t, two))
		time.Sleep(time.Second)
		s.wantUser(t, ofOne, "", 401)
		s.wantUser(t, ofTwo, "bob", 200)

		// other claims, other audiences: no verdict under the last file counts
		changed := strings.ReplaceAll(authenticationConfig(t, two), `"prefix":""`, `"prefix":"two:"`)
		writeAll(t, path, changed)
		time.Sleep(time.Second)
		s.wantUser(t, ofTwo, "two:bob", 200)
		writeAll(t, path, strings.ReplaceAll(changed, `["dashboards"]`, `["another"]`))
		time.Sleep(time.Second)
		s.wantUser(t, ofTwo, "", 401)
	})
	wantNothingLeft(t)
	if log, err := os.ReadFile(logFile); err != nil || bytes.Count(log, []byte(`"the file has changed"`)) != 4 {
		t.Errorf("the log does not have the four changes: %s, %v", log, err)
	}
}

func TestAuthenticationConfigKeepsTheLastGoodFile(t *testing.T) {
	_, logFile := loggingTo(t)
	one, two := newIssuer(t), newIssuer(t)
	path := authenticationFile(t, one)
	good := authenticationConfig(t, one)
	for name, content := range map[string]string{
		"missing":                          "",
		"empty":                            "\n",
		"half written":                     good[:len(good)/2],
		"of another kind":                  `{"apiVersion": "v1", "kind": "Config"}`,
		"a field that does not exist":      strings.Replace(good, `"kind"`, `"jwts": [], "kind"`, 1),
		"an issuer without an audience":    strings.Replace(good, `["dashboards"]`, `[]`, 1),
		"an issuer without a user":         strings.Replace(good, `"prefix":""`, `"prefix":null`, 1),
		"a good issuer beside a bad one":   strings.Replace(authenticationConfig(t, one, two), two.URL, "http://127.0.0.1", 1),
		"no issuer":                        strings.Replace(good, `"jwt":[`, `"jwt":[],"x":[`, 1),
		"two documents":                    good + "\n---\n" + authenticationConfig(t, two),
		"the same issuer twice":            authenticationConfig(t, one, one),
		"an expression that does not work": strings.Replace(good, `"claim":"sub","prefix":""`, `"expression":"claims.sub +"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			writeAll(t, path, good)
			writeAll(t, logFile, "")
			synctest.Test(t, func(t *testing.T) {
				s := load(t, object{"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": withUser()})
				defer s.end()
				alice, bob := one.token(t, nil), two.token(t, object{"sub": "bob"})
				s.wantUser(t, alice, "alice", 200)
				if name == "missing" {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				} else {
					writeAll(t, path, content)
				}
				time.Sleep(time.Second)
				s.wantUser(t, alice, "alice", 200)
				s.wantUser(t, bob, "", 401)
				log, err := os.ReadFile(logFile)
				if err != nil || !bytes.Contains(log, []byte(`"keeping the last good file"`)) {
					t.Errorf("the log says nothing of it: %s, %v", log, err)
				}
				if _, err := tryLoad(t, object{
					"sources": []any{object{"source": "authentication_config", "file": path}}, "injectors": withUser(),
				}); err == nil {
					t.Error("it is no error at load")
				}
				s.wantUser(t, alice, "alice", 200)
				writeAll(t, path, authenticationConfig(t, two))
				time.Sleep(time.Second)
				s.wantUser(t, bob, "bob", 200)
				s.wantUser(t, alice, "", 401)
			})
			wantNothingLeft(t)
		})
	}
}
