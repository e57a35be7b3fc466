// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// askedAbout is the request that is judged where the option respond is set: the one that a trusted
// front proxy asks about, or, where the proxy describes none, the one that came. Envoy sends
// the client's own method, host and path; a prefix of the path is cut off by handle_path.
type askedAbout struct {
	method, scheme, host string
	url                  *url.URL
}

// readOriginal finds out which request is judged. Fields of a peer that is not trusted say nothing.
func (h *Handler) readOriginal(r *http.Request, ex *exchange) error {
	if !h.Respond {
		return nil
	}
	if ex.Peer.Undecided { // a front proxy's own GET would pass for the client's POST
		return ex.peerErr
	}
	said := new(browser.Original)
	if ex.Peer.Trusted {
		var err error
		if said, err = browser.ReadOriginal(r.Header); err != nil {
			return err
		}
	}
	if ex.upgrade == "" && (len(r.Header["Sec-Websocket-Key"]) > 0 || len(r.Header["Sec-Websocket-Version"]) > 0) {
		ex.upgrade = "websocket" // nginx and Traefik leave out Upgrade alone: a page of another site must not look like a reader
	}
	about := &askedAbout{cmp.Or(said.Method, r.Method), said.Scheme, cmp.Or(said.Host, r.Host), r.URL}
	if about.scheme == "" && r.TLS != nil {
		about.scheme = "https"
	}
	if said.URL != nil {
		about.url = said.URL
		if own := r.Method; own != http.MethodGet && own != http.MethodHead && own != said.Method {
			return fmt.Errorf("%w: the original request: the proxy sends another method than it says", identity.ErrMalformed)
		}
		if _, err := (identity.Shape{Method: said.Method}).Check(); err != nil {
			return err
		}
	}
	ex.about = about
	return nil
}

// asked returns what the client asked for, as [asItCame] does, or what a front proxy asks about.
func (ex *exchange) asked(r *http.Request) (method, host string, asked *url.URL) {
	if about := ex.about; about != nil {
		return about.method, about.host, about.url
	}
	method, asked = asItCame(r)
	return method, r.Host, asked
}

// judged replaces what the front proxy's own request says.
func (a *askedAbout) judged(r *browser.Request) {
	if a != nil {
		r.Method, r.Host, r.TLS = a.method, a.host, a.scheme == "https"
	}
}

// fields are for the access log, whose line is about the front proxy's own request.
func (a *askedAbout) fields() []zap.Field {
	if a == nil {
		return nil
	}
	return []zap.Field{zap.String("method", shown(a.method)), zap.String("host", shown(a.host)), zap.String("path", shown(a.url.EscapedPath()))}
}
