// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
)

// Each step changes a file, and has the result of the next read: its content, an error,
// or that nothing has changed.
func TestFileIsReadWhenItChanges(t *testing.T) {
	const unchanged = ""
	path := filepath.Join(t.TempDir(), "file")
	file := &filewatch.File{Path: path}
	for _, step := range []struct {
		name string
		act  func(t *testing.T)
		want string
	}{
		{"there is no file", func(*testing.T) {}, "error: no such file"},
		{"the file is created", func(t *testing.T) { t.Helper(); write(t, path, "first", time.Hour) }, "first"},
		{"nothing happened", func(*testing.T) {}, unchanged},
		{"another time of change", func(t *testing.T) { t.Helper(); write(t, path, "other", 2*time.Hour) }, "other"},
		{"another size", func(t *testing.T) { t.Helper(); write(t, path, "longer", 2*time.Hour) }, "longer"},
		{"another file of the same size and time", func(t *testing.T) {
			t.Helper()
			write(t, path+".new", "LONGER", 2*time.Hour)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, "LONGER"},
		{"nothing happened to that file", func(*testing.T) {}, unchanged},
		{"the caller could not use it", func(*testing.T) { file.Forget() }, "LONGER"},
		{"it has just changed", func(t *testing.T) { t.Helper(); write(t, path, "younger", 0) }, "younger"},
		{"it may have changed again in the same step of the clock", func(*testing.T) {}, "younger"},
		{"it is from the future", func(t *testing.T) { t.Helper(); write(t, path, "future", -time.Hour) }, "future"},
		{"it is still from the future", func(*testing.T) {}, "future"},
		{"it is old again", func(t *testing.T) { t.Helper(); write(t, path, "old", time.Hour) }, "old"},
		{"it is moved away", func(t *testing.T) {
			t.Helper()
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
		}, "error: no such file"},
		{"it is moved back", func(t *testing.T) {
			t.Helper()
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
		}, "old"},
		{"it is empty", func(t *testing.T) { t.Helper(); write(t, path, "", time.Hour) }, unchanged},
		{"it is longer than the limit", func(t *testing.T) { t.Helper(); write(t, path, strings.Repeat("x", 20), time.Hour) }, strings.Repeat("x", 11)},
		{"it is a folder", func(t *testing.T) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "error: is not a regular file"},
		{"it is still a folder", func(*testing.T) {}, "error: is not a regular file"},
	} {
		step.act(t)
		content, changed, err := file.Read(10)
		reason, failing := strings.CutPrefix(step.want, "error: ")
		switch {
		case failing != (err != nil) || err != nil && !strings.Contains(err.Error(), reason):
			t.Errorf("%s: %v, want %s", step.name, err, step.want)
		case !failing && string(content) != step.want:
			t.Errorf("%s: %q, want %q", step.name, content, step.want)
		case changed != (!failing && (step.want != unchanged || step.name == "it is empty")):
			t.Errorf("%s: changed %v", step.name, changed)
		}
	}
}

// Kubernetes renews a mounted volume by swapping a symbolic link: the name, the size and the
// time may be the same, and the file is another.
func TestFileBehindALinkThatIsSwapped(t *testing.T) {
	dir := t.TempDir()
	file := &filewatch.File{Path: filepath.Join(dir, "link")}
	at := time.Now().Add(-time.Hour)
	for _, content := range []string{"one", "two"} {
		target := filepath.Join(dir, content)
		write(t, target, content, 0)
		if err := os.Chtimes(target, at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, file.Path+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file.Path+".new", file.Path); err != nil {
			t.Fatal(err)
		}
		if got, changed, err := file.Read(10); string(got) != content || !changed || err != nil {
			t.Errorf("%q, %v, %v, want %q", got, changed, err, content)
		}
		if _, changed, err := file.Read(10); changed || err != nil {
			t.Errorf("changed %v, %v", changed, err)
		}
	}
}

// Reading a pipe would wait for a writer, and reading a device would never end.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir()} {
		if _, stamp, err := filewatch.ReadRegular(path, 10); err == nil || !strings.Contains(err.Error(), path+" is not a regular file") || !stamp.IsZero() {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestZeroStampMatchesNoFile(t *testing.T) {
	info, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if (filewatch.Stamp{}).Is(info) {
		t.Error("it is")
	}
}

func write(t *testing.T, path, content string, age time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}
