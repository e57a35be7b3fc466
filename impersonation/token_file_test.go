// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// soon is longer than a look at the file counts.
const soon = 3 * time.Millisecond

func writeToken(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// age sets the time of change of a file, so that its content is kept from now on.
func age(tb testing.TB, path string, age time.Duration) {
	tb.Helper()
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		tb.Fatal(err)
	}
}

// wantToken reads the file like a request some milliseconds later.
func wantToken(tb testing.TB, file *impersonation.TokenFile, want string) {
	tb.Helper()
	time.Sleep(soon)
	got, err := file.Authorization(tb.Context())
	if err != nil || got != want {
		tb.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// wantNoToken wants a refusal that shows nothing of the content.
func wantNoToken(tb testing.TB, file *impersonation.TokenFile, secret string) error {
	tb.Helper()
	time.Sleep(soon)
	got, err := file.Authorization(tb.Context())
	wantOnly(tb, err, identity.ErrUnavailable)
	if got != "" {
		tb.Errorf("there is a credential as well: %q", got)
	}
	if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
		tb.Errorf("the error shows the content: %v", err)
	}
	return err
}

func TestTokenFileContents(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln_-"
	for _, test := range []struct{ name, content, want string }{
		{"a token", jwt, "Bearer " + jwt},
		{"with a line end", jwt + "\n", "Bearer " + jwt},
		{"with blanks around it", " \t\r\n" + jwt + "\r\n\r\n", "Bearer " + jwt},
		{"all characters that a token of RFC 6750 may have", "Az09-._~+/==", "Bearer Az09-._~+/=="},
		{"a token of Rancher's", "kubeconfig-u-abc12:s3cr3t\n", "Bearer kubeconfig-u-abc12:s3cr3t"},
		{"a token of Rancher's extension API", "ext/kubeconfig-u-abc12:s3cr3t", "Bearer ext/kubeconfig-u-abc12:s3cr3t"},
		{"any word: the API server decides", `"{a},b;=\%~`, `Bearer "{a},b;=\%~`},
		{"the largest token", strings.Repeat("x", 64<<10), "Bearer " + strings.Repeat("x", 64<<10)},

		{"empty", "", ""},
		{"nothing but blanks", " \n\t\r\n ", ""},
		{"one byte too large", strings.Repeat("x", 64<<10+1), ""},
		{"much too large", strings.Repeat("x", 1<<20), ""},
		{"too many blanks", jwt + strings.Repeat("\n", 64<<10), ""},
		{"two lines", jwt + "\nsecond", ""},
		{"two words", "Bearer " + jwt, ""},
		{"a header of its own", jwt + "\r\nImpersonate-User: admin", ""},
		{"a NUL", jwt + "\x00", ""},
		{"a byte-order mark", "\ufeff" + jwt, ""},
		{"not ASCII", "tökén", ""},
		{"a DEL", jwt + "\x7f", ""},
		{"JSON", `{"token": "` + jwt + `"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			writeToken(t, path, test.content)
			file := &impersonation.TokenFile{Path: path}
			for range 2 { // a bad one is not kept as a good one
				if test.want == "" {
					_ = wantNoToken(t, file, "eyJhbGci")
				} else {
					wantToken(t, file, test.want)
				}
				age(t, path, time.Hour)
			}
		})
	}
}

func TestTokenFileFollowsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	file := &impersonation.TokenFile{Path: path}
	if err := wantNoToken(t, file, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not say that there is no file", err)
	}
	writeToken(t, path, "first")
	wantToken(t, file, "Bearer first")
	age(t, path, time.Hour) // from here on its content is kept
	wantToken(t, file, "Bearer first")
	writeToken(t, path, "other") // the same size
	wantToken(t, file, "Bearer other")
	age(t, path, 2*time.Hour) // older than the last one
	wantToken(t, file, "Bearer other")
	writeToken(t, path, "longer-one")
	age(t, path, 2*time.Hour)
	wantToken(t, file, "Bearer longer-one")

	// no last good one is kept: a token that was removed must not be used
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	_ = wantNoToken(t, file, "longer-one")
	writeToken(t, path, "again")
	age(t, path, time.Hour)
	wantToken(t, file, "Bearer again")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_ = wantNoToken(t, file, "again")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	_ = wantNoToken(t, file, "again")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeToken(t, path, "back")
	wantToken(t, file, "Bearer back")
}

// File systems keep the time of change in steps of some milliseconds: two contents of
// the same size within one step look the same.
func TestTokenFileSeesEveryChangeOfTheSameSizeAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	file := &impersonation.TokenFile{Path: path}
	for i := range 300 {
		content := fmt.Sprintf("token-%03d", i)
		writeToken(t, path, content)
		got, err := file.Authorization(t.Context())
		if err != nil || got != "Bearer "+content {
			t.Fatalf("got %q, %v after writing %q", got, err, content)
		}
	}
}

// The clock of a file server may be ahead.
func TestTokenFileFromTheFutureIsReadEachTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	file := &impersonation.TokenFile{Path: path}
	at := time.Now().Add(time.Hour)
	for i := range 20 {
		content := fmt.Sprintf("token-%d", i%2)
		writeToken(t, path, content)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		wantToken(t, file, "Bearer "+content)
	}
}

// The kubelet renews a projected volume by swapping a symbolic link: name, size and
// time may be the same, the file is another.
func TestTokenFileFollowsAProjectedVolume(t *testing.T) {
	dir := t.TempDir()
	at := time.Now().Add(-time.Hour)
	publish := func(version, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, version, "token")
		writeToken(t, target, content)
		if err := os.Chtimes(target, at, at); err != nil {
			t.Fatal(err)
		}
		temporary := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(version, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..2026_01", "token-1")
	path := filepath.Join(dir, "token")
	if err := os.Symlink(filepath.Join("..data", "token"), path); err != nil {
		t.Fatal(err)
	}
	file := &impersonation.TokenFile{Path: path}
	wantToken(t, file, "Bearer token-1")
	wantToken(t, file, "Bearer token-1")
	publish("..2026_02", "token-2")
	wantToken(t, file, "Bearer token-2")
	if err := os.RemoveAll(filepath.Join(dir, "..2026_01")); err != nil {
		t.Fatal(err)
	}
	wantToken(t, file, "Bearer token-2")
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	_ = wantNoToken(t, file, "token-2")
}

// Run with -race. A read while the file changes returns one of its contents, whole.
func TestTokenFileServesManyRequestsWhileItChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	contents := map[string]bool{}
	replace := func(i int) {
		next := filepath.Join(dir, "next")
		writeToken(t, next, fmt.Sprintf("token-%d", i))
		age(t, next, time.Duration(i+3)*time.Second)
		if err := os.Rename(next, path); err != nil {
			t.Error(err)
		}
	}
	const changes = 100
	for i := range changes {
		contents[fmt.Sprintf("Bearer token-%d", i)] = true
	}
	replace(0)
	file := &impersonation.TokenFile{Path: path}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got, err := file.Authorization(t.Context()); err != nil || !contents[got] {
					t.Errorf("got %q, %v", got, err)
					return
				}
			}
		})
	}
	for i := range changes {
		replace(i)
		time.Sleep(time.Millisecond)
	}
	close(done)
	readers.Wait()
	wantToken(t, file, fmt.Sprintf("Bearer token-%d", changes-1))
}
