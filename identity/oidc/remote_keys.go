// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// askAgain is the time after the end of a fetch in which no token can cause another one,
	// whatever its content and its client.
	askAgain = 10 * time.Second

	// maxWaiting is how many tokens may wait for a fetch at once. A client can make up key
	// ids while the issuer hangs, and tokens whose key is there must not run out of places.
	maxWaiting = 256
)

// RemoteConfig says where the keys of an issuer are. URLs are https, or http to a loopback
// address, without a user name and a fragment; the same holds for jwks_uri.
type RemoteConfig struct {
	// Issuer is compared, byte for byte, with the issuer in the discovery document.
	Issuer string

	// DiscoveryURL is where that document is. Default: below Issuer, without a slash at
	// its end, at /.well-known/openid-configuration.
	DiscoveryURL string

	// JWKSURL is where the keys are. With it there is no discovery, so DiscoveryURL beside it
	// is refused, and Issuer is not used.
	JWKSURL string

	// Roots returns the CAs for the issuer's certificate. It is called before each request, so
	// that a changed file takes effect. Nil, or a nil pool: the system's.
	Roots func() *x509.CertPool

	// Transport replaces the network, for tests.
	Transport http.RoundTripper

	// OnProblem is called for problems that no caller sees: failures in the background, the
	// first and then one a minute, with a nil error when they are over; and keys that cannot
	// be used. It may be nil.
	OnProblem func(message string, err error)

	// OnChange is called when the keys cannot be fetched any more, with whether the last good
	// ones still count; when these do not count any more; and with nil when keys can be fetched
	// again. It may be nil, and must not wait.
	OnChange func(err error, kept bool)
}

// RemoteKeys are the keys that an issuer publishes.
//
// They are fetched when the first token needs them, or by Warm. They count as fresh for as
// long as the answer's Cache-Control says (max-age less Age), within 1 min and 24 h; for
// 1 h if the answer does not say. After that the next use starts a fetch in
// the background. While that fails, the last good keys are used for 24 h more; then there
// are none. An answer without a usable key is not a failure: the issuer has withdrawn its
// keys. A failed fetch is tried again at the next use, after at least 1 s, and then at
// growing intervals of up to 60 s. The location from the discovery document is believed for
// 12 h, or until the keys are no longer there (404, 410).
//
// A token with an unknown kid or a wrong signature starts a fetch, as the issuer may have
// changed its keys, if the last fetch ended 10 s ago or more. The token waits for that
// fetch. Otherwise the token is rejected at once, or cannot be decided if the last fetch
// failed and the kid is unknown.
//
// There is one fetch at a time. It takes 10 s at most and does not depend on any caller's
// context; callers wait for it for as long as their own context lasts. Tokens that the
// present keys verify neither wait nor take a lock, and are not counted: at most 256 others
// wait, and one more is refused with [identity.ErrUnavailable]. Packages certauth and tokencache also
// have one flight for many requests, by other rules: theirs is for one certificate or one
// token, and begins when it is needed. Here one fetch is for all tokens of an issuer, and
// may not begin too soon after the last one.
type RemoteKeys struct {
	state atomic.Pointer[keyState]

	mu     sync.Mutex    // of the next two
	flight chan struct{} // closed when the present fetch ends; nil if there is none
	closed bool

	waiting atomic.Int64 // tokens that wait for the fetch

	// For the one fetch at a time.
	fetcher   fetcher
	discovery *discovery
	log       keyLog

	ctx    context.Context
	cancel context.CancelCauseFunc
	wait   sync.WaitGroup
}

// NewRemoteKeys refuses URLs that cannot be used. It never waits for the network.
func NewRemoteKeys(config RemoteConfig) (*RemoteKeys, error) {
	found, err := newDiscovery(&config)
	if err != nil {
		return nil, err
	}
	k := &RemoteKeys{
		fetcher:   fetcher{roots: config.Roots, transport: config.Transport},
		discovery: found,
		log:       newKeyLog(config.OnProblem),
	}
	k.log.onChange = config.OnChange
	k.state.Store(&keyState{err: errNotFetched})
	k.ctx, k.cancel = context.WithCancelCause(context.Background())
	return k, nil
}

// Warm has the keys fetched in the background if there are none, so that an unreachable
// issuer is logged early.
func (k *RemoteKeys) Warm() { k.join((*keyState).isDue) }

// Close ends the fetch in the background and waits for its end. Keys that are there stay
// usable until they expire.
func (k *RemoteKeys) Close() {
	k.cancel(errClosed)
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.wait.Wait()
}

// Generation implements [Keys]. It is zero while there are no keys.
func (k *RemoteKeys) Generation() uint64 {
	state, now := k.state.Load(), time.Now()
	if !state.isUsable(now) {
		return 0
	}
	if state.isDue(now) { // the keys may have changed, which ends verdicts that were kept
		k.join((*keyState).isDue)
	}
	return state.set.generation
}

// VerifySignature implements [Keys].
func (k *RemoteKeys) VerifySignature(ctx context.Context, token string, header Header) ([]byte, error) {
	seen, err := k.usable(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := seen.set.verify(token, header)
	if errors.Is(err, errUnknownKey) || errors.Is(err, errSignature) {
		return k.verifyAgain(ctx, token, header, seen, err)
	}
	return payload, err
}

// FromIssuer marks the context for a token that the issuer itself has sent just now: an unknown
// key is asked for at once. Tokens of clients wait for that, or a client could make the proxy ask
// for each of them. A refresh whose answer is refused is lost, with its refresh token.
func FromIssuer(ctx context.Context) context.Context {
	return context.WithValue(ctx, fromIssuer{}, true)
}

type fromIssuer struct{}

// usable returns keys, and waits for them only if there are none.
func (k *RemoteKeys) usable(ctx context.Context) (*keyState, error) {
	state, now := k.state.Load(), time.Now()
	if state.isUsable(now) {
		if state.isDue(now) {
			k.join((*keyState).isDue)
		}
		return state, nil
	}
	if flight := k.join((*keyState).isDue); flight != nil {
		if err := k.await(ctx, flight); err != nil {
			return nil, err
		}
	}
	if state = k.state.Load(); !state.isUsable(time.Now()) {
		return nil, fmt.Errorf("%w: there are no keys of the issuer: %w", identity.ErrUnavailable, state.cause())
	}
	return state, nil
}

// verifyAgain tries newer keys than seen, which did not verify the token because of cause.
func (k *RemoteKeys) verifyAgain(ctx context.Context, token string, header Header, seen *keyState, cause error) ([]byte, error) {
	may := (*keyState).mayAskAgain
	if ctx.Value(fromIssuer{}) != nil {
		may = func(*keyState, time.Time) bool { return true }
	}
	if flight := k.join(may); flight != nil {
		if err := k.await(ctx, flight); err != nil {
			return nil, err
		}
	}
	state := k.state.Load()
	if state.set != seen.set {
		var payload []byte
		if payload, cause = state.set.verify(token, header); cause == nil {
			return payload, nil
		}
	}
	if state.err != nil && errors.Is(cause, errUnknownKey) {
		return nil, fmt.Errorf("%w: %w, and newer keys could not be fetched: %w", identity.ErrUnavailable, errUnknownKey, state.err)
	}
	return nil, cause
}

// Interface guard
var _ Keys = (*RemoteKeys)(nil)
