// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"net/url"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// attributes makes a subject from pairs: the last number of a type below 2.5.4, and a
// value.
func attributes(pairs ...any) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
		for i := 0; i < len(pairs); i += 2 {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames,
				pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, pairs[i].(int)}, Value: pairs[i+1]})
		}
	}
}

func withNames(dns, email []string, uris ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = dns, email
		for _, text := range uris {
			uri, err := url.Parse(text)
			if err != nil {
				panic(err)
			}
			c.URIs = append(c.URIs, uri)
		}
	}
}

func hexSum(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

const (
	typeCN, typeO, typeOU = 3, 10, 11
)

func TestMappingUser(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	named := []certauth.Attribute{certauth.CommonName}
	all := []certauth.Attribute{certauth.URI, certauth.Email, certauth.DNS, certauth.CommonName}
	bothGroups := []certauth.Attribute{certauth.OrganizationalUnit, certauth.Organization}
	list := func(names ...string) []string { return names }
	guest := &certauth.Entry{User: "guest", Groups: list("readers")}
	for _, tt := range []struct {
		name    string
		mapping certauth.Mapping
		change  func(*x509.Certificate)
		user    string
		groups  []string
		want    error
	}{
		{"the common name", certauth.Mapping{Username: named}, attributes(typeCN, "alice", typeO, "dev"), "alice", nil, nil},
		{"two common names", certauth.Mapping{Username: named}, attributes(typeCN, "alice", typeCN, "bob"), "", nil, identity.ErrRejected},
		{"no common name", certauth.Mapping{Username: named}, attributes(typeO, "dev"), "", nil, identity.ErrRejected},
		{"no attribute is asked for", certauth.Mapping{}, attributes(typeCN, "alice"), "", nil, identity.ErrRejected},
		{"the first attribute that the certificate has", certauth.Mapping{Username: all}, withNames(list("a.example"), nil), "a.example", nil, nil},
		{"the order is the mapping's", certauth.Mapping{Username: all}, withNames(list("a.example"), list("a@example.com"), "urn:a"), "urn:a", nil, nil},
		{"an ambiguous attribute refuses the certificate", certauth.Mapping{Username: all, Default: guest}, withNames(nil, list("a@x.example", "b@x.example")), "", nil, identity.ErrRejected},
		{"an ambiguous attribute behind the first does not matter", certauth.Mapping{Username: all}, withNames(nil, list("a@x.example", "b@x.example"), "urn:a"), "urn:a", nil, nil},
		{"groups in order, with a prefix", certauth.Mapping{Username: named, Groups: bothGroups, UserPrefix: "u:", GroupPrefix: "g:"}, attributes(typeO, "a", typeCN, "alice", typeOU, "b", typeO, "c"), "u:alice", list("g:b", "g:a", "g:c"), nil},
		{"an empty group", certauth.Mapping{Username: named, Groups: bothGroups}, attributes(typeCN, "alice", typeO, ""), "", nil, identity.ErrRejected},
		{"allowed, before the prefix", certauth.Mapping{Username: named, AllowedNames: list("alice"), UserPrefix: "u:"}, attributes(typeCN, "alice"), "u:alice", nil, nil},
		{"not allowed", certauth.Mapping{Username: named, AllowedNames: list("u:alice", "bob"), UserPrefix: "u:"}, attributes(typeCN, "alice"), "", nil, identity.ErrForbidden},
		{"a default if the certificate has no name", certauth.Mapping{Username: named, Default: guest, UserPrefix: "u:", Groups: bothGroups}, attributes(typeO, "dev"), "guest", list("readers"), nil},
		{"a default for an empty name", certauth.Mapping{Username: named, Default: guest}, attributes(typeCN, ""), "guest", list("readers"), nil},
		{"a default is not for a name that is not allowed", certauth.Mapping{Username: named, Default: guest, AllowedNames: list("bob")}, attributes(typeCN, "alice"), "", nil, identity.ErrForbidden},
		{"only the map", certauth.Mapping{Username: named, MapOnly: true, Map: []certauth.Entry{{Name: "bob", User: "b"}}}, attributes(typeCN, "alice"), "", nil, identity.ErrForbidden},
		{"an unknown attribute has no value", certauth.Mapping{Username: []certauth.Attribute{"nickname"}}, attributes(typeCN, "alice"), "", nil, identity.ErrRejected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf := sign(t, changed(clientTemplate("alice"), tt.change), key, root)
			user, err := tt.mapping.User([]*x509.Certificate{leaf, root.cert})
			wantSentinel(t, err, tt.want)
			if err != nil {
				return
			}
			if user.Username != tt.user || !slices.Equal(user.Groups, tt.groups) {
				t.Errorf("got %q %q, want %q %q", user.Username, user.Groups, tt.user, tt.groups)
			}
			id := user.Extra["authentication.kubernetes.io/credential-id"]
			if len(user.Extra) != 1 || !slices.Equal(id, list("X509SHA256="+hexSum(leaf))) {
				t.Errorf("extra is %q", user.Extra)
			}
		})
	}
}

// Two certificates with different subjects never have one name: pkix.Name keeps the last
// of several values, and would take a client for alice whose second value is her name.
func TestMappingSubjectTellsSubjectsApart(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	mapping := certauth.Mapping{Username: []certauth.Attribute{certauth.Subject}}
	seen := make(map[string]string)
	for name, change := range map[string]func(*x509.Certificate){
		"alice":                  attributes(typeCN, "alice"),
		"mallory, then alice":    attributes(typeCN, "mallory", typeCN, "alice"),
		"alice, then mallory":    attributes(typeCN, "alice", typeCN, "mallory"),
		"alice with a group":     attributes(typeO, "dev", typeCN, "alice"),
		"a group within alice":   attributes(typeCN, "alice,O=dev"),
		"a plus within alice":    attributes(typeCN, "alice+O=dev"),
		"a serial number":        attributes(5, "1", typeCN, "alice"),
		"two serial numbers":     attributes(5, "2", 5, "1", typeCN, "alice"),
		"a blank before alice":   attributes(typeCN, " alice"),
		"a backslash in alice":   attributes(typeCN, `alice\`),
		"two groups":             attributes(typeO, "dev", typeO, "ops", typeCN, "alice"),
		"two groups after alice": attributes(typeCN, "alice", typeO, "dev", typeO, "ops"),
		"two groups in one text": attributes(typeO, "dev+O=ops", typeCN, "alice"),
	} {
		leaf := sign(t, changed(clientTemplate("x"), change), key, root)
		user, err := mapping.User([]*x509.Certificate{leaf, root.cert})
		if err != nil {
			continue // refused, so there is no user
		}
		if other, taken := seen[user.Username]; taken {
			t.Errorf("%q and %q are both %q", name, other, user.Username)
		}
		seen[user.Username] = name
	}
}

// Kong's order: alternative names before the common name, which counts only if there is
// no extension of alternative names at all; entries with the issuer before those without.
func TestMappingMap(t *testing.T) {
	root, other := newAuthority(t, "ecdsa", "root", nil), newAuthority(t, "ecdsa", "other", nil)
	key := newKey(t, "ecdsa")
	mapping := certauth.Mapping{
		Username: []certauth.Attribute{certauth.CommonName}, MapOnly: true,
		Map: []certauth.Entry{
			{Name: "alice", User: "any-alice"},
			{Name: "alice", Issuer: other.cert, User: "other-alice", Groups: []string{"g"}},
			{Name: "alice", User: "never"},
			{Name: "urn:alice", User: "uri"},
			{Name: "a.example", User: "dns"},
			{Name: "", User: "empty"},
			{Name: "root-only", Issuer: root.cert, User: "root"},
		},
	}
	odd := func(c *x509.Certificate) { // alternative names, of a kind that cannot be mapped
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: []byte{0x30, 3, 0x88, 1, 42}}}
	}
	for _, tt := range []struct {
		name   string
		by     *authority
		change func(*x509.Certificate)
		user   string
	}{
		{"the first entry for any issuer", root, attributes(typeCN, "alice"), "any-alice"},
		{"the entry with the issuer", other, attributes(typeCN, "alice"), "other-alice"},
		{"an alternative name", root, withNames(nil, nil, "urn:alice"), "uri"},
		{"the first alternative name that is mapped", root, withNames([]string{"b.example", "a.example"}, nil, "urn:alice"), "dns"},
		{"the common name beside alternative names", root, withNames([]string{"b.example"}, nil), ""},
		{"the common name beside names of another kind", root, odd, ""},
		{"two common names", root, attributes(typeCN, "alice", typeCN, "alice"), ""},
		{"an empty common name is not the empty entry", root, attributes(typeCN, ""), ""},
		{"no subject is not the empty entry", root, attributes(), ""},
		{"an entry of another issuer", other, attributes(typeCN, "root-only"), ""},
		{"an entry of the issuer", root, attributes(typeCN, "root-only"), "root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf := sign(t, changed(clientTemplate("alice"), tt.change), key, tt.by)
			user, err := mapping.User([]*x509.Certificate{leaf, tt.by.cert})
			if tt.user == "" {
				wantSentinel(t, err, identity.ErrForbidden)
				return
			}
			wantSentinel(t, err, nil)
			if user.Username != tt.user {
				t.Errorf("got %q, want %q", user.Username, tt.user)
			}
		})
	}
	t.Run("a chain without an issuer does not match an entry with one", func(t *testing.T) {
		leaf := sign(t, clientTemplate("root-only"), key, nil)
		_, err := mapping.User([]*x509.Certificate{leaf})
		wantSentinel(t, err, identity.ErrForbidden)
	})
}
