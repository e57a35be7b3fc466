// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
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

// badBundles returns bundles that must not load. Reading only a part of one would make a
// smaller pool.
func badBundles(one, two *testpki.Pair) map[string]string {
	good, next := testpki.PEM(one), testpki.PEM(two)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	return map[string]string{
		"nothing":                           "",
		"blanks":                            "\n\n",
		"remarks only":                      "this file has remarks only\n",
		"garbage":                           "\x00\x01\x02\xff",
		"a private key":                     key,
		"a private key after it":            good + key,
		"a private key before it":           key + good,
		"a block that is not a certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
		"such a block after a good one":     good + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
		"a trusted certificate, OpenSSL's":  strings.ReplaceAll(good, "CERTIFICATE", "TRUSTED CERTIFICATE"),
		"the second half written":           good + next[:len(next)/2],
		"the second without its end":        good + strings.TrimSuffix(next, "-----END CERTIFICATE-----\n"),
		"the first broken":                  strings.Replace(good, "\nMII", "\n!!!", 1) + next,
		"base64 without markers":            strings.ReplaceAll(strings.ReplaceAll(good, "-----BEGIN CERTIFICATE-----", ""), "-----END CERTIFICATE-----", ""),
	}
}

func TestWatchedFilePoolDoesNotLoad(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ctx, _ := testhandler.Logging(t)
	dir := t.TempDir()
	good := filepath.Join(dir, "good.pem")
	testhandler.Write(t, good, testpki.PEM(one))
	for name, content := range badBundles(one, two) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.pem")
			testhandler.Write(t, path, content)
			for _, files := range [][]string{{path}, {good, path}, {path, good}} {
				if err := (&trustpool.WatchedFile{Files: files}).Provision(ctx); err == nil {
					t.Errorf("%d files load", len(files))
				}
			}
		})
	}
	for name, files := range map[string][]string{
		"no file":                  nil,
		"a missing file":           {filepath.Join(dir, "missing.pem")},
		"a missing file, after it": {good, filepath.Join(dir, "missing.pem")},
		"a folder":                 {dir},
	} {
		if err := (&trustpool.WatchedFile{Files: files}).Provision(ctx); err == nil {
			t.Errorf("%s loads", name)
		}
	}
}

func TestWatchedFilePoolReadsRemarks(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ctx, _ := testhandler.Logging(t)
	path := filepath.Join(t.TempDir(), "cas.pem")
	testhandler.Write(t, path, "# one\n"+testpki.PEM(one)+"# two\r\n"+strings.ReplaceAll(testpki.PEM(two), "\n", "\r\n")+"# the end\n")
	pool := &trustpool.WatchedFile{Files: []string{path}}
	if err := pool.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	wantPool(t, pool, one, two)
}

func wantPool(t *testing.T, pool *trustpool.WatchedFile, certs ...*testpki.Pair) *x509.CertPool {
	t.Helper()
	want, got := x509.NewCertPool(), pool.CertPool()
	for _, cert := range certs {
		want.AddCert(cert.Cert)
	}
	shown := x509.NewCertPool()
	for _, cert := range pool.Certificates() {
		shown.AddCert(cert)
	}
	if !got.Equal(want) || !shown.Equal(want) {
		t.Errorf("the pool is not %d certificates, or shows others than it has", len(certs))
	}
	return got
}

// In a bubble, where a second passes at once.
func TestWatchedFilePoolFollowsItsFiles(t *testing.T) {
	one, two, three := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil), testpki.NewCA(t, nil, "three", nil)
	ctx, _ := testhandler.Logging(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
		testhandler.Write(t, a, testpki.PEM(one))
		testhandler.Write(t, b, testpki.PEM(two))
		pool := &trustpool.WatchedFile{Files: []string{a, b}}
		if err := pool.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		first := wantPool(t, pool, one, two)
		time.Sleep(time.Hour)
		if wantPool(t, pool, one, two) != first {
			t.Error("another pool though nothing changed")
		}
		testhandler.Write(t, a, testpki.PEM(one)) // written again
		time.Sleep(time.Second)
		if wantPool(t, pool, one, two) != first {
			t.Error("another pool for the same certificates")
		}
		testhandler.Write(t, b, testpki.PEM(three))
		time.Sleep(time.Second - 1)
		if pool.CertPool() != first {
			t.Error("looked again before a second had passed")
		}
		time.Sleep(time.Nanosecond)
		second := wantPool(t, pool, one, three)
		if second == first {
			t.Error("the same pool with other certificates")
		}
		testhandler.Write(t, a, testpki.PEM(one, two))
		time.Sleep(time.Second)
		wantPool(t, pool, one, two, three)
	})
}

func TestWatchedFilePoolKeepsTheLastGoodOne(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	ctx, logFile := testhandler.Logging(t)
	bad := badBundles(one, two)
	bad["missing"] = ""
	for name, content := range bad {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cas.pem")
			testhandler.Write(t, logFile, "")
			synctest.Test(t, func(t *testing.T) {
				testhandler.Write(t, path, testpki.PEM(one, two))
				pool := &trustpool.WatchedFile{Files: []string{path}}
				if err := pool.Provision(ctx); err != nil {
					t.Fatal(err)
				}
				first := wantPool(t, pool, one, two)
				if name == "missing" {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				} else {
					testhandler.Write(t, path, content)
				}
				time.Sleep(time.Second)
				if wantPool(t, pool, one, two) != first {
					t.Error("another pool")
				}
				log, err := os.ReadFile(logFile)
				if err != nil || !bytes.Contains(log, []byte(`"keeping the last good certificates"`)) {
					t.Errorf("the log does not mention the file: %s, %v", log, err)
				}
				testhandler.Write(t, path, testpki.PEM(two))
				time.Sleep(time.Second)
				wantPool(t, pool, two)
			})
		})
	}
}

// A bundle that is broken for hours must be in the log, and must not fill it.
func TestWatchedFilePoolLogsAnOutageOnceAMinute(t *testing.T) {
	one := testpki.NewCA(t, nil, "one", nil)
	ctx, logFile := testhandler.Logging(t)
	path := filepath.Join(t.TempDir(), "cas.pem")
	testhandler.Write(t, path, testpki.PEM(one))
	lines := func(message string) int {
		log, err := os.ReadFile(logFile)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(log, []byte(`"`+message+`"`))
	}
	synctest.Test(t, func(t *testing.T) {
		pool := &trustpool.WatchedFile{Files: []string{path}}
		if err := pool.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		testhandler.Write(t, path, "broken")
		for range 150 {
			time.Sleep(time.Second)
			wantPool(t, pool, one)
		}
		if n := lines("keeping the last good certificates"); n != 3 {
			t.Errorf("%d lines in two and a half minutes, want 3", n)
		}
		testhandler.Write(t, path, testpki.PEM(one))
		for range 3 {
			time.Sleep(time.Second)
			wantPool(t, pool, one)
		}
		if n := lines("the certificates can be read again"); n != 1 {
			t.Errorf("%d lines about the end, want 1", n)
		}
	})
}
