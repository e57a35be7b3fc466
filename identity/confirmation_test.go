// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// boundTo is the claim cnf of a token that is bound to a certificate (DER).
func boundTo(der string) map[string]any {
	sum := sha256.Sum256([]byte(der))
	return map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
}

// reader is a source that reads the certificate of a proxy's client.
type reader struct {
	der string
	err error
}

func (*reader) Reads() identity.Fields { return identity.Fields{} }

func (*reader) Authenticate(context.Context, *identity.Request) (*identity.Identity, error) {
	return nil, identity.ErrAbsent
}

func (r *reader) ClientCertificate(*identity.Request) ([]byte, error) { return []byte(r.der), r.err }

func shows(ders ...string) *identity.Request {
	r := new(identity.Request)
	for _, der := range ders {
		r.Certificates = append(r.Certificates, &x509.Certificate{Raw: []byte(der)})
	}
	return r
}

// behind is a request by a trusted proxy that has a certificate of its own.
func behind(readers ...identity.CertificateReader) *identity.Request {
	r := shows("proxy")
	r.Peer.Trusted, r.CertificateReaders = true, readers
	return r
}

func TestCertificateBound(t *testing.T) {
	absent := &reader{err: identity.ErrAbsent}
	broken := &reader{err: fmt.Errorf("%w: reading the certificate", identity.ErrMalformed)}
	untrusted := shows()
	untrusted.CertificateReaders = []identity.CertificateReader{&reader{der: "alice"}}
	login := shows()
	login.Session.Issued = true
	alice := map[string]any{"cnf": boundTo("alice")}
	const (
		other   = "the token is bound to another certificate than the client's"
		none    = "the token is bound to a certificate, and the client does not have one"
		unread  = "the token is bound to a certificate, and no client_cert reads that of the proxy's client"
		unbound = "the token is not bound to a certificate (cnf)"
	)
	for name, c := range map[string]struct {
		bound  identity.CertificateBound
		claims map[string]any
		r      *identity.Request
		want   string // the reason; empty: it passes
	}{
		"a token that is not bound":                                 {identity.BoundPresent, nil, shows(), ""},
		"a token that is not bound, by default":                     {"", nil, shows(), ""},
		"a token that must be bound and is not":                     {identity.BoundRequired, nil, shows("alice"), unbound},
		"a token that is not bound, and bindings are not looked at": {identity.BoundOff, nil, shows(), ""},
		"a bound token, and bindings are not looked at":             {identity.BoundOff, alice, shows(), ""},
		"by its client":                                               {identity.BoundPresent, alice, shows("alice"), ""},
		"by its client, by default":                                   {"", alice, shows("alice"), ""},
		"by its client, and it must be bound":                         {identity.BoundRequired, alice, shows("alice"), ""},
		"by a client with another certificate":                        {identity.BoundPresent, alice, shows("mallory"), other},
		"by a client with another certificate, by default":            {"", alice, shows("mallory"), other},
		"by a client that sends the certificate as another's issuer":  {identity.BoundPresent, alice, shows("mallory", "alice"), other},
		"by a client without a certificate":                           {identity.BoundPresent, alice, shows(), none},
		"the certificate is in a field of a peer that is not trusted": {identity.BoundPresent, alice, untrusted, none},
		"by a trusted proxy's client":                                 {identity.BoundPresent, alice, behind(&reader{der: "alice"}), ""},
		"by a trusted proxy's other client":                           {identity.BoundPresent, alice, behind(&reader{der: "mallory"}), other},
		"the first field with a certificate counts":                   {identity.BoundPresent, alice, behind(absent, &reader{der: "mallory"}, &reader{der: "alice"}), other},
		"the first field has none":                                    {identity.BoundPresent, alice, behind(absent, &reader{der: "alice"}), ""},
		"the proxy's client has none":                                 {identity.BoundPresent, alice, behind(absent), none},
		"the field cannot be read":                                    {identity.BoundPresent, alice, behind(broken, &reader{der: "alice"}), "reading the certificate"},
		"bound to the proxy, by its client":                           {identity.BoundPresent, map[string]any{"cnf": boundTo("proxy")}, behind(&reader{der: "alice"}), other},
		"bound to the proxy, by its client without a certificate":     {identity.BoundPresent, map[string]any{"cnf": boundTo("proxy")}, behind(absent), none},
		"bound to the proxy, whose fields are not read":               {identity.BoundPresent, map[string]any{"cnf": boundTo("proxy")}, behind(), unread},
		"the issuer has just sent it to the proxy":                    {identity.BoundPresent, alice, login, ""},
		"the issuer has just sent one that must be bound":             {identity.BoundRequired, nil, login, unbound},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.bound.Check(c.r, identity.ReadConfirmation(c.claims))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!identity.IsRefusal(err) || !strings.HasSuffix(err.Error(), c.want)):
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestConfirmationThatIsNotUnderstood(t *testing.T) {
	good := boundTo("alice")["x5t#S256"].(string)
	sum := sha256.Sum256([]byte("alice"))
	short := base64.RawURLEncoding.EncodeToString(sum[:31])
	for name, cnf := range map[string]any{
		"null": nil, "a text": good, "a number": 1.0, "true": true, "a list": []any{map[string]any{"x5t#S256": good}},
		"an empty object":                  map[string]any{},
		"a key of DPoP":                    map[string]any{"jkt": good},
		"a key of DPoP beside it":          map[string]any{"x5t#S256": good, "jkt": good},
		"a key id beside it":               map[string]any{"x5t#S256": good, "kid": "1"},
		"a key":                            map[string]any{"jwk": map[string]any{"kty": "EC"}},
		"an empty member beside it":        map[string]any{"x5t#S256": good, "": nil},
		"the name in another case":         map[string]any{"x5t#s256": good},
		"SHA-1":                            map[string]any{"x5t": good[:27]},
		"SHA-1 by the name of the other":   map[string]any{"x5t#S256": good[:27]},
		"not a text":                       map[string]any{"x5t#S256": 1.0},
		"a list of one":                    map[string]any{"x5t#S256": []any{good}},
		"null inside":                      map[string]any{"x5t#S256": nil},
		"an empty text":                    map[string]any{"x5t#S256": ""},
		"with padding":                     map[string]any{"x5t#S256": good + "="},
		"with a blank":                     map[string]any{"x5t#S256": good + " "},
		"with a line break":                map[string]any{"x5t#S256": good + "\n"},
		"a line break in place of the end": map[string]any{"x5t#S256": short + "\n"},
		"in the other alphabet":            map[string]any{"x5t#S256": base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xff", 16)))},
		"hexadecimal":                      map[string]any{"x5t#S256": hex.EncodeToString(sum[:])},
		"one byte less":                    map[string]any{"x5t#S256": short},
		"bits behind the end":              map[string]any{"x5t#S256": good[:42] + "9"},
	} {
		t.Run(name, func(t *testing.T) {
			confirmation := identity.ReadConfirmation(map[string]any{"cnf": cnf})
			if confirmation == nil {
				t.Fatal("the token is not bound")
			}
			for _, bound := range []identity.CertificateBound{"", identity.BoundPresent, identity.BoundRequired} {
				err := bound.Check(shows("alice"), confirmation)
				if !errors.Is(err, identity.ErrRejected) || !strings.Contains(err.Error(), "cnf that is not understood: it") {
					t.Errorf("%q: %v", bound, err)
				}
			}
			if err := identity.BoundOff.Check(shows("alice"), confirmation); err != nil {
				t.Error(err)
			}
		})
	}
}

// While the addresses of the proxies are not known, the certificate of a handshake may be that of a
// proxy: a token that is bound to the proxy would pass for all of its clients.
func TestABoundTokenWaitsUntilItIsKnownWhoIsAProxy(t *testing.T) {
	r := shows("proxy")
	r.Peer.Undecided = true
	confirmation := identity.ReadConfirmation(map[string]any{"cnf": boundTo("proxy")})
	for _, bound := range []identity.CertificateBound{identity.BoundPresent, identity.BoundRequired} {
		if err := bound.Check(r, confirmation); !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) {
			t.Errorf("%q: %v", bound, err)
		}
	}
	if err := identity.BoundPresent.Check(r, nil); err != nil {
		t.Errorf("a token that is not bound: %v", err)
	}
}

// FuzzConfirmation reads any cnf. Only one spelling of a thumbprint is accepted.
func FuzzConfirmation(f *testing.F) {
	good, _ := json.Marshal(boundTo("alice"))
	for _, text := range []string{
		string(good), `null`, `[]`, `"x"`, `{}`, `{"jkt":"x"}`, `{"x5t#S256":1}`,
		strings.Replace(string(good), `"}`, `="}`, 1), strings.Replace(string(good), `{`, `{"jkt":"x",`, 1),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var cnf any
		if json.Unmarshal([]byte(text), &cnf) != nil {
			return
		}
		confirmation := identity.ReadConfirmation(map[string]any{"cnf": cnf})
		if confirmation == nil {
			t.Fatal("the token is not bound")
		}
		members, _ := cnf.(map[string]any)
		isGood := len(members) == 1 && members["x5t#S256"] == boundTo("alice")["x5t#S256"]
		err := identity.BoundPresent.Check(shows("alice"), confirmation)
		if (err == nil) != isGood || err != nil && !errors.Is(err, identity.ErrRejected) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("a reason of %d bytes", len(err.Error()))
		}
	})
}
