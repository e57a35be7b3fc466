// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// The API server is down, gives a token, is down until that has expired, and gives the next one.
func TestStatusAndTransitionsOfAServiceAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := tokenAnswer{err: errDown}
		answers := []tokenAnswer{down, down, {life: 10 * time.Minute}}
		for range 20 {
			answers = append(answers, down)
		}
		server := &tokenServer{answers: append(answers, tokenAnswer{life: time.Hour})}
		var changes []string
		account := &impersonation.ServiceAccount{Request: server.request, OnChange: func(err error, kept bool) {
			changes = append(changes, fmt.Sprintf("lost %v, kept %v", err != nil, kept))
		}}
		if got := account.Status(time.Now()); got.Usable || got.Err == nil {
			t.Errorf("before its start: %+v", got)
		}
		account.Start()
		defer account.Close()
		synctest.Wait()
		if got := account.Status(time.Now()); got.Usable || got.Err == nil {
			t.Errorf("while the API server is down: %+v", got)
		}
		time.Sleep(time.Minute)
		if got := account.Status(time.Now()); !got.Usable || got.Err != nil || got.Until.IsZero() {
			t.Errorf("with a token: %+v", got)
		}
		time.Sleep(8*time.Minute + 40*time.Second)
		if got := account.Status(time.Now()); !got.Usable || got.Err == nil {
			t.Errorf("while it cannot be renewed: %+v", got)
		}
		time.Sleep(5 * time.Minute)
		if got := account.Status(time.Now()); got.Usable || got.Err == nil {
			t.Errorf("after its end: %+v", got)
		}
		time.Sleep(30 * time.Minute)
		if got := account.Status(time.Now()); !got.Usable || got.Err != nil {
			t.Errorf("with the next one: %+v", got)
		}
		account.Close()
		want := []string{"lost true, kept false", "lost false, kept true", "lost true, kept true", "lost true, kept false", "lost false, kept true"}
		if !slices.Equal(changes, want) {
			t.Errorf("the changes are %q, want %q", changes, want)
		}
	})
}

func TestStatusAndTransitionsOfATokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	var changes []bool
	file := &impersonation.TokenFile{Path: path, OnChange: func(err error) { changes = append(changes, err != nil) }}
	want := func(name string, usable bool, wantChanges ...bool) {
		t.Helper()
		for range 2 {
			time.Sleep(soon)
			if got := file.Status(t.Context()); got.Usable != usable || (got.Err == nil) != usable {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if !slices.Equal(changes, wantChanges) {
			t.Errorf("%s: the changes are %v, want %v", name, changes, wantChanges)
		}
		changes = nil
	}
	writeToken(t, path, "token")
	want("there from the start, which is not a transition", true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("removed", false, true)
	writeToken(t, path, "another")
	want("written", true, false)
	writeToken(t, path, "two words")
	want("not a token", false, true)
}
