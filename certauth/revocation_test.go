// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestRevocationValidate(t *testing.T) {
	for name, test := range map[string]struct {
		r    Revocation
		want string
	}{
		"off":                        {Revocation{Mode: ModeOff}, ""},
		"strict with ocsp":           {Revocation{Mode: ModeStrict, OCSP: true}, ""},
		"soft_fail with lists":       {Revocation{Mode: ModeSoftFail, CRLs: []string{"/ca.crl", "https://crl.example/ca.crl"}}, ""},
		"a responder":                {Revocation{Mode: ModeStrict, OCSP: true, Responder: "http://127.0.0.1:2560"}, ""},
		"allowed hosts":              {Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"a.example", "b.example:8080", "127.0.0.1", "[::1]", "[::1]:80", "::1"}}, ""},
		"no mode":                    {Revocation{OCSP: true}, "mode is off, soft_fail or strict"},
		"Kong's mode":                {Revocation{Mode: "STRICT", OCSP: true}, `not "STRICT"`},
		"nothing to ask":             {Revocation{Mode: ModeStrict}, "needs crl or ocsp"},
		"negative timeout":           {Revocation{Mode: ModeStrict, OCSP: true, Timeout: -1}, "timeout"},
		"a responder without ocsp":   {Revocation{Mode: ModeStrict, CRLs: []string{"a"}, Responder: "http://a"}, "but ocsp is off"},
		"an empty list":              {Revocation{Mode: ModeStrict, CRLs: []string{""}}, "crl is empty"},
		"a list by ldap":             {Revocation{Mode: ModeStrict, CRLs: []string{"ldap://a/b"}}, "not an http or https url"},
		"a password":                 {Revocation{Mode: ModeStrict, CRLs: []string{"http://u:secret@a/b"}}, "user name"},
		"a responder by file":        {Revocation{Mode: ModeStrict, OCSP: true, Responder: "file:///a"}, "ocsp:"},
		"a responder without a host": {Revocation{Mode: ModeStrict, OCSP: true, Responder: "http:///a"}, "no usable host"},
		"port 0":                     {Revocation{Mode: ModeStrict, OCSP: true, Responder: "http://a:0/"}, "no usable host"},
		"an allowed url":             {Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"http://a"}}, "allowed_hosts"},
		"an allowed pattern":         {Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"*.example"}}, "allowed_hosts"},
		"an empty allowed host":      {Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{""}}, "allowed_hosts"},
		"an allowed large port":      {Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"a:65536"}}, "allowed_hosts"},
	} {
		err := test.r.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in the error", name)
		}
	}
}

// TestMisuseFailsClosed: a caller's mistake refuses every certificate, except in the mode
// off.
func TestMisuseFailsClosed(t *testing.T) {
	ca := revCA(t, nil, "ca")
	leaf := revLeaf(t, ca, 7)
	path := revWrite(t, "", ca.list(t, nil))
	wantCheck(t, &Revocation{Mode: ModeOff}, nil)
	wantCheck(t, &Revocation{Mode: ModeSoftFail, CRLs: []string{path}}, identity.ErrUnavailable, leaf, ca)
	wantCheck(t, &Revocation{}, identity.ErrUnavailable, leaf, ca)
	for _, mode := range []Mode{ModeSoftFail, ModeStrict} {
		r := revStart(t, &Revocation{Mode: mode, CRLs: []string{path}})
		wantCheck(t, r, identity.ErrUnavailable)
	}
	r := &Revocation{Mode: "Off", CRLs: []string{"/nowhere"}}
	r.Start(t.Context())
	defer r.Close()
	wantCheck(t, r, identity.ErrUnavailable, leaf, ca)
	(&Revocation{Mode: ModeStrict}).Close()
}

// TestPinnedLeaf has a certificate that is its own chain: there is no issuer to revoke
// it.
func TestPinnedLeaf(t *testing.T) {
	leaf := revLeaf(t, nil, 7)
	for mode, want := range map[Mode]error{ModeSoftFail: nil, ModeStrict: identity.ErrUnavailable} {
		r := revStart(t, &Revocation{Mode: mode, OCSP: true})
		wantCheck(t, r, want, leaf)
	}
}

// TestAfterClose: known answers still count, and nothing is asked.
func TestAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, server := revCA(t, nil, "ca"), &revStatus{}
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
		leaf := revLeaf(t, ca, 7)
		wantCheck(t, r, nil, leaf, ca)
		r.Close()
		r.Close()
		wantCheck(t, r, nil, leaf, ca)
		wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, ca, 8), ca)
		if asked := server.asked.Load(); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestAuthorities checks the authorities between the leaf and the last certificate.
func TestAuthorities(t *testing.T) {
	root := revCA(t, nil, "root")
	upper := revNew(t, root, 21, revIsCA("upper"))
	lower := revNew(t, upper, 22, revIsCA("lower"))
	leaf := revLeaf(t, lower, 7)
	long := func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(48 * time.Hour) }
	for name, test := range map[string]struct {
		lists []byte
		want  error
	}{
		"no list for them":                     {revPEM(lower.list(t, nil)), nil},
		"good":                                 {revPEM(lower.list(t, long), upper.list(t, nil), root.list(t, long)), nil},
		"lower revoked":                        {revPEM(lower.list(t, nil), upper.list(t, nil, 22)), identity.ErrRejected},
		"upper revoked":                        {revPEM(lower.list(t, nil), root.list(t, nil, 21)), identity.ErrRejected},
		"the serials are of another authority": {revPEM(lower.list(t, nil, 21, 22), upper.list(t, nil, 21, 7), root.list(t, nil, 22, 7)), nil},
		"the root is not checked":              {revPEM(lower.list(t, nil), root.list(t, nil, 1)), nil},
		"a list for them only":                 {revPEM(upper.list(t, nil), root.list(t, nil)), identity.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{revWrite(t, "", test.lists)}})
			until := wantCheck(t, r, test.want, leaf, lower, upper, root).until
			if test.want == nil && time.Until(until) > 24*time.Hour {
				t.Errorf("until %v", until)
			}
		})
	}
}

func revIsCA(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
}

// TestOCSPThenLists has both: the responder is asked first, the lists if it has no
// answer, and then the result counts only for a moment.
func TestOCSPThenLists(t *testing.T) {
	for name, test := range map[string]struct {
		mode   Mode
		status int64
		listed bool
		want   error
		until  time.Duration
	}{
		"good, not on the list":    {ModeStrict, ocsp.Good, false, nil, time.Hour},
		"good, on the list":        {ModeStrict, ocsp.Good, true, nil, time.Hour},
		"revoked, not on the list": {ModeSoftFail, ocsp.Revoked, false, identity.ErrRejected, time.Hour},
		"down, not on the list":    {ModeStrict, -1, false, nil, retryAfter},
		"down, on the list":        {ModeSoftFail, -1, true, identity.ErrRejected, 24 * time.Hour},
		"unknown, on the list":     {ModeSoftFail, ocsp.Unknown, true, identity.ErrRejected, 24 * time.Hour},
		"unknown, not on the list": {ModeSoftFail, ocsp.Unknown, false, nil, retryAfter},
		"unknown in strict":        {ModeStrict, ocsp.Unknown, false, identity.ErrRejected, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, server := revCA(t, nil, "ca"), &revStatus{}
				server.status.Store(test.status)
				list := ca.list(t, nil)
				if test.listed {
					list = ca.list(t, nil, 7)
				}
				r := revStart(t, &Revocation{
					Mode: test.mode, OCSP: true, Responder: revResponder, transport: server.wire(t, ca),
					CRLs: []string{revWrite(t, "", list)},
				})
				defer r.Close()
				until := wantCheck(t, r, test.want, revLeaf(t, ca, 7), ca).until
				if got := time.Until(until); got != test.until {
					t.Errorf("until in %v, want %v", got, test.until)
				}
			})
		})
	}
}

// The tests below are named for the bugs that Kong published about its two certificate
// plugins. "OCSP failed when the downstream connection was not TLS" has no test of its
// own, since Check does not know of connections: each test here is without TLS.

// TestKongEmptyDN: "empty DN caused a runtime exception" (3.12).
func TestKongEmptyDN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := func(*x509.Certificate) {}
		ca := revNew(t, nil, 1, func(c *x509.Certificate) { revIsCA("")(c); c.Subject = pkix.Name{} })
		leaf, server := revNew(t, ca, 7, empty), &revStatus{}
		r := revStart(t, &Revocation{
			Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca),
			CRLs: []string{revWrite(t, "", revCA(t, nil, "ca").list(t, nil))},
		})
		defer r.Close()
		wantCheck(t, r, nil, leaf, ca)
		server.status.Store(-1)
		wantCheck(t, r, identity.ErrUnavailable, revNew(t, ca, 8, empty), ca)
	})
}

// TestKongNetworkFailuresWereCached: "network failures during revocation checks were
// cached" (four release lines). Here the responder's answer counts after the failure.
func TestKongNetworkFailuresWereCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, server := revCA(t, nil, "ca"), &revStatus{}
		server.status.Store(-1)
		strict := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
		defer strict.Close()
		soft := revStart(t, &Revocation{Mode: ModeSoftFail, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
		defer soft.Close()
		leaf := revLeaf(t, ca, 7)
		wantCheck(t, strict, identity.ErrUnavailable, leaf, ca)
		until := wantCheck(t, soft, nil, leaf, ca).until
		if time.Until(until) > retryAfter {
			t.Errorf("a pass without an answer may be kept until %v", until)
		}
		server.status.Store(ocsp.Revoked)
		wantCheck(t, strict, identity.ErrRejected, leaf, ca)
		time.Sleep(time.Until(until))
		wantCheck(t, soft, identity.ErrRejected, leaf, ca)
	})
}

// TestKongListFailureWasNotIgnored: "CRL failure was not ignored under IGNORE_CA_ERROR"
// (3.4), and "notice logged when a check fails under IGNORE_CA_ERROR" (3.6).
func TestKongListFailureWasNotIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		var logged []string
		r := revStart(t, &Revocation{
			Mode: ModeSoftFail, CRLs: []string{"http://crl.example/"},
			transport: revWire(func(*http.Request) (*http.Response, error) { return nil, errRevDown }),
			OnProblem: func(msg string, err error) { logged = append(logged, msg+": "+err.Error()) },
		})
		defer r.Close()
		synctest.Wait()
		for range 10 {
			wantCheck(t, r, nil, revLeaf(t, ca, 7), ca)
		}
		if text := strings.Join(logged, "\n"); len(logged) != 2 || !strings.Contains(text, "fetching crl") || !strings.Contains(text, "soft_fail accepted") {
			t.Errorf("logged %q", logged)
		}
	})
}

// TestKongListUsedForEveryLaterCheck: "once a CRL was in the store it was used for every
// later check" (3.4). A list says nothing about another authority's certificates, neither
// that they are revoked nor that they are good, even if both authorities have the same
// name.
func TestKongListUsedForEveryLaterCheck(t *testing.T) {
	ca, other, twin := revCA(t, nil, "ca"), revCA(t, nil, "other"), revCA(t, nil, "ca")
	for mode, want := range map[Mode]error{ModeSoftFail: nil, ModeStrict: identity.ErrUnavailable} {
		r := revStart(t, &Revocation{Mode: mode, CRLs: []string{revWrite(t, "", ca.list(t, nil, 7))}})
		for range 2 {
			wantCheck(t, r, identity.ErrRejected, revLeaf(t, ca, 7), ca)
			wantCheck(t, r, nil, revLeaf(t, ca, 8), ca)
			for _, issuer := range []*revHost{other, twin} {
				wantCheck(t, r, want, revLeaf(t, issuer, 7), issuer)
				wantCheck(t, r, want, revLeaf(t, issuer, 8), issuer)
			}
		}
	}
	// An answer of one authority is not kept for the certificate of another either.
	synctest.Test(t, func(t *testing.T) {
		server := &revStatus{}
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
		defer r.Close()
		wantCheck(t, r, nil, revLeaf(t, ca, 7), ca)
		wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, twin, 7), twin)
		wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, other, 7), other)
		renamed := revSameKey(t, ca, "renamed")
		wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, renamed, 7), renamed)
	})
}

// TestKongNoIssuerInChain: OCSP failed with "no issuer certificate in chain" when only a
// leaf was sent (3.4). Here the chain is not the one that was sent: it comes from Verify,
// which found the issuer in the pool of roots.
func TestKongNoIssuerInChain(t *testing.T) {
	ca, server := revCA(t, nil, "ca"), &revStatus{}
	leaf, pool := revLeaf(t, ca, 7), x509.NewCertPool()
	pool.AddCert(ca.cert)
	chains, err := leaf.cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
	if _, err := r.Check(t.Context(), chains[0], time.Now()); err != nil {
		t.Error(err)
	}
}

// TestKongTimeoutWasNotApplied: "http_timeout was not applied" (3.4). Here the timeout is
// for all of a certificate's responders together, and 5 seconds by default.
func TestKongTimeoutWasNotApplied(t *testing.T) {
	hang := revWire(func(request *http.Request) (*http.Response, error) {
		<-request.Context().Done()
		return nil, request.Context().Err()
	})
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 200 * time.Millisecond: 200 * time.Millisecond, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ca := revCA(t, nil, "ca")
			leaf := revLeaf(t, ca, 7, "http://a.example/", "http://b.example/", "http://c.example/")
			r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Timeout: timeout, transport: hang})
			defer r.Close()
			begin := time.Now()
			err := wantCheck(t, r, identity.ErrUnavailable, leaf, ca).err
			if !strings.Contains(err.Error(), fmt.Sprintf("no whole answer within %v", want)) || time.Since(begin) != want {
				t.Errorf("%v after %v, want %v", err, time.Since(begin), want)
			}
		})
	}
}
