// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// stream ends a response that could outlive the credential that opened it: an upgraded
// connection, or a response without a Content-Length. A response of a known length ends by
// itself. It is whole even if the credential expires meanwhile, as it is with kube-apiserver.
// Most requests are not streams: for them there is a context that can be canceled, and no
// timer.
type stream struct {
	end    time.Time
	cancel context.CancelFunc // nil if the response may last as long as it likes
	timer  *time.Timer        // nil until the response turns out to be a stream

	use     *sessionUse // whose end ends it, or nil
	release func()      // no longer waits for that

	handler *Handler // for its log
	source  string
	peer    identity.Peer
}

// newPassage begins what goes on with a request. The caller closes it when the response is
// over.
func (h *Handler) newPassage(ctx context.Context, ex *exchange, src *configuredSource, who *settled) *passage {
	on := &passage{Context: ctx, by: h, use: ex.use}
	if h.KeepStreams || who.Expires.IsZero() {
		return on
	}
	on.stream = stream{end: src.end(&who.Identity), handler: h, source: src.name, peer: ex.Peer, use: ex.use}
	if ex.use != nil && ex.use.session.RefreshToken != "" && !ex.use.login.NoRefresh {
		on.stream.end = ex.use.facts.Ends // other requests refresh it
	}
	on.Context, on.stream.cancel = context.WithCancel(ctx)
	return on
}

// ends says whether the response ends with the credential.
func (s *stream) ends() bool { return s.cancel != nil }

// begin is called when the response turns out to be a stream.
func (s *stream) begin() {
	if s.ends() && s.timer == nil {
		s.timer = time.AfterFunc(time.Until(s.end), s.expire)
		s.watch()
	}
}

// watch ends the stream when its session is logged out.
func (s *stream) watch() {
	if s.use == nil {
		return
	}
	logout := func() {
		s.handler.logStreamEnd(s.source, s.peer.String(), "the session has ended")
		s.cancel()
	}
	release, err := s.use.of.state.denied.Watch(s.use.facts, time.Now(), logout)
	if err != nil {
		logout()
		return
	}
	s.release = release
}

func (s *stream) expire() {
	s.handler.logStreamEnd(s.source, s.peer.String(), "the credential has expired")
	s.cancel()
}

// close is called when the response is over.
func (s *stream) close() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.release != nil {
		s.release()
	}
	if s.ends() {
		s.cancel()
	}
}
