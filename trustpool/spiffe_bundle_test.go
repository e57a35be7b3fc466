// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

type object = map[string]any

// bundleKey is a key for certificates, with changes; nil removes a member.
func bundleKey(tb testing.TB, ca *testpki.Pair, changes object) object {
	tb.Helper()
	key := testpki.SPIFFEKey(tb, ca)
	for name, value := range changes {
		if key[name] = value; value == nil {
			delete(key, name)
		}
	}
	return key
}

func bundle(tb testing.TB, keys ...object) string {
	tb.Helper()
	return testpki.SPIFFEBundle(tb, keys...)
}

// jwtKey is a key of the same bundle for another use.
func jwtKey() object {
	return object{"use": "jwt-svid", "kid": "1", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
}

func TestBundle(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	chain := []any{base64.StdEncoding.EncodeToString(one.Cert.Raw), base64.StdEncoding.EncodeToString(two.Cert.Raw)}
	for name, c := range map[string]struct {
		content string
		want    []*testpki.Pair
	}{
		"one CA":                     {bundle(t, bundleKey(t, one, nil)), []*testpki.Pair{one}},
		"a CA that is being renewed": {bundle(t, bundleKey(t, one, nil), bundleKey(t, two, nil)), []*testpki.Pair{one, two}},
		"keys for tokens":            {bundle(t, jwtKey(), bundleKey(t, one, nil), jwtKey()), []*testpki.Pair{one}},
		"a key for a use to come":    {bundle(t, bundleKey(t, two, object{"use": "x509-svid-2"}), bundleKey(t, one, nil)), []*testpki.Pair{one}},
		"a key without a use":        {bundle(t, bundleKey(t, two, object{"use": nil}), bundleKey(t, one, nil)), []*testpki.Pair{one}},
		"a key with two uses":        {bundle(t, bundleKey(t, two, object{"use": []any{"x509-svid"}}), bundleKey(t, one, nil)), []*testpki.Pair{one}},
		"only the first of x5c":      {bundle(t, bundleKey(t, one, object{"x5c": chain})), []*testpki.Pair{one}},
		"members that are not known": {bundle(t, bundleKey(t, one, object{"alg": "x", "kid": 1, "key_ops": "x"})), []*testpki.Pair{one}},
		"no sequence":                {strings.Replace(bundle(t, bundleKey(t, one, nil)), "spiffe_sequence", "other", 1), []*testpki.Pair{one}},
	} {
		certs, err := trustpool.ParseBundle([]byte(c.content))
		if err != nil || len(certs) != len(c.want) {
			t.Errorf("%s: %d certificates, %v", name, len(certs), err)
			continue
		}
		for n, cert := range certs {
			if !cert.Equal(c.want[n].Cert) {
				t.Errorf("%s: certificate %d is another one", name, n+1)
			}
		}
	}
}

// badSPIFFEBundles must not load: reading a part of one would make a smaller pool.
func badSPIFFEBundles(tb testing.TB, one, two *testpki.Pair) map[string]string {
	tb.Helper()
	good := bundleKey(tb, one, nil)
	leaf := one.Leaf(tb, nil)
	x5c := func(values ...any) string {
		return bundle(tb, good, bundleKey(tb, two, object{"x5c": values}))
	}
	return map[string]string{
		"nothing":                          "",
		"PEM":                              testpki.PEM(one),
		"a list":                           "[]",
		"an empty object":                  "{}",
		"no keys":                          `{"keys": []}`,
		"keys that are not a list":         `{"keys": {}}`,
		"keys of one name twice":           `{"keys": [], "keys": ` + bundle(tb, good)[len(`{"keys":`):],
		"keys of one name in two cases":    `{"Keys": [], "keys": ` + bundle(tb, good)[len(`{"keys":`):],
		"a key that is a text":             strings.Replace(bundle(tb, good), `[{`, `["x",{`, 1),
		"keys for tokens only":             bundle(tb, jwtKey()),
		"no use, so it is for nothing":     bundle(tb, bundleKey(tb, one, object{"use": nil})),
		"use sig":                          bundle(tb, bundleKey(tb, one, object{"use": "sig"})),
		"the use in upper case":            bundle(tb, bundleKey(tb, one, object{"use": "X509-SVID"})),
		"the second without x5c":           bundle(tb, good, bundleKey(tb, two, object{"x5c": nil})),
		"an empty x5c":                     x5c(),
		"x5c is a text":                    bundle(tb, good, bundleKey(tb, two, object{"x5c": "x"})),
		"x5c of a number":                  x5c(1),
		"x5c in base64url":                 x5c("_" + base64.StdEncoding.EncodeToString(two.Cert.Raw)[1:]),
		"x5c of garbage":                   x5c("AAAA"),
		"x5c of a certificate and more":    x5c(base64.StdEncoding.EncodeToString(append(bytes.Clone(two.Cert.Raw), 0))),
		"x5c of a leaf":                    bundle(tb, good, bundleKey(tb, leaf, nil)),
		"the key of another certificate":   x5c(base64.StdEncoding.EncodeToString(one.Cert.Raw)),
		"no key type":                      bundle(tb, good, bundleKey(tb, two, object{"kty": nil})),
		"the wrong key type":               bundle(tb, good, bundleKey(tb, two, object{"kty": "RSA"})),
		"a sequence that is a text":        strings.Replace(bundle(tb, good), `"spiffe_sequence":7`, `"spiffe_sequence":"7"`, 1),
		"a sequence below zero":            strings.Replace(bundle(tb, good), `"spiffe_sequence":7`, `"spiffe_sequence":-7`, 1),
		"half a hint":                      strings.Replace(bundle(tb, good), `"spiffe_refresh_hint":300`, `"spiffe_refresh_hint":0.5`, 1),
		"the first half of it":             bundle(tb, good)[:len(bundle(tb, good))/2],
		"a bundle and more":                bundle(tb, good) + "x",
		"more keys than a domain can have": bundle(tb, append(make([]object, 1000), good)...),
	}
}

func TestBadBundleDoesNotLoad(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ctx, _ := testhandler.Logging(t)
	for name, content := range badSPIFFEBundles(t, one, two) {
		if certs, err := trustpool.ParseBundle([]byte(content)); err == nil || certs != nil {
			t.Errorf("%s: %d certificates, %v", name, len(certs), err)
		}
		path := filepath.Join(t.TempDir(), "bundle.json")
		testhandler.Write(t, path, content)
		if err := (&trustpool.SPIFFEBundle{File: path}).Provision(ctx); err == nil {
			t.Errorf("%s loads", name)
		}
	}
	for _, path := range []string{"", filepath.Join(t.TempDir(), "missing.json"), t.TempDir()} {
		if err := (&trustpool.SPIFFEBundle{File: path}).Provision(ctx); err == nil {
			t.Errorf("%q loads", path)
		}
	}
}

// The CAs of a trust domain are renewed all the time. A bundle that is being written must not
// take them away.
func TestBundleIsFollowed(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ctx, logFile := testhandler.Logging(t)
	for name, content := range badSPIFFEBundles(t, one, two) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bundle.json")
			testhandler.Write(t, logFile, "")
			synctest.Test(t, func(t *testing.T) {
				testhandler.Write(t, path, bundle(t, bundleKey(t, one, nil)))
				pool := &trustpool.SPIFFEBundle{File: path}
				if err := pool.Provision(ctx); err != nil {
					t.Fatal(err)
				}
				want := func(ca *testpki.Pair) *x509.CertPool {
					expected := x509.NewCertPool()
					expected.AddCert(ca.Cert)
					got := pool.CertPool()
					if !got.Equal(expected) || len(pool.Certificates()) != 1 || !pool.Certificates()[0].Equal(ca.Cert) {
						t.Error("the pool is another one")
					}
					return got
				}
				first := want(one)
				testhandler.Write(t, path, content)
				time.Sleep(time.Second)
				if want(one) != first {
					t.Error("another pool for the same certificate")
				}
				log, err := os.ReadFile(logFile)
				if err != nil || !bytes.Contains(log, []byte(`"keeping the last good certificates"`)) {
					t.Errorf("the log does not mention the file: %s, %v", log, err)
				}
				testhandler.Write(t, path, bundle(t, bundleKey(t, two, nil)))
				time.Sleep(time.Second)
				want(two)
			})
		})
	}
}

// FuzzBundle reads any bundle: no panic, and never a certificate that is not a CA's.
func FuzzBundle(f *testing.F) {
	one, two := testpki.NewCA(f, nil, "one", nil), testpki.NewCA(f, nil, "two", nil)
	f.Add(bundle(f, bundleKey(f, one, nil), jwtKey()))
	for _, content := range badSPIFFEBundles(f, one, two) {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		certs, err := trustpool.ParseBundle([]byte(content))
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates, %v", len(certs), err)
		}
		for _, cert := range certs {
			if !cert.IsCA {
				t.Error("a certificate that is not a CA's")
			}
		}
		if err == nil && !strings.Contains(content, "x509-svid") && !strings.Contains(content, `\u`) {
			t.Error("no key is for certificates")
		}
	})
}
