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
type stream struct {
	ends   time.Time
	expire func()
	cancel context.CancelFunc
	timer  *time.Timer // nil until the response turns out to be a stream
}

// newStream returns the context in which the request is forwarded. The stream is nil if the
// response may last as long as it likes.
func (h *Handler) newStream(ctx context.Context, ex *exchange, src *configuredSource, id *identity.Identity) (context.Context, *stream) {
	if h.KeepStreams || id.Expires.IsZero() {
		return ctx, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &stream{ends: id.Expires.Add(id.Skew), cancel: cancel, expire: func() {
		h.logStreamEnd(ex, src)
		cancel()
	}}
}

// begin is called when the response turns out to be a stream.
func (s *stream) begin() {
	if s != nil && s.timer == nil {
		s.timer = time.AfterFunc(time.Until(s.ends), s.expire)
	}
}

// end is called when the response is over.
func (s *stream) end() {
	if s == nil {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.cancel()
}
