// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeVolume is a projected volume with a token, as the kubelet makes one: the file is a
// link through ..data, which a renewal replaces in one step.
type kubeVolume struct {
	dir  string
	made int
}

func (v *kubeVolume) tokenFile() string { return filepath.Join(v.dir, "token") }

// put replaces the token as the kubelet does. All contents have the same, old time of
// change, so that only the file itself distinguishes them.
func (v *kubeVolume) put(token string) error {
	v.made++
	version := fmt.Sprintf("..%d", v.made)
	file := filepath.Join(v.dir, version, "token")
	old := time.Now().Add(-time.Hour).Truncate(time.Hour)
	link := filepath.Join(v.dir, "..data_tmp")
	return errors.Join(
		os.Mkdir(filepath.Join(v.dir, version), 0o700),
		os.WriteFile(file, []byte(token), 0o600),
		os.Chtimes(file, old, old),
		os.Symlink(version, link),
		os.Rename(link, filepath.Join(v.dir, "..data")),
	)
}

// overwrite changes the file in place.
func (v *kubeVolume) overwrite(content string) error {
	return os.WriteFile(v.tokenFile(), []byte(content), 0o600)
}

// remove removes the token.
func (v *kubeVolume) remove() error { return os.Remove(filepath.Join(v.dir, "..data")) }

// The names of the accounts are of one length, and so are their tokens.
func TestKubeATokenFileIsUsedAsItIsNow(t *testing.T) {
	one, two := testkube.Account(t, "kube-token-1", nil), testkube.Account(t, "kube-token-2", nil)
	volume := &kubeVolume{dir: t.TempDir()}
	if err := os.Symlink(filepath.Join("..data", "token"), volume.tokenFile()); err != nil {
		t.Fatal(err)
	}
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+"inject impersonation {\n token_file "+volume.tokenFile()+"\n }\n", ""))

	for _, step := range []struct {
		name    string
		change  func() error
		account string // that Caddy asks as; if empty, it does not ask
	}{
		{"before there is a file", func() error { return nil }, ""},
		{"the first token is used", func() error { return volume.put(one) }, "kube-token-1"},
		{"the first token is used again", func() error { return nil }, "kube-token-1"},
		{"a renewed token is used at once", func() error { return volume.put(two) }, "kube-token-2"},
		{"a token with a line break is used", func() error { return volume.put(one + "\n") }, "kube-token-1"},
		{"a token that was written over it is used", func() error { return volume.overwrite(two) }, "kube-token-2"},
		{"an empty file gives no token", func() error { return volume.overwrite("") }, ""},
		{"blanks give no token", func() error { return volume.overwrite(" \n\t\n") }, ""},
		{"two tokens give no token", func() error { return volume.overwrite(one + "\n" + two + "\n") }, ""},
		{"a restored token is used at once", func() error { return volume.put(one) }, "kube-token-1"},
		{"a token that was removed is not used", volume.remove, ""},
		{"a token that came back is used at once", func() error { return volume.put(two) }, "kube-token-2"},
	} {
		t.Run(step.name, func(t *testing.T) {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}
			answer := testkube.Ask(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
			if step.account == "" {
				answer.WantRefused(t, http.StatusServiceUnavailable)
				if answer.Header.Get("Retry-After") == "" {
					t.Error("there is no Retry-After")
				}
				return
			}
			answer.WantUser(t, testkube.Developer())
			if user, want := answer.Event(t).User.Username, "system:serviceaccount:"+step.account+":"+step.account; user != want {
				t.Errorf("Caddy asked as %q, want %q", user, want)
			}
		})
	}
}
