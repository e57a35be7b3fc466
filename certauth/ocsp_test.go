// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const revResponder = "http://ocsp.example/"

func revNever(_, _ *x509.Certificate, _ time.Time) bool { return false }

// TestModes is the table of what each answer means.
func TestModes(t *testing.T) {
	tests := map[string]struct {
		status            int
		soft, strict, off error
	}{
		"good":    {ocsp.Good, nil, nil, nil},
		"revoked": {ocsp.Revoked, identity.ErrRejected, identity.ErrRejected, nil},
		"unknown": {ocsp.Unknown, nil, identity.ErrRejected, nil},
		"down":    {-1, nil, identity.ErrUnavailable, nil},
	}
	for name, test := range tests {
		for mode, want := range map[Mode]error{ModeSoftFail: test.soft, ModeStrict: test.strict, ModeOff: test.off} {
			t.Run(fmt.Sprintf("%s/%s", name, mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := revCA(t, nil, "ca")
					server := &revStatus{}
					server.status.Store(int64(test.status))
					r := revStart(t, &Revocation{Mode: mode, OCSP: true, Responder: revResponder, transport: server.wire(t, ca)})
					defer r.Close()
					wantCheck(t, r, want, revLeaf(t, ca, 7), ca)
					if asked := server.asked.Load(); (asked == 0) != (mode == ModeOff) {
						t.Errorf("the responder was asked %d times", asked)
					}
				})
			})
		}
	}
}

// TestOneFlight has a hundred requests with one certificate at once: one question. The
// first client hangs up, and the others still get the answer.
func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		server := &revStatus{}
		wire := server.wire(t, ca)
		slow := revWire(func(request *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return wire(request)
		})
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: slow})
		defer r.Close()
		leaf := revLeaf(t, ca, 7)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Check(ctx, revChain(leaf, ca), time.Now()); !errors.Is(err, identity.ErrUnavailable) {
				t.Errorf("the client that hung up: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() { wantCheck(t, r, nil, leaf, ca) })
		}
		synctest.Wait()
		cancel()
		all.Wait()
		if asked := server.asked.Load(); asked != 1 {
			t.Errorf("the responder was asked %d times", asked)
		}
	})
}

// TestLateClient waits for an answer that has ended by its clock.
func TestLateClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, server := revCA(t, nil, "ca"), &revStatus{}
		wire := server.wire(t, ca)
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: revWire(func(request *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return wire(request)
		})})
		defer r.Close()
		leaf := revLeaf(t, ca, 7)
		go func() { wantCheck(t, r, nil, leaf, ca) }()
		synctest.Wait()
		if _, err := r.Check(t.Context(), revChain(leaf, ca), time.Now().Add(2*time.Hour)); !errors.Is(err, identity.ErrUnavailable) {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// TestHangUpMakesNothingGood: in soft_fail a client with a revoked certificate hangs up
// before the answer. If that were kept as a pass, its next request would be let in.
func TestHangUpMakesNothingGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		hang := revWire(func(request *http.Request) (*http.Response, error) {
			<-request.Context().Done()
			return nil, request.Context().Err()
		})
		r := revStart(t, &Revocation{Mode: ModeSoftFail, OCSP: true, Responder: revResponder, transport: hang})
		defer r.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Check(ctx, revChain(revLeaf(t, ca, 7), ca), time.Now()); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("Check: %v", err)
		}
	})
}

// TestRespondersInTheCertificate tries the usable ones, in order.
func TestRespondersInTheCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, server := revCA(t, nil, "ca"), &revStatus{}
		wire := server.wire(t, ca)
		r := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"two.example"}, transport: revWire(func(request *http.Request) (*http.Response, error) {
			if request.URL.Host != "two.example" || request.Method != http.MethodPost {
				t.Errorf("%s %s", request.Method, request.URL)
			}
			return wire(request)
		})})
		defer r.Close()
		wantCheck(t, r, nil, revLeaf(t, ca, 7, "ldap://two.example/", "http://one.example/", "http://two.example/ocsp"), ca)
		err := wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, ca, 8, "http://two.example.evil/", "http://two.example:8080/"), ca).err
		if !strings.Contains(err.Error(), "not in allowed_hosts") {
			t.Error(err)
		}
		err = wantCheck(t, r, identity.ErrUnavailable, revLeaf(t, ca, 9), ca).err
		if !errors.Is(err, errNoResponder) {
			t.Error(err)
		}
	})
}
