// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
)

// An issuer is down, comes up, is lost for two days, and comes back. There is one call for each
// transition, however many fetches fail.
func TestStatusAndTransitionsOfRemoteKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "rsa-1", "p256-1")
		working := issuer.answers[keysURL]
		down := fakeAnswer{err: errors.New("connection refused")}
		issuer.answer(keysURL, down)
		var changes []string
		keys, err := NewRemoteKeys(RemoteConfig{Issuer: keysIssuer, Transport: issuer, OnChange: func(err error, kept bool) {
			changes = append(changes, fmt.Sprintf("lost %v, kept %v", err != nil, kept))
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		want := func(name string, usable, failing bool, count int, age time.Duration, wantChanges ...string) {
			t.Helper()
			synctest.Wait()
			now := time.Now()
			got := keys.Status(now)
			if got.Usable != usable || (got.Err != nil) != failing || got.Count != count {
				t.Errorf("%s: %+v", name, got)
			}
			if age >= 0 && now.Sub(got.Fetched) != age || age < 0 && !got.Fetched.IsZero() {
				t.Errorf("%s: fetched %v ago", name, now.Sub(got.Fetched))
			}
			if !slices.Equal(changes, wantChanges) {
				t.Errorf("%s: the changes are %q, want %q", name, changes, wantChanges)
			}
			changes = nil
		}
		want("at first", false, true, 0, -1)
		for range 3 {
			keys.Renew()
			synctest.Wait()
			time.Sleep(askAgain)
		}
		want("never up", false, true, 0, -1, "lost true, kept false")
		issuer.answer(keysURL, working)
		keys.Renew()
		want("up", true, false, 2, 0, "lost false, kept true")
		keys.Renew() // too soon
		issuer.answer(keysURL, down)
		time.Sleep(askAgain)
		keys.Renew()
		want("lost", true, true, 2, askAgain, "lost true, kept true")
		time.Sleep(time.Hour)
		keys.Renew()
		want("lost for an hour", true, true, 2, time.Hour+askAgain)
		time.Sleep(24 * time.Hour)
		want("the last good keys have ended", false, true, 0, 25*time.Hour+askAgain)
		keys.Renew()
		want("and that was noticed", false, true, 0, 25*time.Hour+askAgain, "lost true, kept false")
		issuer.answer(keysURL, fakeAnswer{status: http.StatusOK, body: "{\"keys\":[]}"})
		time.Sleep(askAgain)
		keys.Renew()
		want("back, and without a key: that is an answer too", true, false, 0, 0, "lost false, kept true")
	})
}

func TestStatusAndTransitionsOfFileKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, "", jwks(t, "rsa-1"))
		keys := mustFileKeys(t, path, nil)
		var changes []bool
		keys.OnChange(func(err error) { changes = append(changes, err != nil) })
		want := func(name string, failing bool, count int, wantChanges ...bool) {
			t.Helper()
			time.Sleep(filewatch.Interval)
			got := keys.Status(time.Now())
			if !got.Usable || (got.Err != nil) != failing || got.Count != count || got.Fetched.IsZero() || !slices.Equal(changes, wantChanges) {
				t.Errorf("%s: %+v, the changes are %v", name, got, changes)
			}
			changes = nil
		}
		want("at first", false, 1)
		keyFile(t, path, []byte("half"))
		want("half written", true, 1, true)
		want("still", true, 1)
		keyFile(t, path, jwks(t, "rsa-1", "p256-1"))
		want("whole", false, 2, false)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want("removed", true, 2, true)
		keys.Renew()
	})
}
