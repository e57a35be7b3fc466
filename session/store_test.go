// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// stored is a session in a store, and a browser that has its ticket.
type stored struct {
	storage *memory
	jar     *session.Jar
	store   *session.Store
	browser browser
	session *session.Session
}

func newStored(t *testing.T, config session.JarConfig) *stored {
	t.Helper()
	s := &stored{storage: newMemory(), jar: newJar(t, config)}
	s.store = session.NewStore(s.jar, s.storage)
	var err error
	if s.session, err = s.store.Add(t.Context(), newSession(time.Now(), 2000)); err != nil {
		t.Fatal(err)
	}
	s.browser = login(t, s.store, s.session, secure, time.Now())
	return s
}

func (s *stored) open(t *testing.T) (*session.Session, error) {
	t.Helper()
	return s.store.Open(t.Context(), s.browser.lines(), secure, time.Now())
}

// other is another instance's store.
func (s *stored) other() *session.Store { return session.NewStore(s.jar, s.storage) }

func TestStoreKeepsWhatIsTooLargeForCookies(t *testing.T) {
	s := newStored(t, session.JarConfig{})
	if _, err := s.jar.Seal(s.session, secure, time.Now()); !errors.Is(err, session.ErrTooLarge) {
		t.Fatal(err)
	}
	if size := len(s.browser.lines()[0]); size > 300 {
		t.Errorf("the ticket has %d bytes", size)
	}
	for name, store := range map[string]*session.Store{"the same instance": s.store, "another": s.other()} {
		got, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now())
		if err != nil || got.ID != s.session.ID || got.IDToken != s.session.IDToken || got.RefreshToken != s.session.RefreshToken || !got.Created.Equal(s.session.Created) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The storage's owner has neither the secret of the ticket nor the server's key.
func TestStorageShowsNothing(t *testing.T) {
	s := newStored(t, session.JarConfig{})
	for _, name := range s.storage.names("") {
		content := s.storage.files[name]
		for _, secret := range []string{"refresh-1", "alice", "issuer", s.session.ID} {
			if bytes.Contains(content, []byte(secret)) || strings.Contains(name, secret) {
				t.Errorf("%s shows %q", name, secret)
			}
		}
	}
}

// A session of one ticket under the name of another is not that session.
func TestStoredSessionsCannotBeSwapped(t *testing.T) {
	s := newStored(t, session.JarConfig{})
	mine := s.storage.names("kube_identity/sessions/")[0]
	if _, err := s.store.Add(t.Context(), newSession(time.Now(), 1)); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.storage.names("kube_identity/sessions/") {
		if name != mine {
			s.storage.files[mine] = s.storage.files[name]
		}
	}
	if _, err := s.other().Open(t.Context(), s.browser.lines(), secure, time.Now()); !errors.Is(err, session.ErrUnreadable) {
		t.Error(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "cut off": s.storage.files[mine][:20], "damaged": append([]byte("x"), s.storage.files[mine]...)} {
		s.storage.files[mine] = content
		if _, err := s.other().Open(t.Context(), s.browser.lines(), secure, time.Now()); !errors.Is(err, identity.ErrAbsent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An invented ticket does not reach the storage.
func TestInventedTicketsDoNotAskTheStorage(t *testing.T) {
	s := newStored(t, session.JarConfig{})
	before := s.storage.count("load")
	value := []byte(s.browser["__Host-kube_session"])
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, err := s.other().Open(t.Context(), []string{"__Host-kube_session=" + string(value)}, secure, time.Now()); !errors.Is(err, identity.ErrAbsent) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			value[i] ^= 1 << bit
		}
	}
	if s.storage.count("load") != before {
		t.Error("the storage was asked")
	}
}

func TestTicketFromBeforeALoginIsDeadAfterIt(t *testing.T) {
	s := newStored(t, session.JarConfig{})
	old := s.browser.lines()
	again, err := s.store.Add(t.Context(), session.New("oidc", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Remove(t.Context(), s.session); err != nil {
		t.Fatal(err)
	}
	lines, err := s.store.Seal(again, secure, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.browser.take(t, lines)
	if s.browser.lines()[0] == old[0] {
		t.Error("the ticket is the same")
	}
	for _, store := range []*session.Store{s.store, s.other()} {
		if _, err := store.Open(t.Context(), old, secure, time.Now()); !errors.Is(err, session.ErrNotStored) {
			t.Error(err)
		}
		if got, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now()); err != nil || got.ID != again.ID {
			t.Error(err)
		}
	}
}

func TestStoreIsAskedOnceAMinuteAndOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		store := s.other()
		before := s.storage.count("load")
		s.storage.set(func(m *memory) { m.slow = time.Second })
		for minute := range 3 {
			var group sync.WaitGroup
			for range 50 {
				group.Go(func() {
					if _, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if asked := s.storage.count("load") - before; asked != minute+1 {
				t.Errorf("minute %d: asked %d times", minute, asked)
			}
			time.Sleep(time.Minute)
		}
	})
}

// The client that was the first to bring a ticket leaves: the others still get the session.
func TestLoadDoesNotEndWithTheRequestThatBeganIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		store := s.other()
		s.storage.set(func(m *memory) { m.slow = 2 * time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := store.Open(ctx, s.browser.lines(), secure, time.Now()); !errors.Is(err, identity.ErrUnavailable) {
				t.Error(err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if _, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
	})
}

func TestStorageIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		s.storage.set(func(m *memory) { m.down = true })
		if _, err := s.other().Open(t.Context(), s.browser.lines(), secure, time.Now()); !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) {
			t.Errorf("an instance that does not know the session: %v", err)
		}
		time.Sleep(time.Hour)
		if _, err := s.open(t); err != nil {
			t.Errorf("the instance that knows it: %v", err)
		}
		// A storage that hangs costs a request five seconds.
		s.storage.set(func(m *memory) { m.down, m.slow = false, time.Hour })
		began := time.Now()
		if _, err := s.other().Open(t.Context(), s.browser.lines(), secure, began); !errors.Is(err, identity.ErrUnavailable) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}

// A page that goes on asking must not pay for a storage that hangs each time.
func TestStorageThatHangsSlowsDownOneRequestInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		time.Sleep(time.Minute)
		s.storage.set(func(m *memory) { m.slow = time.Hour })
		began := time.Now()
		for range 50 {
			if _, err := s.open(t); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("50 requests took %s", took)
		}
		time.Sleep(time.Minute)
	})
}

// A page may go on asking after its session was removed elsewhere.
func TestTicketWithoutASessionAsksTheStorageOnceInFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		store := s.other()
		if err := s.store.Remove(t.Context(), s.session); err != nil {
			t.Fatal(err)
		}
		before := s.storage.count("load")
		for range 20 {
			if _, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now()); !errors.Is(err, session.ErrNotStored) {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		if asked := s.storage.count("load") - before; asked != 2 {
			t.Errorf("the storage was asked %d times", asked)
		}
	})
}

// The tokens were rotated, and the storage was down when they came. They are not lost.
func TestRefreshedSessionThatCouldNotBeStoredIsStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		s.storage.set(func(m *memory) { m.down = true })
		if _, err := s.store.Save(t.Context(), s.session.WithTokens("new", "refresh-2")); !errors.Is(err, identity.ErrUnavailable) {
			t.Fatal(err)
		}
		if got, err := s.open(t); err != nil || got.RefreshToken != "refresh-2" {
			t.Errorf("while it is down: %v", err)
		}
		s.storage.set(func(m *memory) { m.down = false })
		time.Sleep(2 * time.Second)
		if got, err := s.open(t); err != nil || got.RefreshToken != "refresh-2" {
			t.Errorf("when it is back: %v", err)
		}
		got, err := s.other().Open(t.Context(), s.browser.lines(), secure, time.Now())
		if err != nil || got.RefreshToken != "refresh-2" {
			t.Errorf("at the other instance: %v", err)
		}
	})
}

// The use of a session is written into the cookie: in the store it could overwrite the tokens
// that another instance has just got.
func TestUseOfAStoredSessionIsInTheCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{Limits: session.Limits{Lifetime: 12 * time.Hour, Idle: 30 * time.Minute}})
		stale := s.browser.lines()
		for range 4 {
			time.Sleep(20 * time.Minute)
			got, err := s.open(t)
			if err != nil {
				t.Fatal(err)
			}
			if !s.jar.Limits().UseDue(got, time.Now()) {
				t.Error("its use is not due")
			}
			before := s.storage.count("store")
			lines, err := s.store.Seal(got.WithUse(time.Now()), secure, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			s.browser.take(t, lines)
			if s.storage.count("store") != before {
				t.Error("the storage is written")
			}
		}
		if _, err := s.store.Open(t.Context(), stale, secure, time.Now()); !errors.Is(err, session.ErrExpired) {
			t.Errorf("a cookie that was not used: %v", err)
		}
		time.Sleep(30 * time.Minute)
		if _, err := s.open(t); !errors.Is(err, session.ErrExpired) {
			t.Error(err)
		}
	})
}

func TestStoredSessionOutlivesARotationOfTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := keyFile(t, secretLine(0))
		keys, err := session.KeysFromFile(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := newStored(t, session.JarConfig{Keys: keys})
		for _, step := range []struct {
			lines []string
			want  error
		}{
			{[]string{secretLine(1), secretLine(0)}, nil},
			{[]string{secretLine(1)}, session.ErrUnknownKey},
		} {
			writeKeys(t, file, step.lines...)
			time.Sleep(2 * time.Minute)
			if _, err := s.open(t); !errors.Is(err, step.want) {
				t.Errorf("%v, want %v", err, step.want)
			}
		}
	})
}

func TestSessionThatWasNotAddedHasNoTicket(t *testing.T) {
	store := session.NewStore(newJar(t, session.JarConfig{}), newMemory())
	s := newSession(time.Now(), 1)
	_, sealErr := store.Seal(s, secure, time.Now())
	_, saveErr := store.Save(t.Context(), s)
	_, reloadErr := store.Reload(t.Context(), s)
	for _, err := range []error{sealErr, saveErr, reloadErr, store.Remove(t.Context(), s)} {
		if !errors.Is(err, identity.ErrInternal) {
			t.Error(err)
		}
	}
}
