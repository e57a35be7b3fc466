// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// Authenticator says who has a token. It is safe for concurrent use.
type Authenticator struct {
	// Issuers have different URLs.
	Issuers []*Issuer

	// Cache keeps verdicts. It belongs to these issuers alone: what another configuration
	// found out about a token says nothing here.
	Cache *tokencache.Cache

	// Skew goes into identities: how far the issuers' clocks may be from ours.
	Skew time.Duration

	// Counted hears whether the cache had a verdict; may be nil.
	Counted func(hit bool)
}

// Authenticate verifies a token. The error wraps [identity.ErrAbsent] when raw is no JWT
// or was made by nobody who is known here. The user's slices and maps are shared.
func (a *Authenticator) Authenticate(ctx context.Context, raw string) (*identity.Identity, error) {
	key := a.key(raw)
	verdict, found, err := a.Cache.Get(key, time.Now())
	if a.Counted != nil {
		a.Counted(found)
	}
	if !found {
		verdict, err = a.judge(ctx, key, raw)
	}
	if err != nil {
		return nil, err
	}
	return &identity.Identity{
		User:    verdict.User,
		Expires: verdict.Expires,
		Skew:    a.Skew,
		Token:   identity.NewToken(raw),
	}, nil
}

// key names the verdict on a token by the keys that there are now: of a key that the
// issuer has withdrawn no verdict is found again.
func (a *Authenticator) key(raw string) tokencache.Key {
	var buf [64]byte // more issuers take an allocation
	generations := buf[:0]
	for _, issuer := range a.Issuers {
		generations = binary.BigEndian.AppendUint64(generations, issuer.Keys.Generation())
	}
	return a.Cache.Key(raw, string(generations))
}

func (a *Authenticator) judge(ctx context.Context, key tokencache.Key, raw string) (tokencache.Verdict, error) {
	token, err := read(raw)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	for _, issuer := range a.Issuers {
		if issuer.URL == token.issuer() {
			return a.Cache.Judge(ctx, key, func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
				return issuer.judge(ctx, token)
			})
		}
	}
	return tokencache.Verdict{}, fmt.Errorf("%w: the issuer %s is not known here",
		identity.ErrAbsent, identity.Quote(token.issuer()))
}

// judge verifies a token and makes a user of its claims.
func (i *Issuer) judge(ctx context.Context, token *unverified) (tokencache.Verdict, error) {
	expires, err := i.verify(ctx, token, time.Now())
	if err != nil {
		return tokencache.Verdict{}, err
	}
	user, err := i.Mapper.Map(ctx, token.claims)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return tokencache.Verdict{User: user, Expires: expires}, nil
}
