// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

func TestKeyFile(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(make([]byte, 64)) + "\n"
	short := base64.StdEncoding.EncodeToString(make([]byte, 31)) + "\n"
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"a key":                       {[]string{secretLine(0)}, ""},
		"without a line end":          {[]string{strings.TrimSpace(secretLine(0))}, ""},
		"written on Windows":          {[]string{strings.TrimSpace(secretLine(0)) + "\r\n", strings.TrimSpace(secretLine(1)) + "\r\n"}, ""},
		"two keys":                    {[]string{secretLine(0), long}, ""},
		"empty":                       {nil, "line 1: the line is empty"},
		"an empty line":               {[]string{secretLine(0), "\n", secretLine(1)}, "line 2: the line is empty"},
		"an empty line at the end":    {[]string{secretLine(0), "\n"}, "line 2: the line is empty"},
		"a short key":                 {[]string{secretLine(0), short}, "line 2: the key has 31 bytes, and needs at least 32"},
		"a key twice":                 {[]string{secretLine(0), secretLine(1), secretLine(0)}, "line 3: the key stands in line 1 already"},
		"a comment":                   {[]string{"# keys\n"}, "line 1: the line is not base64"},
		"a blank":                     {[]string{" " + secretLine(0)}, "line 1: the line is not base64"},
		"a line end within":           {[]string{"\r" + secretLine(0)}, "line 1: the line is not base64"},
		"base64url":                   {[]string{strings.Repeat("-_", 22) + "\n"}, "line 1: the line is not base64"},
		"set bits after the last one": {[]string{strings.Repeat("A", 42) + "B=\n"}, "line 1: the line is not base64"},
		"more lines than allowed":     {[]string{strings.Repeat("\n", 65)}, "more than 64 lines"},
		"a large file":                {[]string{strings.Repeat("A", 1<<20)}, "more than 65536 bytes"},
	} {
		_, err := session.KeysFromFile(keyFile(t, test.lines...), nil)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil && len(test.lines) > 0 && len(test.lines[0]) > 20 && strings.Contains(err.Error(), test.lines[0][:20]) {
			t.Errorf("%s: %v shows a key", name, err)
		}
	}
	if _, err := session.KeysFromFile("/nowhere/keys", nil); err == nil {
		t.Error("a file that is not there is read")
	}
	if _, err := session.KeysFromFile(t.TempDir(), nil); err == nil {
		t.Error("a folder is read")
	}
}

// opensWith says whether keys open what others sealed.
func opensWith(tb testing.TB, opens, seals *session.Keys) error {
	tb.Helper()
	now := time.Now()
	b := login(tb, newJar(tb, session.JarConfig{Keys: seals}), newSession(now, 1), secure, now)
	_, err := newJar(tb, session.JarConfig{Keys: opens}).Open(tb.Context(), b.lines(), secure, now)
	return err
}

// The operator writes a new key before the old one, and removes the old one later. A mistake on
// the way ends no session.
func TestKeyFileIsRotatedWhileItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := keyFile(t, secretLine(0))
		var mu sync.Mutex
		var problems []string
		keys, err := session.KeysFromFile(file, func(message string, err error) {
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, fmt.Sprintf("%s: %v", message, err != nil))
		})
		if err != nil {
			t.Fatal(err)
		}
		jar := newJar(t, session.JarConfig{Keys: keys})
		now := time.Now()
		old := login(t, jar, newSession(now, 1), secure, now)
		for _, step := range []struct {
			lines     []string
			sealsWith byte
			opensOld  bool
		}{
			{[]string{secretLine(1), secretLine(0)}, 1, true},
			{[]string{secretLine(2), "oops\n"}, 1, true},
			{nil, 1, true},
			{[]string{secretLine(1), secretLine(0), secretLine(3)}, 1, true},
			{[]string{secretLine(1)}, 1, false},
		} {
			writeKeys(t, file, step.lines...)
			time.Sleep(2 * time.Second)
			if err := opensWith(t, fileKeys(t, secretLine(step.sealsWith)), keys); err != nil {
				t.Errorf("%q: it seals with another key: %v", step.lines, err)
			}
			// From the cache, too: a key that was removed opens nothing.
			_, err := jar.Open(t.Context(), old.lines(), secure, now)
			if (err == nil) != step.opensOld || err != nil && !errors.Is(err, session.ErrUnknownKey) {
				t.Errorf("%q: the old session: %v", step.lines, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if err := opensWith(t, fileKeys(t, secretLine(1)), keys); err != nil {
			t.Errorf("the file is gone: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		want := []string{
			"the last good session keys stay in use: true", "the session keys can be read again: false", "the last good session keys stay in use: true",
		}
		if strings.Join(problems, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q", problems)
		}
	})
}

// A bad file that does not change stays bad, and is reported once a minute until it is good.
func TestBadKeyFileIsReportedUntilItIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := keyFile(t, secretLine(0))
		var problems []bool
		keys, err := session.KeysFromFile(file, func(_ string, err error) { problems = append(problems, err != nil) })
		if err != nil {
			t.Fatal(err)
		}
		write := func(line string) {
			writeKeys(t, file, line)
			if long := time.Now().Add(-time.Hour); os.Chtimes(file, long, long) != nil {
				t.Fatal("the time of the file cannot be set")
			}
		}
		write("oops\n")
		for range 90 {
			time.Sleep(time.Second)
			if err := opensWithCheaply(t, keys, keys); err != nil {
				t.Fatal(err)
			}
		}
		write(secretLine(1))
		for range 90 {
			time.Sleep(time.Second)
			if err := opensWithCheaply(t, keys, keys); err != nil {
				t.Fatal(err)
			}
		}
		if want := []bool{true, true, false}; !slices.Equal(problems, want) {
			t.Errorf("%v", problems)
		}
	})
}

// instance is a process with keys in a shared storage.
type instance struct {
	keys *session.Keys
	stop context.CancelFunc
}

func newInstance(t *testing.T, storage session.Storage, lifetime time.Duration) instance {
	t.Helper()
	keys, run := session.KeysFromStorage(storage, lifetime, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go run(ctx)
	t.Cleanup(cancel)
	return instance{keys, cancel}
}

// Two instances start at once on an empty storage, and live for two weeks. They always open each
// other's sessions, and each session for as long as it lives.
func TestInstancesThatShareAStorageAlwaysOpenEachOthersSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		storage.slow = 10 * time.Millisecond
		one, two := newInstance(t, storage, hours.Lifetime), newInstance(t, storage, hours.Lifetime)
		time.Sleep(30 * time.Second)
		type kept struct {
			browser browser
			since   time.Time
		}
		var sessions []kept
		jars := []*session.Jar{newJar(t, session.JarConfig{Keys: one.keys}), newJar(t, session.JarConfig{Keys: two.keys})}
		secrets := map[string]bool{}
		for hour := range 15 * 24 {
			now := time.Now()
			sessions = append(sessions, kept{login(t, jars[hour%2], newSession(now, 0), secure, now), now})
			for len(sessions) > 12 {
				sessions = sessions[1:]
			}
			for _, s := range sessions {
				for i, jar := range jars {
					if _, err := jar.Open(t.Context(), s.browser.lines(), secure, now); err != nil && now.Sub(s.since) < hours.Lifetime {
						t.Fatalf("instance %d, after %d hours, a session of %v: %v", i, hour, now.Sub(s.since), err)
					}
				}
			}
			var document struct{ Keys []struct{ Secret string } }
			if err := json.Unmarshal(storage.get("kube_identity/keys"), &document); err != nil || len(document.Keys) > 2 {
				t.Fatalf("%d keys, %v", len(document.Keys), err)
			}
			for _, k := range document.Keys {
				secrets[k.Secret] = true
			}
			time.Sleep(time.Hour)
		}
		if len(secrets) != 3 {
			t.Errorf("%d keys in 15 days", len(secrets))
		}
		one.stop()
		two.stop()
		synctest.Wait()
	})
}

// A new key does not seal before all instances have read it, so that no request waits.
func TestNewKeyIsKnownBeforeItSeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		one := newInstance(t, storage, hours.Lifetime)
		time.Sleep(30 * time.Second)
		two := newInstance(t, storage, hours.Lifetime)
		time.Sleep(time.Second)
		time.Sleep(7*24*time.Hour - 10*time.Minute)
		for range 40 {
			before := storage.count("load")
			for _, pair := range [][2]*session.Keys{{one.keys, two.keys}, {two.keys, one.keys}} {
				if err := opensWithCheaply(t, pair[0], pair[1]); err != nil {
					t.Fatal(err)
				}
			}
			if storage.count("load") != before {
				t.Fatal("a request asked the storage")
			}
			time.Sleep(30 * time.Second)
		}
	})
}

// opensWithCheaply is opensWith for a binding, which is quicker to seal.
func opensWithCheaply(t *testing.T, opens, seals *session.Keys) error {
	t.Helper()
	now := time.Now()
	line, err := newJar(t, session.JarConfig{Keys: seals}).SealBinding(session.NewBinding(now), secure, now)
	if err != nil {
		return err
	}
	b := browser{}
	b.take(t, []string{line})
	_, err = newJar(t, session.JarConfig{Keys: opens}).OpenBinding(t.Context(), b.lines(), secure, now)
	return err
}

func TestUnknownKeyIsLookedForOnceAndRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		one := newInstance(t, storage, hours.Lifetime)
		time.Sleep(time.Second)
		// The storage is replaced under the instance, as after a restore.
		other := newMemory()
		two := newInstance(t, other, hours.Lifetime)
		time.Sleep(time.Second)
		restored := other.get("kube_identity/keys")
		storage.set(func(m *memory) { m.files["kube_identity/keys"] = restored })
		before := storage.count("load")
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				if err := opensWithCheaply(t, one.keys, two.keys); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if asked := storage.count("load") - before; asked != 1 {
			t.Errorf("the storage was asked %d times", asked)
		}
		invented := fileKeys(t, secretLine(5))
		for range 50 { // five seconds
			if err := opensWithCheaply(t, one.keys, invented); !errors.Is(err, session.ErrUnknownKey) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if asked := storage.count("load") - before; asked != 1 {
			t.Errorf("clients with invented keys made the storage be asked %d times", asked)
		}
	})
}

// A storage that does not answer costs a request a second, once in ten seconds.
func TestUnknownKeyWaitsForASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		one := newInstance(t, storage, hours.Lifetime)
		time.Sleep(time.Second)
		storage.set(func(m *memory) { m.slow = time.Hour })
		invented := fileKeys(t, secretLine(5))
		for i, want := range []time.Duration{time.Second, time.Second} {
			began := time.Now()
			err := opensWithCheaply(t, one.keys, invented)
			if took := time.Since(began); took != want || !errors.Is(err, session.ErrUnknownKey) {
				t.Errorf("request %d: %v after %v", i, err, took)
			}
		}
		time.Sleep(9 * time.Second) // the read has ended
		if began := time.Now(); opensWithCheaply(t, one.keys, invented) == nil || time.Since(began) > time.Second {
			t.Error("it waits for longer")
		}
		time.Sleep(time.Minute)
	})
}

func TestStorageThatIsDownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		storage.down = true
		var mu sync.Mutex
		var problems []error
		keys, run := session.KeysFromStorage(storage, hours.Lifetime, func(_ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, err)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go run(ctx)
		time.Sleep(10 * time.Second)
		now := time.Now()
		_, err := newJar(t, session.JarConfig{Keys: keys}).Seal(newSession(now, 0), secure, now)
		if !errors.Is(err, identity.ErrUnavailable) || keys.Ready() {
			t.Error(err)
		}
		b := login(t, newJar(t, session.JarConfig{}), newSession(now, 0), secure, now)
		if _, err := newJar(t, session.JarConfig{Keys: keys}).Open(t.Context(), b.lines(), secure, now); !errors.Is(err, identity.ErrUnavailable) {
			t.Error(err)
		}
		storage.set(func(m *memory) { m.down = false })
		time.Sleep(time.Minute)
		if err := opensWith(t, keys, keys); err != nil || !keys.Ready() {
			t.Error(err)
		}
		// It goes down again, for a week: the keys that are known serve on.
		storage.set(func(m *memory) { m.down = true })
		time.Sleep(8 * 24 * time.Hour)
		if err := opensWith(t, keys, keys); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(problems) < 3 || problems[0] == nil || problems[1] != nil || problems[2] == nil {
			t.Errorf("%d problems", len(problems))
		}
	})
}

// The storage goes down while a new key waits: it begins to seal when its time comes, as it does
// at the instances that still reach the storage.
func TestNewKeySealsOnTimeWhileTheStorageIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		one := newInstance(t, storage, hours.Lifetime)
		time.Sleep(time.Second)
		jar := newJar(t, session.JarConfig{Keys: one.keys})
		keyID := func() string {
			line, err := jar.SealBinding(session.NewBinding(time.Now()), secure, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			_, value, _ := strings.Cut(line, "=")
			return value[:5]
		}
		first := keyID()
		for storage.count("store") < 2 { // until the new key is there
			time.Sleep(10 * time.Second)
		}
		if keyID() != first {
			t.Error("the new key seals at once")
		}
		storage.set(func(m *memory) { m.down = true })
		time.Sleep(4 * time.Minute)
		if keyID() == first {
			t.Error("the new key does not seal")
		}
	})
}

// What is in the storage is not ours to repair: new keys would end every session.
func TestDamagedKeysInTheStorageAreLeftAsTheyAre(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, content := range map[string]string{
		"empty":            "",
		"not JSON":         "keys",
		"no keys":          `{"keep_seconds":1,"keys":[]}`,
		"a short key":      `{"keys":[{"secret":"AAAA","from":1}]}`,
		"newest first":     `{"keys":[{"secret":"` + good + `","from":2},{"secret":"` + good + `","from":1}]}`,
		"another document": `[]`,
		"a time below 0":   `{"keys":[{"secret":"` + good + `","from":-1}]}`,
		"kept for ever":    `{"keep_seconds":9223372036854775807,"keys":[{"secret":"` + good + `","from":1}]}`,
		"too many":         `{"keys":[` + strings.Repeat(`{"secret":"`+good+`","from":2},`, 64) + `{"secret":"` + good + `","from":2}]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			storage := newMemory()
			storage.files["kube_identity/keys"] = []byte(content)
			one := newInstance(t, storage, hours.Lifetime)
			time.Sleep(time.Hour)
			if one.keys.Ready() || string(storage.get("kube_identity/keys")) != content {
				t.Errorf("%s: ready %v", name, one.keys.Ready())
			}
		})
	}
}

// Two handlers share a storage and differ in their lifetime. The longer one counts.
func TestKeysAreKeptForTheLongestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		short := newInstance(t, storage, time.Hour)
		time.Sleep(time.Second)
		long := newInstance(t, storage, 48*time.Hour)
		time.Sleep(time.Second)
		long.stop() // its settings stay
		jar := newJar(t, session.JarConfig{Keys: short.keys, Limits: session.Limits{Lifetime: 48 * time.Hour}})
		time.Sleep(7*24*time.Hour - 5*time.Minute)
		now := time.Now()
		b := login(t, jar, newSession(now, 0), secure, now)
		time.Sleep(47 * time.Hour)
		if _, err := jar.Open(t.Context(), b.lines(), secure, time.Now()); err != nil {
			t.Error(err)
		}
	})
}

// FuzzKeyFile: a file that is read has keys that open what they seal, and an error shows
// nothing of the file.
func FuzzKeyFile(f *testing.F) {
	for _, content := range []string{secretLine(0), secretLine(0) + secretLine(1), "\n", "", "AAAA", secretLine(0) + "\n", "\r\n"} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		keys, err := session.KeysFromFile(keyFile(t, content), nil)
		if err == nil {
			err = opensWithCheaply(t, keys, keys)
			if err != nil {
				t.Error(err)
			}
			return
		}
		for line := range strings.Lines(content) {
			if line = strings.TrimSpace(line); len(line) > 12 && strings.Contains(err.Error(), line) {
				t.Errorf("%v shows a line", err)
			}
		}
	})
}
