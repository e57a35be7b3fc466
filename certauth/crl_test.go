// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func revPEM(lists ...[]byte) (content []byte) {
	for _, list := range lists {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})...)
	}
	return content
}

// TestLists has correct lists, and lists that must not make a certificate good. The
// certificate has the serial 7.
func TestLists(t *testing.T) {
	ca, other, twin := revCA(t, nil, "ca"), revCA(t, nil, "other"), revCA(t, nil, "ca")
	silent := revNew(t, nil, 1, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "ca"}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	leaf := revLeaf(t, ca, 7)
	extension := func(critical bool, id ...int) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: critical, Value: []byte{0x30, 0}}}
		}
	}
	entry := func(id []int, critical bool) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: id, Critical: critical, Value: []byte{0x30, 0}}}
		}
	}
	reason := func(code int) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = code }
	}
	times := func(this, next time.Duration) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = time.Now().Add(this), time.Now().Add(next) }
	}
	rejected, unavailable := identity.ErrRejected, identity.ErrUnavailable
	tests := map[string]struct {
		content []byte
		want    error
		why     string
	}{
		"der":                        {ca.list(t, nil, 8, 9), nil, ""},
		"der, revoked":               {ca.list(t, nil, 8, 7), rejected, "revoked"},
		"pem":                        {revPEM(ca.list(t, nil, 8)), nil, ""},
		"pem with text before it":    {append([]byte("Certificate Revocation List:\n  Issuer: ca\n"), revPEM(ca.list(t, nil, 7))...), rejected, "revoked"},
		"two lists, first the other": {revPEM(other.list(t, nil, 1), ca.list(t, nil, 7)), rejected, "revoked"},
		"nothing revoked":            {ca.list(t, nil), nil, ""},
		"on hold":                    {ca.list(t, reason(6), 7), rejected, "revoked"},
		"removed from the list":      {ca.list(t, reason(8), 7), nil, ""},
		"known critical extension":   {ca.list(t, entry([]int{2, 5, 29, 24}, true), 7), rejected, "revoked"},
		"the issuer's clock ahead":   {ca.list(t, times(4*time.Minute, time.Hour)), nil, ""},
		"the negative serial":        {ca.list(t, nil, -7), nil, ""},

		"another issuer":                               {other.list(t, nil), unavailable, "no crl of the issuer"},
		"another issuer has the 7":                     {other.list(t, nil, 7), unavailable, "no crl of the issuer"},
		"an issuer of the same name":                   {twin.list(t, nil), unavailable, "signature is not the issuer's"},
		"an issuer of the same name revoked its own 7": {revPEM(ca.list(t, nil), twin.list(t, nil, 7)), nil, ""},
		"our key, another name":                        {(&revHost{cert: other.cert, key: ca.key}).list(t, nil), unavailable, "no crl of the issuer"},
		"stale":                                        {ca.list(t, times(-2*time.Hour, -time.Second)), unavailable, "no longer valid"},
		"not yet valid":                                {ca.list(t, times(6*time.Minute, time.Hour)), unavailable, "not yet valid"},
		"delta":                                        {ca.list(t, extension(true, 2, 5, 29, 27)), unavailable, ""},
		"delta, not marked critical":                   {ca.list(t, extension(false, 2, 5, 29, 27)), unavailable, ""},
		"issuing distribution point":                   {ca.list(t, extension(true, 2, 5, 29, 28)), unavailable, ""},
		"distribution point, uncritical":               {ca.list(t, extension(false, 2, 5, 29, 28)), unavailable, ""},
		"unknown critical extension":                   {ca.list(t, extension(true, 1, 2, 3)), unavailable, ""},
		"unknown extension":                            {ca.list(t, extension(false, 1, 2, 3)), nil, ""},
		"indirect":                                     {ca.list(t, entry([]int{2, 5, 29, 29}, true), 8), unavailable, ""},
		"critical extension of an entry":               {ca.list(t, entry([]int{1, 2, 3}, true), 8), unavailable, ""},
		"trailing data":                                {append(ca.list(t, nil), 0), unavailable, ""},
		"cut off":                                      {ca.list(t, nil, 8)[:100], unavailable, ""},
		"empty":                                        {nil, unavailable, ""},
		"a certificate":                                {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), unavailable, ""},
		"a certificate beside the list":                {append(revPEM(ca.list(t, nil)), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})...), unavailable, ""},
		"one of two cannot be read":                    {append(revPEM(ca.list(t, nil)), "-----BEGIN X509 CRL-----\n!!\n-----END X509 CRL-----\n"...), unavailable, ""},
		"html":                                         {[]byte("<html>"), unavailable, ""},
		"signed with SHA-1":                            {ca.list(t, func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 }), unavailable, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := revWrite(t, "", test.content)
			for mode, want := range map[Mode]error{ModeStrict: test.want, ModeSoftFail: test.want} {
				if mode == ModeSoftFail && errors.Is(want, unavailable) {
					want = nil
				}
				r := revStart(t, &Revocation{Mode: mode, CRLs: []string{path}})
				err := wantCheck(t, r, want, leaf, ca).err
				if err != nil && !strings.Contains(err.Error(), test.why) {
					t.Errorf("%v, want %q", err, test.why)
				}
			}
		})
	}
	t.Run("an issuer whose certificate does not say that it signs lists", func(t *testing.T) {
		signs := *silent.cert
		signs.KeyUsage |= x509.KeyUsageCRLSign
		by := &revHost{cert: &signs, key: silent.key}
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{revWrite(t, "", by.list(t, nil, 8))}})
		wantCheck(t, r, nil, revLeaf(t, silent, 7), silent)
		wantCheck(t, r, rejected, revLeaf(t, silent, 8), silent)
	})
	t.Run("too large", func(t *testing.T) {
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{revWrite(t, "", make([]byte, maxCRL+1))}})
		wantCheck(t, r, unavailable, leaf, ca)
	})
	t.Run("not a file", func(t *testing.T) {
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{"/dev/zero", t.TempDir()}})
		wantCheck(t, r, unavailable, leaf, ca)
	})
}

// TestFileChanges follows a file through every change.
func TestFileChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		leaf := revLeaf(t, ca, 7)
		path := filepath.Join(t.TempDir(), "list.crl")
		var logged atomic.Int64
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{path}, OnProblem: func(_ string, err error) { logged.Add(1); t.Log(err) }})
		defer r.Close()
		generation := r.Generation()
		step := func(name string, want error, news bool, logs int64) {
			t.Helper()
			time.Sleep(filewatch.Interval)
			synctest.Wait()
			_, err := r.Check(t.Context(), revChain(leaf, ca), time.Now())
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
			if changed := r.Generation() != generation; changed != news {
				t.Errorf("%s: changed %v, want %v", name, changed, news)
			}
			if logged.Load() != logs {
				t.Errorf("%s: logged %d times, want %d", name, logged.Load(), logs)
			}
			generation = r.Generation()
		}
		step("no file yet", identity.ErrUnavailable, false, 1)
		step("still none", identity.ErrUnavailable, false, 1)
		good := ca.list(t, nil)
		revWrite(t, path, good)
		step("there it is", nil, true, 1)
		step("the same", nil, false, 1)
		revWrite(t, path, good)
		step("written again", nil, false, 1)
		revWrite(t, path, good[:len(good)/2])
		step("half written: the last good one", nil, false, 2)
		revWrite(t, path, ca.list(t, nil, 7))
		step("revoked", identity.ErrRejected, true, 2)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		step("removed: the last good one", identity.ErrRejected, false, 3)
		revWrite(t, path, good)
		step("the one from before again", identity.ErrRejected, true, 3)
		revWrite(t, path, ca.list(t, func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(time.Hour) }))
		step("released", nil, true, 3)
		time.Sleep(time.Hour)
		step("past its next update", identity.ErrUnavailable, false, 3)
	})
}

// TestFileChangesUnseen: written twice in one step of the file system's clock, with the same
// length. Such a file is read until its time of change is old enough to tell.
func TestFileChangesUnseen(t *testing.T) {
	ca := revCA(t, nil, "ca")
	path, at := filepath.Join(t.TempDir(), "list.crl"), time.Now()
	source := newCRLSource(path)
	var size int
	for _, serial := range []int64{7, 8} {
		content := []byte{}
		for len(content) == 0 || size != 0 && len(content) != size { // signatures vary in length
			content = ca.list(t, nil, serial)
		}
		size = len(content)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if news, err := source.look(); !news || err != nil {
			t.Errorf("serial %d: news %v, %v", serial, news, err)
		}
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if news, err := source.look(); news || err != nil {
			t.Errorf("news %v, %v", news, err)
		}
	}
}

// TestTwoSources has two lists of one issuer: a certificate on one of them is revoked,
// and the answer ends when the first list ends.
func TestTwoSources(t *testing.T) {
	ca := revCA(t, nil, "ca")
	week := func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(7 * 24 * time.Hour) }
	lists := []string{revWrite(t, "", ca.list(t, week, 7)), revWrite(t, "", ca.list(t, nil)), "/nowhere"}
	r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: lists})
	wantCheck(t, r, identity.ErrRejected, revLeaf(t, ca, 7), ca)
	if got := wantCheck(t, r, nil, revLeaf(t, ca, 8), ca); time.Until(got.until) > 24*time.Hour {
		t.Errorf("until %v", got.until)
	}
}

// TestForgedListOverHTTP: an attacker on the way of a plain http URL shows a list without
// the issuer's signature, then one from before the revocation. Neither makes a
// certificate good.
func TestForgedListOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, forger := revCA(t, nil, "ca"), revCA(t, nil, "ca")
		leaf := revLeaf(t, ca, 7)
		week := func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(7 * 24 * time.Hour) }
		old := ca.list(t, week)
		time.Sleep(time.Minute)
		shown := [][]byte{ca.list(t, week, 7), forger.list(t, week), old, []byte("<html>"), forger.list(t, week)}
		var fetches atomic.Int64
		r := revStart(t, &Revocation{Mode: ModeSoftFail, CRLs: []string{"http://crl.example/ca.crl"}, transport: revWire(func(request *http.Request) (*http.Response, error) {
			if request.Method != http.MethodGet {
				t.Errorf("method %s", request.Method)
			}
			return revReply(shown[min(int(fetches.Add(1)), len(shown))-1]), nil
		})})
		defer r.Close()
		synctest.Wait()
		for range 6 {
			wantCheck(t, r, identity.ErrRejected, leaf, ca)
			time.Sleep(61 * time.Minute)
			synctest.Wait()
		}
		if int(fetches.Load()) < len(shown) {
			t.Errorf("%d fetches", fetches.Load())
		}
	})
}

// TestURLRefresh counts the fetches of a list: at once, at 80 % of the time until it
// ends, hourly at least, and every half minute while no list is available.
func TestURLRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		leaf := revLeaf(t, ca, 7)
		var fetches, life atomic.Int64 // life 0 is down
		life.Store(int64(50 * time.Minute))
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{"http://crl.example/"}, transport: revWire(func(*http.Request) (*http.Response, error) {
			fetches.Add(1)
			if life.Load() == 0 {
				return nil, errRevDown
			}
			return revReply(ca.list(t, func(l *x509.RevocationList) { l.NextUpdate = time.Now().Add(time.Duration(life.Load())) })), nil
		})})
		defer r.Close()
		want := func(after time.Duration, n int64) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if fetches.Load() != n {
				t.Errorf("%d fetches, want %d", fetches.Load(), n)
			}
		}
		want(0, 1)
		want(39*time.Minute, 1)
		life.Store(int64(24 * time.Hour))
		want(2*time.Minute, 2)
		want(58*time.Minute, 2)
		life.Store(0)
		want(2*time.Minute, 5)
		want(time.Minute, 7)
		wantCheck(t, r, nil, leaf, ca)
		time.Sleep(24 * time.Hour)
		wantCheck(t, r, identity.ErrUnavailable, leaf, ca)
		life.Store(int64(time.Hour))
		time.Sleep(crlRetry)
		synctest.Wait()
		wantCheck(t, r, nil, leaf, ca)
	})
}

// TestStartDoesNotWait for a server that never answers, and Close ends the fetch.
func TestStartDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, begin := revCA(t, nil, "ca"), time.Now()
		r := revStart(t, &Revocation{Mode: ModeStrict, Timeout: time.Hour, CRLs: []string{"http://crl.example/"}, transport: revWire(func(request *http.Request) (*http.Response, error) {
			<-request.Context().Done()
			return nil, request.Context().Err()
		})})
		wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, ca, 7), ca)
		r.Close()
		if since := time.Since(begin); since != 0 {
			t.Errorf("took %v", since)
		}
	})
}

// TestLargeListIsKeptOnce: the entries are indexed and then released.
func TestLargeListIsKeptOnce(t *testing.T) {
	ca := revCA(t, nil, "ca")
	lists, err := parseCRLs(ca.list(t, func(l *x509.RevocationList) {
		for serial := range int64(10000) {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial + 1), RevocationTime: l.ThisUpdate})
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(lists[0].revoked); n != 10000 || lists[0].list.RevokedCertificateEntries != nil {
		t.Errorf("%d serials", n)
	}
	if !lists[0].has(big.NewInt(10000)) || lists[0].has(big.NewInt(10001)) {
		t.Error("wrong serials")
	}
}
