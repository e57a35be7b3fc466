// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// FuzzOCSPResponse shows changed answers about the certificate 7, good ones among them,
// for the certificate 8: none may be accepted.
func FuzzOCSPResponse(f *testing.F) {
	ca := revCA(f, nil, "ca")
	leaf, other := revLeaf(f, ca, 7), revLeaf(f, ca, 8)
	for _, status := range []int{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
		f.Add(ca.answer(f, leaf.cert.SerialNumber, status, nil))
	}
	f.Add(ca.answerBy(f, revDelegate(f, ca, nil), leaf.cert.SerialNumber, ocsp.Good, nil))
	f.Add(ca.answerBy(f, other, other.cert.SerialNumber, ocsp.Good, nil))
	f.Add(ocsp.TryLaterErrorResponse)
	now := time.Now()
	f.Fuzz(func(t *testing.T, body []byte) {
		if answer, err := verifyAnswer(body, other.cert, ca.cert, now, revNever); err == nil {
			t.Errorf("believed %+v", answer)
		}
		if answer, err := verifyAnswer(body, leaf.cert, ca.cert, now, revNever); err == nil && !answer.fresh(now) {
			t.Errorf("accepted the stale %+v", answer)
		}
	})
}

// FuzzCRL changes lists with the certificate 7 on them: one that counts still has it.
func FuzzCRL(f *testing.F) {
	ca := revCA(f, nil, "ca")
	id := authorityOf(ca.cert)
	list := ca.list(f, nil, 7, 9)
	f.Add(list)
	f.Add(revPEM(list))
	f.Add(revPEM(revCA(f, nil, "other").list(f, nil), list))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	now := time.Now()
	f.Fuzz(func(t *testing.T, content []byte) {
		lists, err := parseCRLs(content)
		if (err == nil) != (len(lists) > 0) {
			t.Fatalf("%d lists, %v", len(lists), err)
		}
		for _, list := range lists {
			if list.covers(ca.cert, id, now) == nil && (!list.has(big.NewInt(7)) || list.has(big.NewInt(8))) {
				t.Error("a changed list counts")
			}
		}
	})
}
