// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// fixture is an authenticator whose roots and their key a test can change. If the roots
// change and the key does not, a verdict by the old roots is from the cache.
type fixture struct {
	*certauth.Authenticator

	roots *x509.CertPool
	key   certauth.Key
}

func newFixture(encoding certauth.Encoding, roots ...*x509.Certificate) *fixture {
	f := &fixture{roots: poolOf(roots...)}
	f.Authenticator = &certauth.Authenticator{
		Encoding: encoding,
		Trust:    func() certauth.Trust { return certauth.Trust{Roots: f.roots, Key: f.key} },
		Verifier: certauth.Verifier{MaxIntermediates: certauth.DefaultMaxIntermediates},
		Mapping:  certauth.Mapping{Username: []certauth.Attribute{certauth.CommonName}},
		Cache:    certauth.NewCache(16),
		TTL:      time.Hour,
	}
	return f
}

func (f *fixture) want(t *testing.T, leaf, chain []string, now time.Time, want error) certauth.Verdict {
	t.Helper()
	verdict, err := f.Header(t.Context(), leaf, chain, now)
	wantSentinel(t, err, want)
	if name := verdict.User.Username; err == nil && name != "alice" || err != nil && name != "" {
		t.Fatalf("the user is %q", name)
	}
	return verdict
}

func line(lines ...string) []string { return lines }

func b64(cert *x509.Certificate) string { return base64.StdEncoding.EncodeToString(cert.Raw) }

func item(cert *x509.Certificate) string { return ":" + b64(cert) + ":" }

func TestAuthenticatorKeepsAVerdictForItsTime(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	leaf, now := line(escaped(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root))), time.Now()
	f := newFixture(certauth.URLPEM, root.cert)
	f.TTL = time.Minute
	f.want(t, leaf, nil, now, nil)
	f.roots = x509.NewCertPool() // the cache alone knows alice from here on
	f.want(t, leaf, nil, now.Add(time.Minute-1), nil)
	f.want(t, leaf, nil, now.Add(time.Minute), identity.ErrRejected)
	f.want(t, leaf, nil, now, identity.ErrRejected)
}

func TestAuthenticatorKeepsNoVerdictPastTheCertificate(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	now := time.Now().Truncate(time.Second)
	cert := sign(t, changed(clientTemplate("alice"), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = now.Add(-time.Hour), now.Add(time.Minute)
	}), newKey(t, "ecdsa"), root)
	f := newFixture(certauth.URLPEM, root.cert)
	f.TTL = 10 * time.Hour
	if verdict := f.want(t, line(escaped(cert)), nil, now, nil); !verdict.Expires.Equal(cert.NotAfter) {
		t.Errorf("expires %v, want %v", verdict.Expires, cert.NotAfter)
	}
	f.want(t, line(escaped(cert)), nil, now.Add(59*time.Second), nil)
	f.want(t, line(escaped(cert)), nil, now.Add(61*time.Second), identity.ErrRejected)
	if _, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, now); err != nil {
		t.Fatal(err)
	}
	_, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, now.Add(61*time.Second))
	wantSentinel(t, err, identity.ErrRejected)
}

// Each of these would be alice if the key of the cache did not include it.
func TestAuthenticatorVerifiesAgainIfAnythingDiffers(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	mid := newAuthority(t, "ecdsa", "between", root)
	cert, now := sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), mid), time.Now()
	leaf, chain := line(item(cert)), line(item(mid.cert), item(root.cert))
	joined := item(mid.cert) + item(root.cert)
	other := func(l, c []string, want error) func(*testing.T, *fixture) {
		return func(t *testing.T, f *fixture) { t.Helper(); f.want(t, l, c, now, want) }
	}
	for name, try := range map[string]func(*testing.T, *fixture){
		"nothing else":                           other(leaf, chain, nil),
		"no chain":                               other(leaf, nil, identity.ErrRejected),
		"a shorter chain, good without the rest": other(leaf, chain[:1], nil),
		"the wrong part of the chain":            other(leaf, chain[1:], identity.ErrRejected),
		"all in the leaf's field":                other(slices.Concat(leaf, chain), nil, identity.ErrMalformed),
		"a part in the leaf's field":             other(slices.Concat(leaf, chain[:1]), chain[1:], identity.ErrMalformed),
		"all in the chain's field":               other(nil, slices.Concat(leaf, chain), identity.ErrMalformed),
		"the same bytes, cut elsewhere":          other(leaf, line(joined[:len(joined)-9], joined[len(joined)-9:]), identity.ErrMalformed),
		"the same bytes in one line":             other(leaf, line(joined), identity.ErrMalformed),
		"the same bytes and an empty one":        other(leaf, append(line(joined), ""), identity.ErrMalformed),
		"other roots": func(t *testing.T, f *fixture) {
			t.Helper()
			f.roots, f.key = poolOf(newAuthority(t, "ecdsa", "root", nil).cert), certauth.Key{31: 1}
			f.want(t, leaf, chain, now, identity.ErrRejected)
		},
		"the handshake's certificates are other material": func(t *testing.T, f *fixture) {
			t.Helper()
			_, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, now)
			wantSentinel(t, err, identity.ErrRejected)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(certauth.RFC9440, root.cert)
			f.want(t, leaf, chain, now, nil)
			try(t, f)
		})
	}
	t.Run("the handshake's with another chain", func(t *testing.T) {
		f := newFixture("", root.cert)
		if _, err := f.Certificates(t.Context(), []*x509.Certificate{cert, mid.cert}, now); err != nil {
			t.Fatal(err)
		}
		_, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, now)
		wantSentinel(t, err, identity.ErrRejected)
	})
}

// A client that repeats a bad certificate costs one verification in some seconds. Its cause
// may be repaired meanwhile, so a refusal is not kept for longer; and garbage does not push
// good verdicts out.
func TestAuthenticatorKeepsARefusalForSeconds(t *testing.T) {
	root, other := newAuthority(t, "ecdsa", "root", nil), newAuthority(t, "ecdsa", "other", nil)
	leaf, now := line(escaped(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root))), time.Now()
	f := newFixture(certauth.URLPEM, other.cert)
	f.want(t, leaf, nil, now, identity.ErrRejected)
	f.roots = poolOf(root.cert) // under the same key
	f.want(t, leaf, nil, now.Add(5*time.Second-1), identity.ErrRejected)
	f.key = certauth.Key{31: 1}
	f.want(t, leaf, nil, now, nil)
	f.key = certauth.Key{}
	f.want(t, leaf, nil, now.Add(5*time.Second), nil)
	f.roots = poolOf(other.cert)
	for range 100 {
		text := make([]byte, 30)
		_, _ = rand.Read(text)
		f.want(t, line(base64.StdEncoding.EncodeToString(text)), nil, now, identity.ErrMalformed)
	}
	f.want(t, leaf, nil, now, nil)
}

func TestAuthenticatorMakesAPanicMalformed(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	cert := sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)
	cert.PublicKey = new(ecdsa.PublicKey) // no parser makes such a certificate
	f := newFixture(certauth.URLPEM, root.cert)
	f.Mapping.Username = []certauth.Attribute{certauth.URI}
	for range 2 {
		_, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, time.Now())
		wantSentinel(t, err, identity.ErrMalformed)
	}
}

func TestAuthenticatorTellsAbsentFromBad(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	cert, now := sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root), time.Now()
	f := newFixture(certauth.Base64DER, root.cert)
	for _, leaf := range [][]string{nil, {}, {""}, {"  "}, {"(null)"}, {"-"}, {`""`}} {
		f.want(t, leaf, nil, now, identity.ErrAbsent)
		f.want(t, leaf, line(b64(root.cert)), now, identity.ErrMalformed)
		if !f.Absent(leaf) {
			t.Errorf("%q is not absent", leaf)
		}
	}
	for _, leaf := range [][]string{{"", ""}, {"", b64(cert)}, {"null"}, {b64(cert)}} {
		if f.Absent(leaf) {
			t.Errorf("%.20q is absent", leaf)
		}
	}
	_, err := f.Certificates(t.Context(), nil, now)
	wantSentinel(t, err, identity.ErrAbsent)
	f.Cache = nil
	f.want(t, line(b64(cert)), nil, now, nil)
	f.LeafOnly = true
	f.want(t, line(b64(cert)+","+b64(cert)), nil, now, identity.ErrMalformed)
	f.want(t, line(b64(cert)+","+b64(cert)), line(b64(root.cert)), now, identity.ErrMalformed)
	f.want(t, line(b64(cert)), line(b64(root.cert)), now, nil)
}

// In a bubble, so that an hour passes at once. The file system's clock is the real one.
func TestAuthenticatorRefusesACertificateThatWasRevokedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newAuthority(t, "ecdsa", "root", nil)
		long := func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(100*time.Hour)
		}
		root.cert = sign(t, changed(&x509.Certificate{
			Subject: root.cert.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}, long), root.key, nil)
		cert := sign(t, changed(clientTemplate("alice"), long), newKey(t, "ecdsa"), root)
		path := filepath.Join(t.TempDir(), "list.crl")
		publish := func(number int64, serials ...*big.Int) {
			list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(10 * time.Minute)}
			for _, serial := range serials {
				list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
					x509.RevocationListEntry{SerialNumber: serial, RevocationTime: time.Now()})
			}
			der, err := x509.CreateRevocationList(rand.Reader, list, root.cert, root.key)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, der, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		publish(1)
		f := newFixture(certauth.URLPEM, root.cert)
		f.TTL = 10 * time.Hour
		f.Revocation = &certauth.Revocation{Mode: certauth.ModeStrict, CRLs: []string{path}}
		f.Revocation.Start(t.Context())
		defer f.Revocation.Close()
		leaf := line(escaped(cert))
		f.want(t, leaf, nil, time.Now(), nil)
		before := f.Revocation.Generation()
		time.Sleep(time.Minute)
		f.want(t, leaf, nil, time.Now(), nil)
		publish(2, cert.SerialNumber)
		time.Sleep(2 * time.Second)
		if f.Revocation.Generation() == before {
			t.Error("the generation is the same with another list")
		}
		f.want(t, leaf, nil, time.Now(), identity.ErrRejected)
		publish(3)
		time.Sleep(2 * time.Second)
		f.want(t, leaf, nil, time.Now(), nil)
		time.Sleep(11 * time.Minute) // past the list's next update, well within the time of the verdict
		f.want(t, leaf, nil, time.Now(), identity.ErrUnavailable)
	})
}

func TestAuthenticatorServesManyRequestsAtOnce(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	now, f := time.Now(), newFixture(certauth.Base64DER, root.cert)
	var good []string
	for range 32 { // more than the cache holds
		good = append(good, b64(sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)))
	}
	var users sync.WaitGroup
	for worker := range 8 {
		users.Go(func() {
			for i := range 64 {
				verdict, err := f.Header(t.Context(), line(good[(worker*7+i)%len(good)]), nil, now)
				if err != nil || verdict.User.Username != "alice" {
					t.Errorf("%q, %v", verdict.User.Username, err)
				}
			}
		})
	}
	users.Wait()
}
