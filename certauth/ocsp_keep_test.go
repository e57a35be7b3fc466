// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// TestRefresh asks again for an answer in use before it ends, and not for an unused one.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		server := &revStatus{}
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
		defer r.Close()
		used, unused := revLeaf(t, ca, 7), revLeaf(t, ca, 8)
		wantCheck(t, r, nil, used, ca)
		wantCheck(t, r, nil, unused, ca)
		wantCheck(t, r, nil, used, ca)
		time.Sleep(47 * time.Minute)
		if asked := server.asked.Load(); asked != 2 {
			t.Fatalf("after 47 minutes the responder was asked %d times", asked)
		}
		before := r.Generation()
		server.status.Store(ocsp.Revoked)
		time.Sleep(2 * time.Minute)
		if asked := server.asked.Load(); asked != 3 {
			t.Errorf("after 49 minutes the responder was asked %d times", asked)
		}
		if r.Generation() == before {
			t.Error("the generation is that of the old answer")
		}
		wantCheck(t, r, identity.ErrRejected, used, ca)
		wantCheck(t, r, nil, unused, ca) // the last answer, until it ends; now it is asked for again
		synctest.Wait()
		wantCheck(t, r, identity.ErrRejected, unused, ca)
	})
}

// TestRefreshFails keeps an answer while the responder is down, logs the failure, and drops
// the answer at its end.
func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		server, logged := &revStatus{}, atomic.Int64{}
		r := revStart(t, &Revocation{
			Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca),
			OnProblem: func(string, error) { logged.Add(1) },
		})
		defer r.Close()
		leaf := revLeaf(t, ca, 7)
		until := wantCheck(t, r, nil, leaf, ca).until
		server.status.Store(-1)
		wantCheck(t, r, nil, leaf, ca)
		time.Sleep(time.Until(until) - time.Second)
		wantCheck(t, r, nil, leaf, ca)
		if n := logged.Load(); n < 20 || n > 26 {
			t.Errorf("logged %d times in 12 minutes", n)
		}
		time.Sleep(time.Second)
		wantCheck(t, r, identity.ErrUnavailable, leaf, ca)
	})
}

// TestOldAnswerIsShownAgain: an attacker on the way of a plain http URL shows the good
// answer from before the revocation, which has not ended yet.
func TestOldAnswerIsShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		leaf := revLeaf(t, ca, 7)
		day := func(r *ocsp.Response) { r.NextUpdate = time.Now().Add(24 * time.Hour) }
		old := ca.answer(t, leaf.cert.SerialNumber, ocsp.Good, day)
		time.Sleep(time.Hour)
		now := ca.answer(t, leaf.cert.SerialNumber, ocsp.Revoked, day)
		answers := [][]byte{now, old}
		wire := revWire(func(*http.Request) (*http.Response, error) {
			body := answers[0]
			answers = answers[min(1, len(answers)-1):]
			return revReply(body), nil
		})
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: wire})
		defer r.Close()
		for range 5 {
			wantCheck(t, r, identity.ErrRejected, leaf, ca)
			time.Sleep(61 * time.Minute)
		}
	})
}

// TestBackOff: in soft_fail a dead responder costs its timeout once in five seconds, in
// strict every request asks. A responder that answers badly is asked each time: a client
// whose certificate gets such answers could otherwise let a revoked one in.
func TestBackOff(t *testing.T) {
	for name, test := range map[string]struct {
		mode  Mode
		reply func() (*http.Response, error)
		want  int64
	}{
		"soft_fail, down":       {ModeSoftFail, func() (*http.Response, error) { return nil, errRevDown }, 2},
		"strict, down":          {ModeStrict, func() (*http.Response, error) { return nil, errRevDown }, 10},
		"soft_fail, bad answer": {ModeSoftFail, func() (*http.Response, error) { return revReply([]byte("no")), nil }, 10},
		"soft_fail, status 500": {ModeSoftFail, func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}, nil
		}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := revCA(t, nil, "ca")
				var asked atomic.Int64
				r := revStart(t, &Revocation{Mode: test.mode, OCSP: true, Responder: revResponder, transport: revWire(func(*http.Request) (*http.Response, error) {
					asked.Add(1)
					return test.reply()
				})})
				defer r.Close()
				for serial := range int64(10) {
					_, err := r.Check(t.Context(), revChain(revLeaf(t, ca, serial+2), ca), time.Now())
					if (err == nil) != (test.mode == ModeSoftFail) {
						t.Error(err)
					}
					time.Sleep(900 * time.Millisecond)
				}
				if asked.Load() != test.want {
					t.Errorf("asked %d times, want %d", asked.Load(), test.want)
				}
			})
		})
	}
}

// TestCacheIsBounded fills the cache and sees the answers in use stay.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &ocspClient{entries: make(map[ocspKey]*ocspEntry), changed: &atomic.Uint64{}}
		now := time.Now()
		for i := range maxAnswers + 10 {
			answer := ocspAnswer{thisUpdate: now, until: now.Add(time.Hour)}
			c.keepLocked(ocspKey{serial: fmt.Sprint(i)}, &ocspEntry{answer: answer, last: now.Add(time.Duration(i))}, now)
		}
		if len(c.entries) != maxAnswers || c.entries[ocspKey{serial: "9"}] != nil || c.entries[ocspKey{serial: "10"}] == nil {
			t.Errorf("%d entries", len(c.entries))
		}
	})
}
