// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// facts are those of a session of alice's that was created now.
func facts(change func(f *session.Facts)) session.Facts {
	now := time.Now().Truncate(time.Second)
	f := session.Facts{ID: "id-1", Issuer: "https://issuer.example", Subject: "alice", SID: "sid-1", Created: now, Ends: now.Add(12 * time.Hour)}
	if change != nil {
		change(&f)
	}
	return f
}

func TestDeniedSessions(t *testing.T) {
	now := time.Now()
	const issuer = "https://issuer.example"
	ends := now.Add(12 * time.Hour)
	for name, test := range map[string]struct {
		denial session.Denial
		facts  func(f *session.Facts)
		after  time.Duration
		denied bool
	}{
		"the session":                       {session.DenySession("id-1", ends), nil, 0, true},
		"another session":                   {session.DenySession("id-2", ends), nil, 0, false},
		"a session, by its issuer's name":   {session.DenySession("sid-1", ends), nil, 0, false},
		"after its end":                     {session.DenySession("id-1", ends), nil, 12 * time.Hour, false},
		"the issuer's session":              {session.DenySID(issuer, "sid-1", ends), nil, 0, true},
		"the session of another issuer":     {session.DenySID("https://other.example", "sid-1", ends), nil, 0, false},
		"names that meet":                   {session.DenySID(issuer+"s", "id-1", ends), nil, 0, false},
		"no name, of a session without one": {session.DenySID(issuer, "", ends), func(f *session.Facts) { f.SID = "" }, 0, false},
		"the user":                          {session.DenySubject(issuer, "alice", now, ends), nil, 0, true},
		"another user":                      {session.DenySubject(issuer, "bob", now, ends), nil, 0, false},
		"the user of another issuer":        {session.DenySubject("https://other.example", "alice", now, ends), nil, 0, false},
		"the user, of a later login":        {session.DenySubject(issuer, "alice", now, ends), func(f *session.Facts) { f.Created = now.Add(time.Second) }, 0, false},
		"the user, of an earlier login":     {session.DenySubject(issuer, "alice", now, ends), func(f *session.Facts) { f.Created = now.Add(-time.Hour) }, 0, true},
		"a token":                           {session.DenyToken("id-1", ends), nil, 0, false},
	} {
		list := session.NewDenyList(nil)
		if err := list.Deny(t.Context(), test.denial); err != nil {
			t.Fatal(err)
		}
		err := list.Check(facts(test.facts), now.Add(test.after))
		if (err != nil) != test.denied || err != nil && (!errors.Is(err, session.ErrDenied) || !errors.Is(err, identity.ErrAbsent)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The ID token that went through the address bar at logout is not a bearer token any more.
func TestDeniedToken(t *testing.T) {
	now := time.Now()
	list := session.NewDenyList(nil)
	if err := list.Deny(t.Context(), session.DenyToken("token", now.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if err := list.CheckToken("token", now); !errors.Is(err, session.ErrDenied) {
		t.Error(err)
	}
	if err := list.CheckToken("token", now.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := list.CheckToken("another", now); err != nil {
		t.Error(err)
	}
}

// A user who logs out twice and logs in between is logged out by the later one.
func TestLaterLogoutOfAUserCounts(t *testing.T) {
	now := time.Now()
	list := session.NewDenyList(nil)
	for i, before := range []time.Time{now.Add(-time.Hour), now.Add(time.Hour), now.Add(-time.Minute)} {
		ends := now.Add(time.Duration(12+i) * time.Hour)
		if err := list.Deny(t.Context(), session.DenySubject("https://issuer.example", "alice", before, ends)); err != nil {
			t.Fatal(err)
		}
	}
	if err := list.Check(facts(nil), now); err == nil {
		t.Error("an earlier logout replaced a later one")
	}
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	const issuer = "https://issuer.example"
	now := time.Now()
	ends := now.Add(12 * time.Hour)
	list := session.NewDenyList(nil)
	var ended []string
	watch := func(name string, change func(f *session.Facts)) func() {
		release, err := list.Watch(facts(change), now, func() {
			ended = append(ended, name)
			if err := list.Check(facts(change), now); name != "ended alone" && err == nil {
				t.Errorf("%s is ended before its session is denied", name)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	watch("id-1", nil)
	watch("id-2", func(f *session.Facts) { f.ID, f.SID = "id-2", "sid-2" })
	watch("bob", func(f *session.Facts) { f.ID, f.SID, f.Subject = "id-3", "sid-3", "bob" })
	watch("alice, later", func(f *session.Facts) { f.ID, f.SID, f.Created = "id-4", "sid-4", now.Add(time.Minute) })
	watch("ended alone", func(f *session.Facts) { f.ID, f.SID, f.Subject = "id-5", "sid-5", "carol" })
	watch("released", func(f *session.Facts) { f.SID = "sid-6" })()
	for _, step := range []struct {
		act  func() error
		want string
	}{
		{func() error { return list.Deny(t.Context(), session.DenySession("id-1", ends)) }, "id-1"},
		{func() error { return list.Deny(t.Context(), session.DenySession("id-1", ends)) }, ""},
		{func() error { return list.Deny(t.Context(), session.DenySID(issuer, "sid-3", ends)) }, "bob"},
		{func() error { return list.Deny(t.Context(), session.DenySubject(issuer, "alice", now, ends)) }, "id-2"},
		{func() error {
			return list.Deny(t.Context(), session.DenySubject(issuer, "alice", now.Add(time.Hour), ends))
		}, "alice, later"},
		{func() error { list.EndStreams("id-5"); return nil }, "ended alone"},
		{func() error { list.EndStreams("id-5"); return nil }, ""},
	} {
		ended = nil
		if err := step.act(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(ended, " "); got != step.want {
			t.Errorf("%q ended, want %q", got, step.want)
		}
	}
	if _, err := list.Watch(facts(nil), now, func() {}); !errors.Is(err, session.ErrDenied) {
		t.Errorf("a stream of a session that was logged out: %v", err)
	}
}

// Each logout at one instance is known at the other within ten seconds, and after a restart.
func TestLogoutReachesTheOtherInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		run := func() *session.DenyList {
			list := session.NewDenyList(storage)
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			go list.Run(ctx, nil)
			synctest.Wait()
			return list
		}
		one, two := run(), run()
		time.Sleep(time.Second)
		const issuer = "https://issuer.example"
		now := time.Now()
		var ended atomic.Int32
		if _, err := two.Watch(facts(nil), now, func() { ended.Add(1) }); err != nil {
			t.Fatal(err)
		}
		for _, denial := range []session.Denial{
			session.DenySession("id-1", now.Add(time.Hour)), session.DenySID(issuer, "sid-2", now.Add(time.Hour)),
			session.DenySubject(issuer, "bob", now, now.Add(time.Hour)), session.DenyToken("token", now.Add(time.Hour)),
		} {
			if err := one.Deny(t.Context(), denial); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range storage.names("") {
			for _, secret := range []string{"id-1", "sid-2", "bob", issuer} {
				if strings.Contains(name, secret) {
					t.Errorf("the storage shows %q", secret)
				}
			}
		}
		time.Sleep(10 * time.Second)
		if ended.Load() != 1 {
			t.Errorf("%d streams ended", ended.Load())
		}
		for name, list := range map[string]*session.DenyList{"the same": one, "the other": two, "a new": run()} {
			for _, f := range []session.Facts{
				facts(func(f *session.Facts) { f.Created = now }),
				facts(func(f *session.Facts) { f.ID, f.SID = "", "sid-2" }),
				facts(func(f *session.Facts) { f.ID, f.SID, f.Subject, f.Created = "", "", "bob", now }),
			} {
				if err := list.Check(f, time.Now()); !errors.Is(err, session.ErrDenied) {
					t.Errorf("%s instance: %+v: %v", name, f, err)
				}
			}
			if err := list.CheckToken("token", time.Now()); !errors.Is(err, session.ErrDenied) {
				t.Errorf("%s instance: the token: %v", name, err)
			}
			// Another session of alice's, and one of bob's from after his logout.
			for _, f := range []session.Facts{
				facts(func(f *session.Facts) { f.ID, f.SID = "", "" }),
				facts(func(f *session.Facts) { f.ID, f.SID, f.Subject = "", "", "bob" }),
			} {
				if err := list.Check(f, time.Now()); err != nil {
					t.Errorf("%s instance: %+v: %v", name, f, err)
				}
			}
		}
	})
}

// A back-channel logout that could not be stored is answered with 503, holds here, and is told
// to the others later. The other instance's users are not locked out by the outage.
func TestLogoutWhileTheStorageIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		one, two := session.NewDenyList(storage), session.NewDenyList(storage)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var problems atomic.Int32
		for _, list := range []*session.DenyList{one, two} {
			go list.Run(ctx, func(string, error) { problems.Add(1) })
		}
		time.Sleep(time.Second)
		storage.set(func(m *memory) { m.down = true })
		f := facts(nil)
		if err := one.Deny(t.Context(), session.DenySession("id-1", f.Ends)); err == nil {
			t.Error("it says that the others know")
		}
		if err := one.Check(f, time.Now()); !errors.Is(err, session.ErrDenied) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if err := two.Check(f, time.Now()); err != nil {
			t.Error(err)
		}
		storage.set(func(m *memory) { m.down = false })
		time.Sleep(21 * time.Second)
		if err := two.Check(f, time.Now()); !errors.Is(err, session.ErrDenied) {
			t.Error(err)
		}
		if problems.Load() < 4 {
			t.Errorf("%d lines in the log", problems.Load())
		}
	})
}

// What cannot be decided fails closed: an instance that starts without the storage does not
// know who has logged out.
func TestListThatWasNeverReadDecidesNothing(t *testing.T) {
	list := session.NewDenyList(newMemory())
	f := facts(nil)
	_, watchErr := list.Watch(f, time.Now(), func() {})
	for _, err := range []error{list.Check(f, time.Now()), list.CheckToken("x", time.Now()), watchErr} {
		if !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) {
			t.Error(err)
		}
	}
}

// Other files in the folder, and what another version may have written, are left alone.
func TestStrangeNamesInTheStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		list := session.NewDenyList(storage)
		if err := list.Deny(t.Context(), session.DenySession("id-1", time.Now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		good := strings.TrimPrefix(storage.names("")[0], "kube_identity/denied/")
		for _, name := range []string{"x", "", "----", strings.Replace(good, "session", "other", 1), "+" + good, "0" + good, good + "-0", strings.ToUpper(good), "9" + good} {
			storage.files["kube_identity/denied/"+name] = nil
		}
		storage.files["kube_identity/denied/folder/"+good] = nil
		other := session.NewDenyList(storage)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go other.Run(ctx, nil)
		time.Sleep(time.Second)
		if err := other.Check(facts(nil), time.Now()); !errors.Is(err, session.ErrDenied) {
			t.Error(err)
		}
		if err := other.Check(facts(func(f *session.Facts) { f.ID = "id-2" }), time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func TestExpiredFilesAreSweptByOneInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		now := time.Now()
		list := session.NewDenyList(storage)
		jar := newJar(t, session.JarConfig{})
		store := session.NewStore(jar, storage)
		for hours := range 5 {
			ends := now.Add(time.Duration(hours)*time.Hour + 30*time.Minute)
			if err := list.Deny(t.Context(), session.DenySession(fmt.Sprint(hours), ends)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Add(t.Context(), newSession(now.Add(-9*time.Hour), 1)); err != nil { // ends in three
			t.Fatal(err)
		}
		storage.files["kube_identity/denied/strange"] = nil
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 3 {
			go session.Sweep(ctx, storage, nil)
		}
		for _, want := range []int{7, 6, 5, 4, 2, 1, 1} {
			time.Sleep(time.Minute)
			if got := len(storage.names("kube_identity/denied/")) + len(storage.names("kube_identity/sessions/")); got != want {
				t.Errorf("%d files, want %d", got, want)
			}
			if lists := storage.count("list"); lists != 2 {
				t.Errorf("%d looks at the folders in an hour", lists)
			}
			storage.set(func(m *memory) { m.calls["list"] = 0 })
			time.Sleep(59 * time.Minute)
		}
	})
}
