// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// request is one request's state between take and announce.
type request struct {
	identity.Request

	upgrade string // the protocol that the request switches to; empty for most
	dropped int    // fields that an untrusted peer may not set, and did
	peerErr error  // why the peer's certificate did not make it trusted
}

// browser is what package browser needs to know of the request.
func (req *request) browser(r *http.Request) browser.Request {
	return browser.Request{
		Method:  r.Method,
		Host:    r.Host,
		TLS:     r.TLS != nil,
		Header:  r.Header,
		Upgrade: req.upgrade,
		Peer:    req.Peer,
	}
}

// shapeOf reads off r what [identity.Shape] judges. For an extended CONNECT net/http
// leaves the protocol in a header field, quic-go in Proto; reverse_proxy looks there.
func shapeOf(r *http.Request) identity.Shape {
	shape := identity.Shape{
		Method:     r.Method,
		Upgrade:    r.Header["Upgrade"],
		Connection: r.Header["Connection"],
		Early:      r.TLS != nil && !r.TLS.HandshakeComplete,
	}
	if r.Method == http.MethodConnect {
		switch r.ProtoMajor {
		case 2:
			shape.Protocol = r.Header.Get(":protocol")
		case 3:
			shape.Protocol = r.Proto
		}
	}
	return shape
}

// take removes from r, in place, everything that speaks of the sender. Trailers are
// given up whole: net/http fills them at the end of the body with whatever the client
// sends, announced or not, and reverse_proxy would forward them.
func (h *Handler) take(r *http.Request, upgrade string) *request {
	r.Trailer = nil
	r.URL.User = nil
	return &request{Request: identity.Request{Claims: h.taker.Take(r.Header, upgrade)}, upgrade: upgrade}
}

// dropTrailers keeps a client's trailers from error routes. A handler before this one
// may have made a copy of the request (tracing does), and an error route runs on the
// one before the copy, whose map of trailers is this one: net/http fills it when the
// body ends, so the body ends here. An error route gets no body of a request that
// announced trailers.
func dropTrailers(body io.Closer, trailer http.Header, err *error) {
	if *err == nil {
		return
	}
	_ = body.Close() // it is the client's to have sent it well
	clear(trailer)
}

// recognize finds out who is at the other end of the connection, and forgets what
// that peer may not say.
func (h *Handler) recognize(r *http.Request, req *request) {
	if r.TLS != nil {
		req.Certificates = r.TLS.PeerCertificates
	}
	req.Peer, req.peerErr = h.trust.judge(r)
	if !req.Peer.Trusted && h.proxyOnly != nil {
		if req.dropped = req.Claims.Drop(h.proxyOnly); req.dropped > 0 {
			h.metrics.Untrusted.Add(float64(req.dropped))
		}
	}
}

// authenticate asks the sources in order; the first that finds its credential decides.
// The source is nil when none did.
func (h *Handler) authenticate(ctx context.Context, req *request) (*source, *identity.Identity, error) {
	src, id, err := h.prove(ctx, req)
	if h.fallback == nil || err == nil {
		return src, id, err
	}
	if errors.Is(err, identity.ErrAbsent) {
		return h.fallback.ask(ctx, req)
	}
	if h.fallback.onFailure && identity.Bad(err) {
		h.logFallback(req, src, err)
		return h.fallback.ask(ctx, req)
	}
	return src, nil, err
}

// prove asks the sources that need a credential.
func (h *Handler) prove(ctx context.Context, req *request) (*source, *identity.Identity, error) {
	var why []string
	for _, src := range h.sources {
		if src == h.fallback {
			break
		}
		_, id, err := src.ask(ctx, req)
		if !errors.Is(err, identity.ErrAbsent) {
			return src, id, err
		}
		if err != identity.ErrAbsent { //nolint:errorlint // whether it says more than the sentinel alone
			why = append(why, src.name+": "+err.Error())
		}
	}
	if fields := h.unclaimed(req.Claims); fields != "" {
		return nil, nil, fmt.Errorf("%w: no source accepts what is in %s%s", identity.ErrRejected, fields, reasons(why))
	}
	switch {
	case req.dropped > 0 && req.peerErr != nil:
		return nil, nil, fmt.Errorf("%w: fields dropped from a peer that is not trusted: %d: %w",
			identity.ErrAbsent, req.dropped, req.peerErr)
	case req.dropped > 0:
		return nil, nil, fmt.Errorf("%w: fields dropped from a peer that is not trusted: %d",
			identity.ErrAbsent, req.dropped)
	}
	return nil, nil, identity.ErrAbsent
}

// unclaimed returns the fields with a credential that no source took for its own: it is a
// bad one, and not none. Authorization counts although it is empty; in other fields an
// empty line is how proxies say that there is none.
func (h *Handler) unclaimed(claims identity.Claims) string {
	var fields []string
	for _, field := range h.credentials {
		lines := claims.Lines(field)
		if len(lines) > 0 && (field == "Authorization" || strings.Join(lines, "") != "") {
			fields = append(fields, field)
		}
	}
	return strings.Join(fields, ", ")
}

// reasons adds what sources said to why they did not take a credential.
func reasons(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}

// check judges the identity and what else the client asked for, whichever source
// proved it.
func (h *Handler) check(r *http.Request, req *request, id *identity.Identity) error {
	if !id.Expires.IsZero() && time.Now().After(id.Expires.Add(id.Skew)) {
		return fmt.Errorf("%w: the credential has expired", identity.ErrRejected)
	}
	if h.ClientImpersonation == "reject" && req.Claims.HasImpersonation() {
		return fmt.Errorf("%w: the client asks to impersonate somebody", identity.ErrForbidden)
	}
	if err := h.policy.Check(id); err != nil {
		return err
	}
	return h.crossOrigin.Check(req.browser(r), id)
}

// inject returns the request that goes on: a copy, so that error routes never see the
// credential that was written. Its context ends when the identity's credential
// expires, which closes a stream that is still open then; end frees it.
func (h *Handler) inject(r *http.Request, src *source, id *identity.Identity) (
	inner *http.Request, end context.CancelFunc, err error,
) {
	ctx, end := r.Context(), func() {}
	if !h.KeepStreams && !id.Expires.IsZero() {
		ctx, end = context.WithDeadline(ctx, id.Expires.Add(id.Skew))
	}
	inner = r.WithContext(ctx)
	inner.Header = cloneHeader(r.Header)
	for _, injector := range src.injectors {
		if err := write(ctx, injector, id, inner.Header); err != nil {
			end()
			return nil, nil, err
		}
	}
	return inner, end, nil
}

// forward lets the request go on. The response goes through the filter of cookies, where
// there are any to take out of it.
func (h *Handler) forward(w http.ResponseWriter, inner *http.Request, next caddyhttp.Handler) error {
	if len(h.taker.Cookies) == 0 {
		return next.ServeHTTP(w, inner)
	}
	filter := newCookieFilter(w, h.taker.Cookies)
	defer filter.end()
	return next.ServeHTTP(filter, inner)
}

// cloneHeader returns a map of its own, with room for what injectors write, since
// growing it would cost as much as the copy. The lines of a field are shared, capped so
// that appending to one copies it: injectors replace fields whole, and what is shared
// is what the client sent that says nothing of its identity.
func cloneHeader(header http.Header) http.Header {
	const room = 8
	clone := make(http.Header, len(header)+room)
	for name, lines := range header {
		clone[name] = slices.Clip(lines)
	}
	return clone
}

// write asks one injector, and makes an error of a panic.
func write(ctx context.Context, injector Injector, id *identity.Identity, header http.Header) (err error) {
	defer recovered(&err)
	return classified(injector.Inject(ctx, id, header))
}

// classified makes an internal error of one that does not wrap exactly one sentinel: it
// broke the contract, and says nothing about the client. What it wraps is cut off.
func classified(err error) error {
	if err == nil || identity.Exact(err) {
		return err
	}
	return fmt.Errorf("%w: %s", identity.ErrInternal, err.Error())
}

// recovered turns a panic of a guest module into an error. Of the value only what the
// runtime itself says is kept, since a guest's own text may contain a credential.
func recovered(err *error) {
	value := recover()
	if value == nil {
		return
	}
	what := fmt.Sprintf("%T", value)
	if runtimeErr, ok := value.(runtime.Error); ok {
		what = runtimeErr.Error()
	}
	*err = &panicError{what: what, stack: debug.Stack()}
}

// panicError is a guest module's panic.
type panicError struct {
	what  string
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("%v: panic: %s", identity.ErrInternal, identity.Quote(e.what))
}

func (e *panicError) Unwrap() error { return identity.ErrInternal }

// Stack is where it was.
func (e *panicError) Stack() []byte { return e.stack }
