// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"
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

// LinesKeeper is implemented by an injector that writes the same lines for the same identity.
// It is split in two. What ofIdentity writes depends on the identity and the configuration
// alone: the handler asks once, keeps the lines with the verdict, and writes copies of them.
// What ofRequest writes, such as a credential that may be renewed at any time, is asked for
// with each request. Either may be nil: nothing. The identity that ofIdentity gets has no
// token, nor that of ofRequest unless it is a [TokenSender]. The header of ofIdentity is empty.
// Neither changes the identity or keeps it. All other injectors are asked with each request.
type LinesKeeper interface {
	KeepLines() (ofIdentity, ofRequest identity.Injector)
}

// configuredInjector is one injector of the configuration, for one source.
type configuredInjector struct {
	Injector

	ofIdentity, ofRequest identity.Injector // nil: nothing to ask

	keeps bool // it is a [LinesKeeper]
	sends bool // it sends the user's own token
	most  int  // how many names ofRequest writes
}

func newConfiguredInjector(injector Injector) configuredInjector {
	c := configuredInjector{Injector: injector, ofRequest: injector}
	c.sends, _ = tokenSent(injector)
	if keeper, ok := injector.(LinesKeeper); ok {
		c.ofIdentity, c.ofRequest = keeper.KeepLines()
		c.keeps = true
	}
	if c.ofRequest != nil {
		c.most = len(c.ofRequest.Writes())
	}
	return c
}

// identity returns what ofRequest is asked about. A guest that does not split itself gets a
// copy of its own, since it may keep or change it.
func (c configuredInjector) identity(who *settled, token identity.Token) *identity.Identity {
	switch {
	case !c.keeps:
		id := who.Clone()
		id.Token = identity.NewToken(token.Reveal())
		return &id
	case !c.sends:
		return &who.Identity
	}
	id := who.Identity
	id.Token = token
	return &id
}

// configuredSource is one source of the configuration, with the parts that the handler uses
// after the source has decided.
type configuredSource struct {
	identity.Source

	name      string
	onFailure bool                 // it is a fallback that is also asked after a bad credential
	injectors []configuredInjector // those that write its identities
	sends     bool                 // one of them sends the user's own token
	owner     *identity.Owner      // of what this configuration derives from its verdicts
	metrics   guest.SourceMetrics
	login     *login // nil: browsers do not log in there
}

// label is the name for a log or a metric. It is "none" if no source decided.
func (s *configuredSource) label() string {
	if s == nil {
		return "none"
	}
	return s.name
}

// ask lets the source look at a request, and holds it to its contract: an identity, or an
// error that wraps exactly one sentinel. A panic becomes an error. The clock is looked at
// again, for the metric and for what follows, if the source may have worked on a credential:
// not if it has none for a request, nor if it has kept a verdict that is settled here.
func (s *configuredSource) ask(ctx context.Context, ex *exchange) (decided *configuredSource, id *identity.Identity, err error) {
	id, err = s.authenticate(ctx, &ex.Request)
	if err == nil && id.Memo.Get(s.owner) != nil || errors.Is(err, identity.ErrAbsent) {
		return s, id, err
	}
	now := time.Now()
	s.metrics.Seconds.Observe(now.Sub(ex.Received).Seconds())
	ex.Received = now
	return s, id, err
}

// end is when a credential with an expiry ends. If its token is sent, there is no time after
// the expiry: the upstream judges the token by its own clock, and would refuse it.
func (s *configuredSource) end(id *identity.Identity) time.Time {
	if s.sends {
		return id.Expires
	}
	return id.Expires.Add(id.Skew)
}

func (s *configuredSource) authenticate(ctx context.Context, r *identity.Request) (id *identity.Identity, err error) {
	defer identity.Recovered(&err, identity.ErrInternal, "")
	id, err = s.Authenticate(ctx, r)
	if err == nil && id == nil {
		return nil, identity.ErrInternal
	}
	if err != nil {
		return nil, classified(err)
	}
	return id, nil
}
