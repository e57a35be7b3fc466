// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// What was derived from a verdict must not be found once the certificate was judged again: it
// may have another user then, by another map or another chain.
func TestACertificateThatIsJudgedAgainHasANewMemo(t *testing.T) {
	root, second := newAuthority(t, "ecdsa", "root", nil), newAuthority(t, "ecdsa", "second", nil)
	alice := line(escaped(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)))
	again := line(escaped(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)))
	now, owner := time.Now(), new(identity.Owner)
	for _, test := range []struct {
		name   string
		leaf   []string
		change func(f *fixture)
		later  time.Duration
		same   bool
	}{
		{"nothing has changed", alice, func(*fixture) {}, time.Minute - 1, true},
		{"its time is over", alice, func(*fixture) {}, time.Minute, false},
		{"there are other CAs", alice, func(f *fixture) { f.roots, f.key = poolOf(root.cert, second.cert), certauth.Key{1} }, 0, false},
		{"another certificate of the same user", again, func(*fixture) {}, 0, false},
		{"it was refused in between", alice, func(f *fixture) {
			f.roots = poolOf(second.cert)
			f.want(t, alice, nil, now.Add(time.Minute), identity.ErrRejected)
			f.roots = poolOf(root.cert)
		}, 2 * time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(certauth.URLPEM, root.cert)
			f.TTL = time.Minute
			memo := f.want(t, alice, nil, now, nil).Memo
			if memo == nil {
				t.Fatal("the verdict has no Memo")
			}
			memo.Put(owner, "derived")
			if kept := f.want(t, alice, nil, now, nil).Memo; kept != memo {
				t.Fatal("the kept verdict has another Memo")
			}
			test.change(f)
			got := f.want(t, test.leaf, nil, now.Add(test.later), nil).Memo
			if got == nil || (got == memo) != test.same || (got.Get(owner) != nil) != test.same {
				t.Errorf("the same Memo: %v, with the note %v", got == memo, got.Get(owner))
			}
		})
	}
}

// Without a cache there is no verdict that a Memo could belong to.
func TestACertificateWithoutACacheHasNoMemo(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	f := newFixture(certauth.URLPEM, root.cert)
	f.Cache = nil
	leaf := line(escaped(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)))
	if memo := f.want(t, leaf, nil, time.Now(), nil).Memo; memo != nil {
		t.Errorf("the Memo is %v", memo)
	}
}
