// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// loggingTo loads a configuration of nothing that logs into a file, and returns a context
// in it.
func loggingTo(t *testing.T) (ctx caddy.Context, logFile string) {
	t.Helper()
	logFile = filepath.Join(t.TempDir(), "log")
	config := fmt.Sprintf(`{"admin": {"disabled": true}, "logging": {"logs": {"default": {
		"writer": {"output": "file", "filename": %q, "roll": false}, "encoder": {"format": "json"}
	}}}}`, logFile)
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	t.Cleanup(cancel)
	return ctx, logFile
}

func writeAll(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pemText(certs ...*x509.Certificate) string {
	var text bytes.Buffer
	for _, cert := range certs {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return text.String()
}

// badBundles are what a trust bundle must not be: none of it may become a smaller pool.
func badBundles(one, two *x509.Certificate) map[string]string {
	good, next := pemText(one), pemText(two)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	return map[string]string{
		"nothing":                          "",
		"blanks":                           "\n\n",
		"remarks only":                     "there are no certificates here\n",
		"garbage":                          "\x00\x01\x02\xff",
		"a private key":                    key,
		"a private key after it":           good + key,
		"a private key before it":          key + good,
		"a block that is no certificate":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
		"such a block after a good one":    good + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})),
		"a trusted certificate, OpenSSL's": strings.ReplaceAll(good, "CERTIFICATE", "TRUSTED CERTIFICATE"),
		"the second half written":          good + next[:len(next)/2],
		"the second without its end":       good + strings.TrimSuffix(next, "-----END CERTIFICATE-----\n"),
		"the first broken":                 strings.Replace(good, "\nMII", "\n!!!", 1) + next,
		"base64 without markers":           strings.ReplaceAll(strings.ReplaceAll(good, "-----BEGIN CERTIFICATE-----", ""), "-----END CERTIFICATE-----", ""),
	}
}

func TestWatchedFilePoolDoesNotLoad(t *testing.T) {
	one, two := newCA(t, "one").cert, newCA(t, "two").cert
	ctx, _ := loggingTo(t)
	dir := t.TempDir()
	good := filepath.Join(dir, "good.pem")
	writeAll(t, good, pemText(one))
	for name, content := range badBundles(one, two) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.pem")
			writeAll(t, path, content)
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
	one, two := newCA(t, "one").cert, newCA(t, "two").cert
	ctx, _ := loggingTo(t)
	path := filepath.Join(t.TempDir(), "cas.pem")
	writeAll(t, path, "# one\n"+pemText(one)+"# two\r\n"+strings.ReplaceAll(pemText(two), "\n", "\r\n")+"# the end\n")
	pool := &trustpool.WatchedFile{Files: []string{path}}
	if err := pool.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	wantPool(t, pool, one, two)
}

func wantPool(t *testing.T, pool *trustpool.WatchedFile, certs ...*x509.Certificate) *x509.CertPool {
	t.Helper()
	want, got := x509.NewCertPool(), pool.CertPool()
	for _, cert := range certs {
		want.AddCert(cert)
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
	one, two, three := newCA(t, "one").cert, newCA(t, "two").cert, newCA(t, "three").cert
	ctx, _ := loggingTo(t)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := filepath.Join(dir, "a.pem"), filepath.Join(dir, "b.pem")
		writeAll(t, a, pemText(one))
		writeAll(t, b, pemText(two))
		pool := &trustpool.WatchedFile{Files: []string{a, b}}
		if err := pool.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		first := wantPool(t, pool, one, two)
		time.Sleep(time.Hour)
		if wantPool(t, pool, one, two) != first {
			t.Error("another pool though nothing changed")
		}
		writeAll(t, a, pemText(one)) // written again
		time.Sleep(time.Second)
		if wantPool(t, pool, one, two) != first {
			t.Error("another pool for the same certificates")
		}
		writeAll(t, b, pemText(three))
		time.Sleep(time.Second - 1)
		if pool.CertPool() != first {
			t.Error("looked again before a second had passed")
		}
		time.Sleep(time.Nanosecond)
		second := wantPool(t, pool, one, three)
		if second == first {
			t.Error("the same pool with other certificates")
		}
		writeAll(t, a, pemText(one, two))
		time.Sleep(time.Second)
		wantPool(t, pool, one, two, three)
	})
}

func TestWatchedFilePoolKeepsTheLastGoodOne(t *testing.T) {
	one, two := newCA(t, "one").cert, newCA(t, "two").cert
	ctx, logFile := loggingTo(t)
	bad := badBundles(one, two)
	bad["missing"] = ""
	for name, content := range bad {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cas.pem")
			writeAll(t, logFile, "")
			synctest.Test(t, func(t *testing.T) {
				writeAll(t, path, pemText(one, two))
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
					writeAll(t, path, content)
				}
				time.Sleep(time.Second)
				if wantPool(t, pool, one, two) != first {
					t.Error("another pool")
				}
				log, err := os.ReadFile(logFile)
				if err != nil || !bytes.Contains(log, []byte(`"keeping the last good certificates"`)) {
					t.Errorf("the log says nothing of it: %s, %v", log, err)
				}
				writeAll(t, path, pemText(two))
				time.Sleep(time.Second)
				wantPool(t, pool, two)
			})
		})
	}
}
