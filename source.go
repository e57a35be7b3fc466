// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Injector is what a guest module in the namespace http.kube_identity.injectors
// implements. A guest in http.kube_identity.sources implements [identity.Source].
type Injector interface {
	identity.Injector

	// ForSources names the sources whose identities it writes; none means all.
	ForSources() []string
}

// CookieWriter is implemented by an injector that writes cookies.
type CookieWriter interface {
	// Cookies are patterns of the client's own cookies to strip; a trailing "*" is a prefix.
	Cookies() []string
}

// TokenSender is implemented by an injector that sends the user's own token, in any field.
// For one source it cannot be combined with impersonation: the upstream would act
// as another user with the user's token.
type TokenSender interface {
	// SendsToken returns two answers. sends: it sends the token. alone: it writes nothing
	// else, so for a source without tokens it writes nothing.
	SendsToken() (sends, alone bool)
}

// TokenWriter is implemented by an injector that writes a token, or another credential, into
// fields. Caddy hides few fields in its logs: for all others the handler warns when the
// configuration is loaded, and says which lines hide them.
type TokenWriter interface {
	// TokenFields returns the fields, in canonical spelling.
	TokenFields() []string
}

// TransportUser is implemented by an injector whose upstream may know the proxy by the
// client certificate of reverse_proxy's transport, which goes along with every request.
type TransportUser interface {
	// UsesTransport says that it does: a request without an identity is not forwarded.
	UsesTransport() bool
}

// configuredSource is one source of the configuration, with the parts that the handler uses
// after the source has decided.
type configuredSource struct {
	identity.Source

	name      string
	nameValue any        // name as an any, so that announcing it does not allocate
	onFailure bool       // it is a fallback that is also asked after a bad credential
	injectors []Injector // those that write its identities
	sends     bool       // one of them sends the user's own token
	metrics   guest.SourceMetrics
}

// label is the name for a log or a metric. It is "none" if no source decided.
func (s *configuredSource) label() string {
	if s == nil {
		return "none"
	}
	return s.name
}

// ask lets the source look at a request, and holds it to its contract: an identity, or an
// error that wraps exactly one sentinel. A panic becomes an error.
func (s *configuredSource) ask(ctx context.Context, ex *exchange) (decided *configuredSource, id *identity.Identity, err error) {
	start := time.Now()
	id, err = s.authenticate(ctx, &ex.Request)
	s.metrics.Seconds.Observe(time.Since(start).Seconds())
	if err != nil {
		return s, nil, err
	}
	id.Source = s.name
	if s.sends {
		id.Skew = 0 // the upstream judges the token by its own clock, and would refuse it
	}
	return s, id, nil
}

func (s *configuredSource) authenticate(ctx context.Context, r *identity.Request) (id *identity.Identity, err error) {
	defer identity.Recovered(&err, identity.ErrInternal, "")
	id, err = s.Authenticate(ctx, r)
	if err == nil && id == nil {
		return nil, identity.ErrInternal
	}
	return id, classified(err)
}
