// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/x509"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// User is a name and its attributes, in the words of Kubernetes' UserInfo
// (authentication.k8s.io/v1) and of the display fields that dashboards read.
type User struct {
	// Username is the user's name in Kubernetes. Never empty after [Policy.Check].
	Username string

	// UID identifies the user even if the name is later given to another. May be empty.
	UID string

	// Groups, in the source's order: upstreams such as Kiali use the list as a cache key.
	Groups []string

	// Extra attributes. Keys are lower case and not empty.
	Extra map[string][]string

	// Email, Name and PreferredUsername are for display and authorize nothing.
	Email             string
	Name              string
	PreferredUsername string
}

// Is says whether u and other are the same values of one source: equal texts, and the same
// memory for groups and extra attributes. It costs no look at these.
func (u *User) Is(other *User) bool {
	return u.Username == other.Username && u.UID == other.UID &&
		u.Email == other.Email && u.Name == other.Name && u.PreferredUsername == other.PreferredUsername &&
		len(u.Groups) == len(other.Groups) && (len(u.Groups) == 0 || &u.Groups[0] == &other.Groups[0]) &&
		reflect.ValueOf(u.Extra).Pointer() == reflect.ValueOf(other.Extra).Pointer()
}

// Identity is a user, and how the user was proven.
type Identity struct {
	User

	// Source is the name of the source that proved it. The handler sets it, so that a
	// source cannot pass as another.
	Source string

	// AllowReserved are the exact reserved names of users and groups ([IsReserved]), and keys
	// of extra attributes ([IsReservedKey]), that this identity may have without the
	// operator's allow_reserved. Source anonymous needs system:anonymous and
	// system:unauthenticated, for example.
	AllowReserved []string

	// Expires is when the credential expires; zero means never. Streams that were opened
	// with it end then, Skew later.
	Expires time.Time

	// Skew is how far the clock of the issuer, which set Expires, may be from ours.
	Skew time.Duration

	// Token is the bearer token that proved it, if one did. The source has verified it; a
	// token that the client merely sent is never here.
	Token Token

	// Original is the user who was proven, and may act as this one: the client asked for that,
	// and the API server agreed. Nil: the user itself was proven. The handler sets it.
	Original *User

	// Memo belongs to the verdict that the source keeps, and comes with it each time. All
	// identities with one Memo differ in Token at most, and these are one token. Nil if the
	// source keeps no verdicts.
	Memo *Memo
}

// Clone returns a copy that shares nothing with the identity that could be changed.
func (id *Identity) Clone() Identity {
	clone := *id
	clone.User, clone.AllowReserved = id.clone(), slices.Clone(id.AllowReserved)
	if id.Original != nil {
		original := id.Original.clone()
		clone.Original = &original
	}
	return clone
}

func (u *User) clone() User {
	clone := *u
	clone.Groups, clone.Extra = slices.Clone(u.Groups), maps.Clone(u.Extra)
	for key, values := range clone.Extra {
		clone.Extra[key] = slices.Clone(values)
	}
	return clone
}

// Request is what a [Source] may look at. It is valid until Authenticate returns: after that
// its memory belongs to another request. Its strings may be kept.
type Request struct {
	// Stripped are the fields that were stripped off the request.
	Stripped Stripped

	// Peer is the other end of the connection.
	Peer Peer

	// Certificates are the peer's, from the TLS handshake with this server, its own first.
	// Only that the peer has the key of the first is proven; the chain is not verified.
	Certificates []*x509.Certificate

	// CertificateReaders are the sources that read the certificate of a trusted proxy's client,
	// in the order of the configuration.
	CertificateReaders []CertificateReader

	// Session is the browser session of the request. It is empty if the request has a bearer
	// token: that counts more.
	Session Session

	// Received is when the request came; see [Request.Now].
	Received time.Time

	proven Identity // see [Request.Proven]
	token  string
	taken  bool // proven and token are in use
}

// Session is what a browser session says. It proves nothing: the source that the browser logged
// in at judges the token as it judges a bearer token.
type Session struct {
	Source string // the key of that source
	Token  string // its ID token; empty: there is no session
	Issued bool   // the issuer has sent it just now, over a connection of the proxy's own
}

// Proven returns the identity, with the token that proved it (empty: none), in the memory of
// the request: a source that makes an identity for each request needs none of its own. It is
// valid as long as the request is. A second identity of a request has other memory: a source
// may ask two others, and compare what they say.
func (r *Request) Proven(id Identity, token string) *Identity {
	proven, text := &r.proven, &r.token
	if r.taken {
		proven, text = new(Identity), new(string)
	}
	r.taken = true
	*proven, *text = id, token
	if token != "" {
		proven.Token = Token{text}
	}
	return proven
}

// Now is the time by which a request is judged: when it came, so that one look at the clock
// serves all sources. Without that it is the present time.
func (r *Request) Now() time.Time {
	if r.Received.IsZero() {
		return time.Now()
	}
	return r.Received
}

// Source is one way to authenticate a request.
type Source interface {
	// Reads returns the fields that this source reads. They are stripped off every request.
	Reads() Fields

	// Authenticate returns the identity, or an error that wraps exactly one of the
	// [Sentinels]: [ErrAbsent] if the request has no credential for this source, another
	// one if it has a credential that proves nothing. The caller does not change the identity:
	// a source may return one to many requests.
	Authenticate(ctx context.Context, r *Request) (*Identity, error)
}

// Fallback is a [Source] that can also be asked after a bad credential.
type Fallback interface {
	Source

	// AfterFailure says whether it is asked after another source's [ErrMalformed] or
	// [ErrRejected]. It is never asked after [ErrForbidden], which refuses a proven
	// identity, or [ErrUnavailable], which decides nothing.
	AfterFailure() bool
}

// TokenIssuer is a [Source] of bearer tokens. The first source that takes an issuer's tokens
// and reads the token's field decides: a later one is never asked. The handler refuses to load
// that if both are of one kind, and otherwise logs it.
type TokenIssuer interface {
	Source

	// TokenIssuers are the issuers whose tokens it takes when it is loaded, as the tokens' iss
	// has them, byte for byte. None: it takes every token.
	TokenIssuers() []string
}

// Remarker is a [Source] that notices mistakes in its configuration by the credentials that
// come. The command check prints them.
type Remarker interface {
	Source

	// Remarks are whole sentences without a final dot.
	Remarks() []string
}

// Injector writes an identity into the header of a request that is forwarded.
type Injector interface {
	// Writes returns the header fields that it may write; a trailing "*" is a prefix. They
	// are stripped off every request, even if it writes nothing for an identity.
	Writes() []string

	// Inject sets fields, all or none: after an error the request is not forwarded. It
	// replaces a field's lines and never adds to them.
	Inject(ctx context.Context, id *Identity, header http.Header) error
}

// Fields are names of header fields; a trailing "*" is a prefix.
type Fields struct {
	Names []string

	// Proxy says that only a trusted proxy may set them: they describe its client and
	// prove nothing by themselves. From any other peer they are dropped.
	Proxy bool

	// Credential says that they hold credentials of clients: one that no source accepts is
	// a bad credential, never an absent one.
	Credential bool
}
