// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// shape refuses a request that this handler must not see, or in a form that it does not take.
func (h *Handler) shape(r *http.Request, ex *exchange) (err error) {
	if err := h.checkOnce(r); err != nil {
		return err
	}
	ex.upgrade, err = shapeOf(r).Check()
	return err
}

// shapeOf reads from r what [identity.Shape] checks. For an extended CONNECT net/http
// leaves the protocol in a header field and quic-go in Proto; reverse_proxy looks there.
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

// strip removes from r, in place, everything that says something about the sender. Trailers
// go as a whole: net/http fills them at the end of the body with all that the client
// sends, announced or not, and reverse_proxy would forward them.
func (h *Handler) strip(r *http.Request, ex *exchange) {
	r.Trailer = nil
	r.URL.User = nil
	ex.Stripped = h.stripRules.Strip(r.Header, ex.upgrade, ex.Stripped)
}

// dropTrailers keeps a client's trailers from error routes. Error routes run on the
// original request. If an earlier handler (tracing, for one) copied it, both share one
// Trailer map, which net/http fills at the end of the body. So the body is closed here,
// before anything can read to its end.
func dropTrailers(body io.Closer, trailer http.Header, err *error) {
	if *err == nil || trailer == nil {
		return
	}
	_ = body.Close() // an error here is about the client's body, which is no longer wanted
	clear(trailer)
}

// recognize finds out who the direct peer is. If the peer is not a trusted proxy, recognize
// drops the fields that only such a proxy may set.
func (h *Handler) recognize(r *http.Request, ex *exchange) error {
	if r.TLS != nil && !h.Respond { // there it is that of the front proxy, which asks for all clients
		ex.Certificates = r.TLS.PeerCertificates
	}
	ex.CertificateReaders = h.certificateReaders
	// a session's token may be bound to a certificate, which is not that of a trusted proxy
	judge := len(ex.cookies) > 0 || trustMatters(r.Header, ex.Stripped)
	ex.Peer, ex.peerErr = h.trust.peer(r, judge)
	ex.Peer.Undecided = errors.Is(ex.peerErr, identity.ErrUnavailable)
	if !ex.Peer.Trusted && h.proxyOnly != nil {
		if ex.dropped = ex.Stripped.Drop(h.proxyOnly); ex.dropped > 0 {
			h.metrics.Untrusted.Add(float64(ex.dropped))
		}
	}
	return h.readOriginal(r, ex)
}

// authenticate asks the sources in order; the first that finds its credential decides. The
// source is nil when none found one.
func (h *Handler) authenticate(ctx context.Context, ex *exchange) (*configuredSource, *identity.Identity, error) {
	src, id, err := h.prove(ctx, ex)
	if h.fallback == nil || err == nil {
		return src, id, err
	}
	if errors.Is(err, identity.ErrAbsent) {
		return h.fallback.ask(ctx, ex)
	}
	if h.fallback.onFailure && identity.IsBadCredential(err) {
		h.logFallback(ex, src, err)
		return h.fallback.ask(ctx, ex)
	}
	return src, nil, err
}

// prove asks the sources that need a credential.
func (h *Handler) prove(ctx context.Context, ex *exchange) (*configuredSource, *identity.Identity, error) {
	if ex.dropped > 0 && ex.Peer.Undecided { // a weaker source must not decide instead
		return nil, nil, ex.peerErr
	}
	var why []string
	var noSession error // why the session of the request does not count
	for _, src := range h.sources {
		if src == h.fallback {
			break
		}
		if src.login != nil && !h.isExplicit(ex.Stripped) {
			id, err := h.sessions.prove(ctx, ex, src.login)
			if !errors.Is(err, identity.ErrAbsent) {
				return src, id, err
			}
			ex.Session = identity.Session{}
			if err != identity.ErrAbsent { //nolint:errorlint // whether it says more than the sentinel alone
				noSession = err
			}
		}
		_, id, err := src.ask(ctx, ex)
		if err == nil && h.sessions != nil && id.Token.Reveal() != "" { // another source may take the issuer's tokens too
			err = h.sessions.checkHint(ctx, id.Token.Reveal(), ex.Received)
		}
		if !errors.Is(err, identity.ErrAbsent) {
			return src, id, err
		}
		if err != identity.ErrAbsent { //nolint:errorlint // whether it says more than the sentinel alone
			why = append(why, src.name+": "+err.Error())
		}
	}
	if fields := h.unclaimed(ex.Stripped); fields != "" {
		return nil, nil, fmt.Errorf("%w: no source accepts what is in %s%s", identity.ErrRejected, fields, reasons(why))
	}
	switch {
	case ex.dropped > 0 && ex.peerErr != nil:
		return nil, nil, fmt.Errorf("%w: fields dropped from a peer that is not trusted: %d: %w",
			identity.ErrAbsent, ex.dropped, ex.peerErr)
	case ex.dropped > 0:
		return nil, nil, fmt.Errorf("%w: fields dropped from a peer that is not trusted: %d",
			identity.ErrAbsent, ex.dropped)
	case noSession != nil:
		return nil, nil, noSession
	}
	return nil, nil, identity.ErrAbsent
}

// unclaimed returns the fields with a credential that no source claimed: that is a bad
// credential, and not an absent one. An empty Authorization counts; in other fields proxies
// write a line that says nothing ([identity.IsNothing]) when there is no credential.
func (h *Handler) unclaimed(stripped identity.Stripped) string {
	var fields []string
	for _, field := range h.credentials {
		lines := stripped.Lines(field)
		something := func(line string) bool { return field == "Authorization" || !identity.IsNothing(line) }
		if slices.ContainsFunc(lines, something) {
			fields = append(fields, field)
		}
	}
	return strings.Join(fields, ", ")
}

// reasons adds why sources did not claim a credential, where they said so.
func reasons(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}

// check applies the policy to the identity, whichever source proved it, and to the client's
// other wishes: to impersonate, and to change something from another origin.
func (h *Handler) check(r *http.Request, ex *exchange, src *configuredSource, id *identity.Identity) (*settled, error) {
	ex.proven = &id.User
	if !id.Expires.IsZero() && ex.Received.After(src.end(id)) {
		return nil, fmt.Errorf("%w: the credential has expired", identity.ErrRejected)
	}
	if h.ClientImpersonation == impersonationReject && ex.Stripped.HasImpersonation() {
		return nil, errImpersonates
	}
	who, err := h.settle(src, id)
	if err != nil {
		return nil, err
	}
	if err := h.crossOrigin.Check(ex.browser(r)); err != nil {
		return nil, err
	}
	return h.actAs(r.Context(), ex, src, who)
}

// inject returns the request that is forwarded: a copy, so that error routes never see the
// credential that was written.
func (h *Handler) inject(on *passage, r *http.Request, src *configuredSource, id *identity.Identity, who *settled) (*http.Request, error) {
	if err := who.ready(on, src, id.Memo); err != nil {
		return nil, err
	}
	inner := r.WithContext(on)
	inner.Header = h.target(r.Header, who.most)
	who.write(inner.Header) // before the injectors that may look at the header
	for _, injector := range src.injectors {
		if injector.ofRequest == nil {
			continue
		}
		if err := write(on, injector.ofRequest, injector.identity(who, who.token(id)), inner.Header); err != nil {
			return nil, err
		}
	}
	return inner, nil
}

// forward calls the next handler. The response is watched if cookies are to be stripped
// from it, if the login takes its place when the session has ended, or if it could outlive
// the credential.
func (h *Handler) forward(w http.ResponseWriter, inner *http.Request, on *passage, next caddyhttp.Handler) error {
	if h.answer != nil {
		next = h.answer
	}
	page := !h.KeepCacheControl && (on.use != nil && on.use.page || h.login.OpensPage(browser.Request{Method: inner.Method, Header: inner.Header}))
	if !on.stream.ends() && !page && len(h.stripRules.Cookies) == 0 {
		return next.ServeHTTP(w, inner)
	}
	watched := on.watch(w, inner, h.stripRules.Cookies, page)
	defer watched.end()
	return next.ServeHTTP(watched, inner)
}

// cloneHeader copies the map, with room for as many fields as are written: a map that grows,
// or is larger than it needs to be, costs as much as the copy. The lines of a field are
// shared, and capped so that appending to one copies it. Injectors replace whole fields, and
// the shared lines say nothing about the client's identity.
func cloneHeader(header http.Header, room int) http.Header {
	clone := make(http.Header, len(header)+room)
	for name, lines := range header {
		clone[name] = slices.Clip(lines)
	}
	return clone
}

// write asks one injector, and turns a panic into an error.
func write(ctx context.Context, injector identity.Injector, id *identity.Identity, header http.Header) (err error) {
	defer identity.Recovered(&err, identity.ErrInternal, "")
	return classified(injector.Inject(ctx, id, header))
}

// classified turns an error that does not wrap exactly one sentinel into an internal one:
// the guest broke its contract, and the error says nothing about the client. The new error
// does not wrap the old one.
func classified(err error) error {
	if err == nil || identity.IsRefusal(err) {
		return err
	}
	return fmt.Errorf("%w: %s", identity.ErrInternal, err.Error())
}
