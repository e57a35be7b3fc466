// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const revResponder = "http://ocsp.example/"

// TestAnswers has answers as they should be and as somebody on the way, or with another
// certificate of the authority, would make them.
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

		"another serial":                  {ca.answer(t, big.NewInt(8), ocsp.Good, nil), "parsing ocsp answer"},
		"another authority":               {other.answer(t, serial, ocsp.Good, nil), "signature is not the issuer's"},
		"another authority, its own word": {other.answer(t, serial, ocsp.Good, embed(other)), "not of the same issuer"},
		"an authority of the same name":   {twin.answer(t, serial, ocsp.Good, embed(twin)), "not of the same issuer"},
		"about another issuer, signed by ours": {
			other.answerBy(t, revDelegate(t, ca, nil), serial, ocsp.Good, nil), "of another issuer",
		},
		"about an issuer with our name, signed by our key": {(&revHost{cert: twin.cert, key: ca.key}).answer(t, serial, ocsp.Good, nil), "of another issuer"},
		"about an issuer with our key":                     {renamed.answer(t, serial, ocsp.Good, nil), "of another issuer"},
		"delegated by an issuer with our key":              {ca.answerBy(t, revDelegate(t, renamed, nil), serial, ocsp.Good, nil), "not of the same issuer"},
		"about another issuer, signed by our key": {
			(&revHost{cert: other.cert, key: ca.key}).answer(t, serial, ocsp.Good, nil), "of another issuer",
		},
		"stale":                   {ca.answer(t, serial, ocsp.Good, times(-2*time.Hour, -time.Second)), "no longer valid"},
		"no end, made an age ago": {ca.answer(t, serial, ocsp.Good, times(-61*time.Minute, 0)), "no longer valid"},
		"not yet valid":           {ca.answer(t, serial, ocsp.Good, times(6*time.Minute, time.Hour)), "not yet valid"},
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
			answer, err := judgeAnswer(test.body, leaf.cert, ca.cert, time.Now(), isRevoked)
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
		if _, err := judgeAnswer(body, other.cert, ca.cert, time.Now(), revNever); err == nil {
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
			answer, err := judgeAnswer(test.body, leaf.cert, ca.cert, now, revNever)
			if err != nil || answer.until.Sub(now) != test.want {
				t.Errorf("%s: %v %v, want %v", name, answer.until.Sub(now), err, test.want)
			}
		}
	})
}

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
// client that was first hangs up, which takes nothing from the others.
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
// before the answer. Were that a pass that is kept, its next request would be let in.
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

// TestRefresh asks again for an answer in use before it ends, and not for one that is not.
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
		wantCheck(t, r, nil, unused, ca) // as was said, until it ends; and now it is asked again
		synctest.Wait()
		wantCheck(t, r, identity.ErrRejected, unused, ca)
	})
}

// TestRefreshFails keeps an answer until its end while the responder is down, says so, and
// not a moment longer.
func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := revCA(t, nil, "ca")
		server, logged := &revStatus{}, atomic.Int64{}
		r := revStart(t, &Revocation{
			Mode: ModeStrict, OCSP: true, Responder: revResponder, transport: server.wire(t, ca),
			Log: func(string, error) { logged.Add(1) },
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

// TestOldAnswerIsShownAgain: on the way of a plain http URL somebody shows the good answer
// from before the revocation, which has not ended yet.
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
// strict nothing is spared. A responder that answers badly is asked each time: with the
// certificate that gets such answers one could otherwise let a revoked one in.
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

// TestRespondersInTheCertificate tries those that can be tried, in order.
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

// TestHostileResponders are real servers that do everything but answer.
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
		"connection reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unreachable"},
		"slow header":      {func(http.ResponseWriter, *http.Request) { <-stop }, "unreachable"},
		"slow body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(good[:10])
			_ = http.NewResponseController(w).Flush()
			<-stop
		}, "unreachable"},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
			_, _ = w.Write(good)
		}, "unreachable"},
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
