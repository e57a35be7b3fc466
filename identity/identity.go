// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package identity holds what the whole plugin agrees on: who somebody is, what
// a request claims about its sender, what a source and an injector are, and why
// a request is refused. It knows neither Caddy nor a log, and imports only the
// standard library, so that the part on which everything depends can be read,
// tested and fuzzed alone.
//
// A request goes through it in this order:
//
//   - [Shape.Check] refuses the forms of request that nobody needs;
//   - [Taker.Take] moves every field that speaks of the sender off the request
//     and into [Claims], so that whatever follows sees a request without a sender;
//   - [Peer] says who is at the other end of the connection, and whether that
//     proxy may speak for others; [Claims.Drop] forgets what it may not say;
//   - each [Source] looks at the claims and says who it is, or why not;
//   - [Policy.Check] judges the identity, whichever source it came from;
//   - each [Injector] writes it into the headers of the request that goes on.
package identity

import (
	"context"
	"crypto/x509"
	"net/http"
	"time"
)

// User is somebody's name and attributes, in the words of Kubernetes' UserInfo
// (authentication.k8s.io/v1) and of the display fields that dashboards want.
type User struct {
	// Username is how Kubernetes calls them. Never empty after [Policy.Check].
	Username string

	// UID is an identifier that is not used again when a name is. May be empty.
	UID string

	// Groups, in the order in which the source gave them. The order is kept, since
	// upstreams such as Kiali cache by it.
	Groups []string

	// Extra attributes. Keys are lower case and not empty.
	Extra map[string][]string

	// Email, Name (for display) and PreferredUsername authorise nothing.
	Email             string
	Name              string
	PreferredUsername string
}

// Identity is a user, and what is known of how they were proven.
type Identity struct {
	User

	// Source is the name of the source that proved it. The handler sets it: a
	// source cannot give itself another's name.
	Source string

	// Reserved are the exact reserved names, users or groups, which this source may
	// yield without the operator's allow_reserved, because they are what it is for:
	// anonymous has system:anonymous and system:unauthenticated.
	Reserved []string

	// Expires is when the credential stops proving anything; zero means never.
	// A stream that was opened with it ends then, Skew later.
	Expires time.Time

	// Skew is how far the clock of whoever set Expires may be from ours.
	Skew time.Duration

	// Explicit says that whoever made the request put the credential into it. Others a
	// browser sends by itself, whichever page makes it ask: a client certificate, the session
	// behind a proxy's field, a password. With these, what other sites' pages ask for is
	// refused.
	Explicit bool

	// Token is the bearer token that proved it, where one did: what the source verified,
	// never what the client merely sent.
	Token Token
}

// Request is what a [Source] may look at.
type Request struct {
	// Claims are the fields that were taken off the request.
	Claims Claims

	// Peer is who is at the other end of the connection.
	Peer Peer

	// Certificates are what the peer sent in the TLS handshake with this server, the
	// peer's own first. That it has the key is proven; nothing else is.
	Certificates []*x509.Certificate
}

// Source finds out who is asking.
type Source interface {
	// Reads says which fields this source believes. They are taken off every request.
	Reads() Fields

	// Authenticate returns who is asking, or an error that wraps exactly one of the
	// sentinels: [ErrAbsent] when the request has no credential for this source,
	// another one when it has, but a bad one. The identity is the caller's to change;
	// its slices and maps are not.
	Authenticate(ctx context.Context, r *Request) (*Identity, error)
}

// Fallback is a [Source] that also answers for requests whose credential was bad.
type Fallback interface {
	Source

	// AfterFailure says whether it is asked after [ErrMalformed] and [ErrRejected] of
	// another source. It never is after [ErrForbidden], which is about a proven
	// identity, and [ErrUnavailable], which proves nothing either way.
	AfterFailure() bool
}

// Injector writes an identity into the headers of a request that goes upstream.
type Injector interface {
	// Writes names the header fields it may write; a trailing "*" is a prefix. They
	// are taken off every request, also when a given identity leaves them unwritten.
	Writes() []string

	// Inject sets fields, all or none: an error means that nothing goes upstream. It
	// replaces what stands there and never adds to it.
	Inject(ctx context.Context, id *Identity, header http.Header) error
}

// Fields are names of header fields; a trailing "*" is a prefix.
type Fields struct {
	Names []string

	// Proxy says that only a trusted proxy may set them: they are a statement about
	// somebody else, with no proof of their own. From any other peer they are dropped.
	Proxy bool

	// Credential says that they hold credentials of clients: one that no source accepts
	// is a bad credential, and never nobody's.
	Credential bool
}
