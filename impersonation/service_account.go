// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	// requestTimeout is the default time for one token request.
	requestTimeout = 10 * time.Second

	// expiryMargin is how long before its expiry a token is no longer handed out, since
	// the request has yet to arrive. For a token with less than ten times that life it is
	// a tenth of the life.
	expiryMargin = 5 * time.Second

	// shortestLife is far less than an API server gives, which is ten minutes at least. A
	// token that lives shorter by our clock is not used: new ones would be requested
	// without end.
	shortestLife = 2 * time.Second
)

var (
	errNotStarted = errors.New("not started")
	errNoAnswer   = errors.New("there is no answer yet to the first request for a token")
	errClosed     = errors.New("closed")
	errExpired    = errors.New("the last token has expired, and there is no new one yet")
)

// Requester requests a new token, as the subresource token of a service account gives it
// (TokenRequest, authentication.k8s.io/v1), and returns it with its expiry. It returns
// when ctx ends. Its errors are logged, and must not contain the token.
type Requester func(ctx context.Context) (token string, expires time.Time, err error)

// ServiceAccount is the [Credential] for short-lived tokens of a service account. They
// are requested in the background: only requests before the first answer wait for it. Set
// the fields, then call Start, Authorization as often as needed, and Close.
//
// A token is renewed at 75 % to 85 % of its life, at random, so that proxies that were
// started together do not ask together. It is renewed earlier, yet not before half of its
// life, if otherwise less than Timeout and 5 s would be left. While renewal fails, it is
// repeated forever, after 1 s and then at growing intervals of up to 60 s; the last good
// token is used until 5 s before it expires.
//
// It refuses an empty token, one without the form of a bearer token, and one that has
// expired or lives for less than 2 s. The expiry is by the API server's clock and
// compared with ours. Our clock may be slow by a sixth of a token's life, since renewal
// comes before; if it is fast, tokens are renewed earlier, and refused if it is fast by
// all of their life.
//
// A token that the API server rejects before its time, because the service account or the
// object that it is bound to was deleted, is used until it is renewed: reverse_proxy gets
// that answer, and this package does not see it.
type ServiceAccount struct {
	// Request requests one token. There is one call at a time. A panic in it is a
	// failure.
	Request Requester

	// Timeout is for one call of Request. Default: 10 s.
	Timeout time.Duration

	// OnProblem is called with the first failure, then once a minute as long as it lasts,
	// and with a nil error when it is over. It may be nil.
	OnProblem func(message string, err error)

	// OnChange is called when a token cannot be renewed any more, with whether the last good one
	// still counts; when that does not count any more; and with nil when there is a new one
	// again. It may be nil.
	OnChange func(err error, kept bool)

	// OnRenewal is called with the expiry of each new token. It may be nil. None
	// of these may call Close.
	OnRenewal func(expires time.Time)

	current  atomic.Pointer[serviceToken]
	answered chan struct{} // closed when the first attempt has ended, or all of them
	cancel   context.CancelFunc
	wait     sync.WaitGroup
}

// serviceToken is the current result: a token up to a time, by the wall clock, and from
// then on an error.
type serviceToken struct {
	authorization string
	until         time.Time
	err           error
	cause         error // why the last attempt failed; nil if it did not
}

// Start requests the first token in the background, and keeps one until Close. It is
// called once, before the first Authorization.
func (s *ServiceAccount) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.answered = cancel, make(chan struct{})
	s.wait.Go(func() { s.run(ctx) })
}

// Close ends what Start began and waits for it. From then on there is no token.
func (s *ServiceAccount) Close() {
	if s.cancel != nil {
		s.cancel()
		s.wait.Wait()
	}
}

// Authorization implements [Credential]. It waits, until ctx ends, only before the first
// request for a token has ended. The error wraps [identity.ErrUnavailable] and says why
// the last attempt failed.
func (s *ServiceAccount) Authorization(ctx context.Context) (string, error) {
	if current := s.current.Load(); current != nil && time.Now().Before(current.until) {
		return current.authorization, nil
	}
	if s.answered == nil {
		return "", noServiceToken(errNotStarted)
	}
	select {
	case <-s.answered:
	default:
		select {
		case <-s.answered:
		case <-ctx.Done():
			return "", noServiceToken(fmt.Errorf("waiting for the first token: %w", ctx.Err()))
		}
	}
	current := s.current.Load()
	if time.Now().Before(current.until) {
		return current.authorization, nil
	}
	return "", current.err
}

// run requests tokens until ctx ends.
func (s *ServiceAccount) run(ctx context.Context) {
	answer := sync.OnceFunc(func() { close(s.answered) })
	defer answer()
	defer func() { s.current.Store(&serviceToken{err: noServiceToken(errClosed)}) }()
	down := outage.Outage{OnProblem: s.OnProblem, Over: "the service account token is renewed again"}
	lost := transition{onChange: s.OnChange}
	for again := time.Now(); waitUntil(ctx, again); {
		token, expires, err := s.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now().Round(0) // the wall clock alone, since the expiry is by it
		var next *serviceToken
		if err == nil {
			next, err = newServiceToken(token, expires, now)
		}
		if err != nil {
			kept := s.failed(err)
			answer()
			message := "there is no service account token"
			if now.Before(kept.until) {
				message = "keeping the last good service account token"
			}
			down.Failed(message, err)
			lost.now(err, now.Before(kept.until))
			again = now.Add(down.Retry())
			continue
		}
		s.current.Store(next)
		answer()
		if s.OnRenewal != nil {
			s.OnRenewal(expires)
		}
		down.End()
		lost.now(nil, true)
		again = now.Add(renewal(expires.Sub(now), s.timeout()))
	}
}

func (s *ServiceAccount) timeout() time.Duration {
	if s.Timeout <= 0 {
		return requestTimeout
	}
	return s.Timeout
}

// ask makes one request.
func (s *ServiceAccount) ask(ctx context.Context) (token string, expires time.Time, err error) {
	defer identity.Recovered(&err, nil, "asking for a token")
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	return s.Request(ctx)
}

// newServiceToken checks an answer that arrived now.
func newServiceToken(token string, expires, now time.Time) (*serviceToken, error) {
	life := expires.Sub(now)
	switch {
	case token == "":
		return nil, errors.New("the answer has no token")
	case !identity.IsBearerToken(token):
		return nil, errors.New("the token in the answer is not a bearer token")
	case expires.IsZero():
		return nil, errors.New("the answer has no expiry")
	case life <= 0:
		return nil, fmt.Errorf("the new token expired %s ago: our clock and the API server's may differ", -life.Round(time.Millisecond))
	case life < shortestLife:
		return nil, fmt.Errorf("the new token expires in %s: our clock and the API server's may differ", life.Round(time.Millisecond))
	}
	return &serviceToken{
		authorization: "Bearer " + token,
		until:         now.Add(life - min(expiryMargin, life/10)),
		err:           noServiceToken(errExpired),
	}, nil
}

// renewal returns how long after its arrival a token is replaced.
func renewal(life, timeout time.Duration) time.Duration {
	part := life/4*3 + rand.N(life/10) //nolint:gosec // it spreads load and is no secret
	return min(part, max(life-expiryMargin-timeout, life/2))
}

// failed keeps the last good token, with a new reason for the time after its expiry.
func (s *ServiceAccount) failed(cause error) *serviceToken {
	next := &serviceToken{err: noServiceToken(cause), cause: cause}
	if last := s.current.Load(); last != nil {
		next.authorization, next.until = last.authorization, last.until
	}
	s.current.Store(next)
	return next
}

// noServiceToken wraps a cause. A cause that wraps a sentinel is added as text only, so
// that the refusal wraps exactly one.
func noServiceToken(cause error) error {
	err := fmt.Errorf("%w: getting a service account token: %w", identity.ErrUnavailable, cause)
	if !identity.IsRefusal(err) {
		return fmt.Errorf("%w: getting a service account token: %s", identity.ErrUnavailable, cause.Error())
	}
	return err
}
