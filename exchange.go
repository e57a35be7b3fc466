// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// exchange is the state of one request between strip and announce. Its memory is used again
// for other requests, so nothing that goes on with a request may point into it.
type exchange struct {
	identity.Request

	upgrade string // the protocol that the request switches to; empty for most
	dropped int    // how many fields were dropped because the peer is not trusted
	peerErr error  // why the peer is not trusted, if its certificate or its address should make it so

	about  *askedAbout    // nil: the request itself
	proven *identity.User // by a source, whatever the policy says

	impersonated *identity.User // whom the client asks to be, where that is reviewed

	// Of browser sessions, where there are some.
	cookies      []string // the lines of Cookie, before they were stripped
	scheme, host string   // of the site, as the browser knows it
	site         session.Site
	placed       bool   // the site may have sessions
	page         bool   // the request is a navigation
	reads        bool   // its method is GET or HEAD
	direct       bool   // no error route answers, since Caddy would log the request's query
	login        *login // which the request is about, or nil
	use          *sessionUse

	room [8]identity.StrippedField // for Stripped, which takes more memory only if that is not enough
}

// exchanges is the memory for one handler's exchanges.
type exchanges struct{ pool sync.Pool }

// begin returns an exchange that knows nothing but the time.
func (e *exchanges) begin() *exchange {
	ex, _ := e.pool.Get().(*exchange)
	if ex == nil {
		ex = new(exchange)
	}
	*ex = exchange{} // whatever happened to it in between
	ex.Received = time.Now()
	ex.Stripped = ex.room[:0]
	return ex
}

// end empties an exchange, so that nothing of it stays in memory, and gives it back. For nil,
// one that has ended, it does nothing.
func (e *exchanges) end(ex *exchange) {
	if ex == nil {
		return
	}
	*ex = exchange{}
	e.pool.Put(ex)
}

// browser returns the parts of the request that package browser needs.
func (ex *exchange) browser(r *http.Request) browser.Request {
	judged := browser.Request{
		Method:  r.Method,
		Host:    r.Host,
		TLS:     r.TLS != nil,
		Header:  r.Header,
		Upgrade: ex.upgrade,
		Peer:    ex.Peer,
	}
	ex.about.judged(&judged)
	return judged
}
