// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// keyFile writes a file with those keys.
func keyFile(tb testing.TB, path string, content []byte) string {
	tb.Helper()
	if path == "" {
		path = filepath.Join(tb.TempDir(), "jwks.json")
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func mustFileKeys(tb testing.TB, path string, log func(string, error)) *FileKeys {
	tb.Helper()
	keys, err := NewFileKeys(path, log)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func TestFileKeys(t *testing.T) {
	logged := &logLines{}
	keys := mustFileKeys(t, keyFile(t, "", jwks(t, "ed25519-1", "rsa-1", publicJWK(t, "rsa1024-1"))), logged.log)
	wantToken(t, keys, "ed25519-1")
	wantTokenBy(t, keys, "rsa-1", "")
	wantToken(t, keys, "p256-1", identity.ErrRejected, errUnknownKey)
	wantTokenBy(t, keys, "ed25519-2", "ed25519-1", identity.ErrRejected, errSignature)
	if keys.Generation() != mustParseKeySet(t, "ed25519-1", "rsa-1").generation {
		t.Error("another generation")
	}
	logged.want(t, `some keys of an issuer cannot be used: key 3: "rsa1024-1"`)
	// nothing here waits, so an ended context makes no difference
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	token, header := signedBy(t, "ed25519-1", "EdDSA", "ed25519-1")
	payload, err := keys.VerifySignature(ended, token, header)
	wantKeyError(t, token, payload, err)
}

func TestBadFilesDoNotLoad(t *testing.T) {
	folder := t.TempDir()
	for name, test := range map[string]struct{ path, want string }{
		"none":          {filepath.Join(folder, "none"), "no such file"},
		"a folder":      {folder, "is not a regular file"},
		"a device":      {"/dev/zero", "is not a regular file"},
		"empty":         {keyFile(t, filepath.Join(folder, "empty"), nil), "not a JSON object"},
		"a private key": {keyFile(t, filepath.Join(folder, "private"), jwks(t, jwkMembers{"kty": "oct", "k": "c2VjcmV0"})), "private or symmetric key"},
		"too long":      {keyFile(t, filepath.Join(folder, "long"), []byte(strings.Repeat(" ", maxKeySet+1))), "larger than"},
	} {
		keys, err := NewFileKeys(test.path, nil)
		if err == nil || keys != nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The file is checked at most once a second, and its new content then counts. As with
// volumes that Kubernetes mounts, it may be another file of the same name.
func TestFileThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, "", jwks(t, "ed25519-1"))
		logged := &logLines{}
		keys := mustFileKeys(t, path, logged.log)
		generation := keys.Generation()
		keyFile(t, path, jwks(t, "ed25519-2"))
		time.Sleep(filewatch.Interval - 1)
		wantToken(t, keys, "ed25519-1")
		time.Sleep(time.Nanosecond)
		wantToken(t, keys, "ed25519-2")
		wantToken(t, keys, "ed25519-1", identity.ErrRejected)
		if keys.Generation() == generation {
			t.Error("the same generation of other keys")
		}
		// callers that keep verdicts ask for the generation only
		keyFile(t, path+".new", jwks(t, "ed25519-1"))
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(filewatch.Interval)
		if keys.Generation() != generation {
			t.Error("another generation of the same keys")
		}
		logged.want(t)
	})
}

func TestLastGoodFileIsKept(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"it is gone": func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"it is being written": func(t *testing.T, path string) {
			t.Helper()
			keyFile(t, path, jwks(t, "ed25519-1")[:50])
		},
		"it is empty": func(t *testing.T, path string) {
			t.Helper()
			keyFile(t, path, nil)
		},
		"it has another kind of document": func(t *testing.T, path string) {
			t.Helper()
			keyFile(t, path, []byte(`{"kty":"OKP"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := keyFile(t, "", jwks(t, "ed25519-1"))
				logged := &logLines{}
				keys := mustFileKeys(t, path, logged.log)
				generation := keys.Generation()
				spoil(t, path)
				for range 70 { // logged at first, and after a minute
					time.Sleep(filewatch.Interval)
					wantToken(t, keys, "ed25519-1")
				}
				if keys.Generation() != generation {
					t.Error("another generation")
				}
				logged.want(t, "keeping the last good keys of an issuer: reading keys", "keeping the last good keys of an issuer: reading keys")
				keyFile(t, path, jwks(t, "ed25519-2"))
				time.Sleep(filewatch.Interval)
				wantToken(t, keys, "ed25519-2")
				logged.want(t, "the keys of an issuer can be read again")
				keyFile(t, path, jwks(t, "ed25519-1"))
				time.Sleep(filewatch.Interval)
				wantToken(t, keys, "ed25519-1")
				logged.want(t)
			})
		})
	}
}

// A file that does not change is not read again and again. A file with a recent modification
// time is, since two contents may have the same time.
func TestFileThatDoesNotChange(t *testing.T) {
	path := keyFile(t, "", jwks(t, "ed25519-1"))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	logged := &logLines{}
	keys := mustFileKeys(t, path, logged.log)
	before := keys.current.Load()
	look := func() {
		t.Helper()
		keys.pace.Looked(time.Now().Add(-filewatch.Interval))
		wantToken(t, keys, "ed25519-1")
	}
	look()
	if keys.current.Load() != before {
		t.Error("an old file was read again")
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	look()
	first := keys.current.Load()
	look()
	if first == before || keys.current.Load() == first {
		t.Error("a file that has just changed was not read")
	}
	// a file that could not be read is read again, even if its time is the same
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	look()
	good := keys.current.Load()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	look()
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	look()
	if keys.current.Load() == good {
		t.Error("a file that was missing was not read again")
	}
	logged.want(t, "keeping the last good keys", "the keys of an issuer can be read again")
	// so is a file that for a while was replaced by an unreadable one
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	keyFile(t, path, nil)
	look()
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	look()
	logged.want(t, "keeping the last good keys", "the keys of an issuer can be read again")
	// a clock that was set back by an hour
	keys.pace.Looked(time.Now().Add(time.Hour))
	keyFile(t, path, jwks(t, "ed25519-2"))
	wantToken(t, keys, "ed25519-2")
}

// The state is as of a second, which has begun before the last look at the file: each look at the
// state read the file again, and a clock of its own put the requests' looks off.
func TestTheStatusOfAFileKeepsThePaceOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, "", jwks(t, "ed25519-1"))
		keys := mustFileKeys(t, path, nil)
		count := func(at time.Time) int { return keys.Status(at).Count }
		time.Sleep(filewatch.Interval)
		for _, at := range []time.Duration{0, -time.Hour, time.Hour} {
			now := time.Now()
			keyFile(t, path, jwks(t, "ed25519-1"))
			time.Sleep(filewatch.Interval)
			if got := count(now.Add(at)); got != 1 {
				t.Errorf("%v: there are %d keys", at, got)
			}
			keyFile(t, path, jwks(t, "ed25519-1", "ed25519-2"))
			if got := count(now.Add(at)); got != 1 {
				t.Errorf("%v: the file was read again within the interval", at)
			}
			time.Sleep(filewatch.Interval)
			if got := count(now.Add(at)); got != 2 {
				t.Errorf("%v: the file was not read after the interval", at)
			}
		}
	})
}

func TestFileThatChangesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, "", jwks(t, "ed25519-1"))
		keys := mustFileKeys(t, path, nil)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range 50 {
					wantToken(t, keys, "ed25519-1")
					keys.Generation()
					time.Sleep(300 * time.Millisecond)
				}
			})
		}
		for i := range 10 {
			name := []string{"ed25519-2", "ed25519-3"}[i%2]
			keyFile(t, path+".new", jwks(t, "ed25519-1", name))
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * filewatch.Interval)
			wantToken(t, keys, name)
		}
		callers.Wait()
	})
}
