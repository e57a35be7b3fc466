// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FuzzAuthenticatorHeader puts any text into the fields, in any encoding. It must not
// panic, an error must have one sentinel and no part of the text, and only the holder of
// the one certificate that the CA has issued gets in.
func FuzzAuthenticatorHeader(f *testing.F) {
	encodings := []certauth.Encoding{certauth.URLPEM, certauth.PEM, certauth.Base64DER, certauth.RFC9440, certauth.XFCC, ""}
	root := newAuthority(f, "ecdsa", "root", nil)
	mid := newAuthority(f, "ecdsa", "between", root)
	leaf := sign(f, clientTemplate("alice"), newKey(f, "ecdsa"), mid)
	self := sign(f, clientTemplate("mallory"), newKey(f, "ecdsa"), nil)
	for i := range encodings {
		for _, leafOnly := range []bool{false, true} {
			f.Add(uint8(i), leafOnly, escaped(leaf, mid.cert), "")
			f.Add(uint8(i), leafOnly, asALB(leaf.Raw), asALB(mid.cert.Raw))
			f.Add(uint8(i), leafOnly, asApacheFolded(leaf.Raw), asApacheFolded(mid.cert.Raw))
			f.Add(uint8(i), leafOnly, asTraefik(leaf.Raw, mid.cert.Raw), "")
			f.Add(uint8(i), leafOnly, b64(leaf), b64(mid.cert))
			f.Add(uint8(i), leafOnly, item(leaf), item(mid.cert)+lineEnd+item(root.cert))
			f.Add(uint8(i), leafOnly, asEnvoy(leaf.Raw, mid.cert.Raw), "")
			f.Add(uint8(i), leafOnly, asEnvoy(leaf.Raw)+","+asEnvoy(self.Raw), "")
			f.Add(uint8(i), leafOnly, escaped(self, leaf, mid.cert)+lineEnd+escaped(leaf), "")
		}
	}
	f.Add(uint8(0), false, "(null)", "-")
	f.Fuzz(func(t *testing.T, encoding uint8, leafOnly bool, leafText, chainText string) {
		j := newFixture(encodings[int(encoding)%len(encodings)], root.cert)
		j.LeafOnly = leafOnly
		now := time.Now()
		verdict, err := j.Header(t.Context(), fuzzLines(leafText), fuzzLines(chainText), now)
		again, errAgain := j.Header(t.Context(), fuzzLines(leafText), fuzzLines(chainText), now)
		if (err == nil) != (errAgain == nil) || again.User.Username != verdict.User.Username {
			t.Errorf("%v, and the second time %v", err, errAgain)
		}
		if err == nil {
			id := verdict.User.Extra["authentication.kubernetes.io/credential-id"]
			if verdict.User.Username != "alice" || !slices.Equal(id, []string{"X509SHA256=" + hexSum(leaf)}) {
				t.Errorf("%q got in with %q", verdict.User.Username, id)
			}
			return
		}
		if !identity.IsRefusal(err) || errors.Is(err, identity.ErrInternal) && j.Encoding.Valid() {
			t.Errorf("%v should wrap exactly one sentinel, and not ErrInternal for a valid encoding", err)
		}
		if verdict.User.Username != "" || len(err.Error()) > 256 || shows(err.Error(), leafText) || shows(err.Error(), chainText) {
			t.Errorf("the error shows a part of the field: %v", err)
		}
	})
}

// shows says whether text has a longer piece of the sent values, except words of the
// errors themselves.
func shows(text, sent string) bool {
	const piece = 24 // longer than any such word
	for i := 0; i+piece <= len(sent); i++ {
		if strings.Contains(text, sent[i:i+piece]) && !strings.ContainsAny(sent[i:i+piece], " ") {
			return true
		}
	}
	return false
}
