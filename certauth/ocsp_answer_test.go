// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// TestAnswers has correct answers, and answers that an attacker on the way, or with
// another certificate of the authority, would make.
func TestAnswers(t *testing.T) {
	ca, other := revCA(t, nil, "ca"), revCA(t, nil, "other")
	twin := revCA(t, nil, "ca") // of the same name
	renamed := revSameKey(t, ca, "renamed")
	sub := revCA(t, ca, "sub")
	leaf := revLeaf(t, ca, 7)
	serial := leaf.cert.SerialNumber
	embed := func(host *revHost) func(*ocsp.Response) {
		return func(r *ocsp.Response) { r.Certificate = host.cert }
	}
	times := func(this, next time.Duration) func(*ocsp.Response) {
		return func(r *ocsp.Response) {
			r.ThisUpdate, r.NextUpdate = time.Now().Add(this), time.Now().Add(next)
			if next == 0 {
				r.NextUpdate = time.Time{}
			}
		}
	}
	usages := func(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
	}
	tests := map[string]struct {
		body []byte
		want string // status, or a part of the error
	}{
		"good":                                 {ca.answer(t, serial, ocsp.Good, nil), "good"},
		"revoked":                              {ca.answer(t, serial, ocsp.Revoked, nil), "revoked"},
		"unknown":                              {ca.answer(t, serial, ocsp.Unknown, nil), "unknown"},
		"the issuer sends its certificate too": {ca.answer(t, serial, ocsp.Good, embed(ca)), "good"},
		"delegated":                            {ca.answerBy(t, revDelegate(t, ca, nil), serial, ocsp.Good, nil), "good"},
		"no next update, made lately":          {ca.answer(t, serial, ocsp.Good, times(-59*time.Minute, 0)), "good"},
		"the responder's clock is ahead":       {ca.answer(t, serial, ocsp.Good, times(4*time.Minute, time.Hour)), "good"},

		"another serial":                          {ca.answer(t, big.NewInt(8), ocsp.Good, nil), "parsing ocsp answer"},
		"another authority":                       {other.answer(t, serial, ocsp.Good, nil), "signature is not the issuer's"},
		"another authority, with its certificate": {other.answer(t, serial, ocsp.Good, embed(other)), "not of the same issuer"},
		"an authority of the same name":           {twin.answer(t, serial, ocsp.Good, embed(twin)), "not of the same issuer"},
		"about another issuer, signed by ours": {
			other.answerBy(t, revDelegate(t, ca, nil), serial, ocsp.Good, nil), "of another issuer",
		},
		"about an issuer with our name, signed by our key": {(&revHost{cert: twin.cert, key: ca.key}).answer(t, serial, ocsp.Good, nil), "of another issuer"},
		"about an issuer with our key":                     {renamed.answer(t, serial, ocsp.Good, nil), "of another issuer"},
		"delegated by an issuer with our key":              {ca.answerBy(t, revDelegate(t, renamed, nil), serial, ocsp.Good, nil), "not of the same issuer"},
		"about another issuer, signed by our key": {
			(&revHost{cert: other.cert, key: ca.key}).answer(t, serial, ocsp.Good, nil), "of another issuer",
		},
		"stale":                 {ca.answer(t, serial, ocsp.Good, times(-2*time.Hour, -time.Second)), "no longer valid"},
		"no end, made long ago": {ca.answer(t, serial, ocsp.Good, times(-61*time.Minute, 0)), "no longer valid"},
		"not yet valid":         {ca.answer(t, serial, ocsp.Good, times(6*time.Minute, time.Hour)), "not yet valid"},
		"self-signed responder": {
			ca.answerBy(t, revDelegate(t, nil, func(c *x509.Certificate) { c.Subject.CommonName = "ca" }), serial, ocsp.Good, nil), "not of the same issuer",
		},
		"delegated by an authority below": {ca.answerBy(t, revDelegate(t, sub, nil), serial, ocsp.Good, nil), "not of the same issuer"},
		"delegated, any usage":            {ca.answerBy(t, revDelegate(t, ca, usages(x509.ExtKeyUsageAny)), serial, ocsp.Good, nil), "not for signing"},
		"delegated, no usage":             {ca.answerBy(t, revDelegate(t, ca, usages()), serial, ocsp.Good, nil), "not for signing"},
		"another client calls us good":    {ca.answerBy(t, revLeaf(t, ca, 8), serial, ocsp.Good, nil), "not for signing"},
		"the leaf calls itself good":      {ca.answerBy(t, leaf, serial, ocsp.Good, nil), "not for signing"},
		"delegated and expired": {
			ca.answerBy(t, revDelegate(t, ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), serial, ocsp.Good, nil), "not valid now",
		},
		"delegated and not yet valid": {
			ca.answerBy(t, revDelegate(t, ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), serial, ocsp.Good, nil), "not valid now",
		},
		"delegated and revoked": {
			ca.answerBy(t, revDelegate(t, ca, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(666) }), serial, ocsp.Good, nil), "responder's certificate is revoked",
		},
		"signed with SHA-1": {ca.answer(t, serial, ocsp.Good, func(r *ocsp.Response) { r.SignatureAlgorithm = x509.ECDSAWithSHA1 }), "broken hash"},
		"critical extension": {ca.answer(t, serial, ocsp.Good, func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), "critical"},
		"cut off":      {ca.answer(t, serial, ocsp.Good, nil)[:200], "parsing ocsp answer"},
		"appended to":  {append(ca.answer(t, serial, ocsp.Good, nil), 0), "parsing ocsp answer"},
		"try later":    {ocsp.TryLaterErrorResponse, "parsing ocsp answer"},
		"unauthorized": {ocsp.UnauthorizedErrorResponse, "parsing ocsp answer"},
		"empty":        {nil, "parsing ocsp answer"},
		"html":         {[]byte("<html>sign in to the hotel's network</html>"), "parsing ocsp answer"},
	}
	isRevoked := func(responder, _ *x509.Certificate, _ time.Time) bool { return responder.SerialNumber.Int64() == 666 }
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			answer, err := verifyAnswer(test.body, leaf.cert, ca.cert, time.Now(), isRevoked)
			got := map[int]string{ocsp.Good: "good", ocsp.Revoked: "revoked", ocsp.Unknown: "unknown"}[answer.status]
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) || err == nil && got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestAnswerOfTheOtherCertificate flips single bits of a good answer about one certificate
// and shows it for another.
func TestAnswerOfTheOtherCertificate(t *testing.T) {
	ca := revCA(t, nil, "ca")
	body, other := ca.answer(t, big.NewInt(7), ocsp.Good, nil), revLeaf(t, ca, 8)
	for i := range 8 * len(body) {
		body[i/8] ^= 1 << (i % 8)
		if _, err := verifyAnswer(body, other.cert, ca.cert, time.Now(), revNever); err == nil {
			t.Errorf("with bit %d flipped it is accepted", i)
		}
		body[i/8] ^= 1 << (i % 8)
	}
}

// TestAnswerEnds bounds an answer by the responder's certificate, and unknown
// by a minute.
func TestAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		leaf, now := revLeaf(t, ca, 7), time.Now()
		soon := revDelegate(t, ca, func(c *x509.Certificate) { c.NotAfter = now.Add(10 * time.Minute) })
		for name, test := range map[string]struct {
			body []byte
			want time.Duration
		}{
			"at its next update":          {ca.answer(t, leaf.cert.SerialNumber, ocsp.Good, nil), time.Hour},
			"with its signer":             {ca.answerBy(t, soon, leaf.cert.SerialNumber, ocsp.Good, nil), 10 * time.Minute},
			"unknown, after a minute":     {ca.answer(t, leaf.cert.SerialNumber, ocsp.Unknown, nil), time.Minute},
			"without one, after one hour": {ca.answer(t, leaf.cert.SerialNumber, ocsp.Good, func(r *ocsp.Response) { r.NextUpdate = time.Time{} }), 59 * time.Minute},
		} {
			answer, err := verifyAnswer(test.body, leaf.cert, ca.cert, now, revNever)
			if err != nil || answer.until.Sub(now) != test.want {
				t.Errorf("%s: %v %v, want %v", name, answer.until.Sub(now), err, test.want)
			}
		}
	})
}

// TestHostileResponders are real servers that do everything except answer.
func TestHostileResponders(t *testing.T) {
	ca := revCA(t, nil, "ca")
	leaf := revLeaf(t, ca, 7)
	good := ca.answer(t, leaf.cert.SerialNumber, ocsp.Good, nil)
	honest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) }))
	t.Cleanup(honest.Close)
	stop := make(chan struct{})
	tests := map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"redirect to a good answer": {func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, honest.URL, http.StatusTemporaryRedirect)
		}, "status 307"},
		"html":             {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "parsing ocsp answer"},
		"status 500":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = w.Write(good) }, "status 500"},
		"status 204":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"huge body":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(append(good, make([]byte, maxOCSP)...)) }, "larger than"},
		"connection reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection ended before the answer did"},
		"slow header":      {func(http.ResponseWriter, *http.Request) { <-stop }, "no whole answer within 300ms"},
		"slow body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(good[:10])
			_ = http.NewResponseController(w).Flush()
			<-stop
		}, "no whole answer within 300ms"},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
			_, _ = w.Write(good)
		}, "the answer is not valid HTTP"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			for mode, want := range map[Mode]error{ModeStrict: identity.ErrUnavailable, ModeSoftFail: nil} {
				r := revStart(t, &Revocation{Mode: mode, OCSP: true, Responder: server.URL, Timeout: 300 * time.Millisecond})
				begin := time.Now()
				err := wantCheck(t, r, want, leaf, ca).err
				if err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				if since := time.Since(begin); since > 5*time.Second {
					t.Errorf("took %v", since)
				}
			}
			go server.Close() // waits for the handlers
		})
	}
	close(stop)
	r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: honest.URL})
	wantCheck(t, r, nil, leaf, ca)
}
