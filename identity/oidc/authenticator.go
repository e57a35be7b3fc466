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

// Authenticator authenticates by tokens. It is safe for concurrent use.
type Authenticator struct {
	// Issuers have different URLs.
	Issuers []*Issuer

	// Cache keeps verdicts. It belongs to these issuers alone: a verdict under another
	// configuration is not valid here.
	Cache *tokencache.Cache

	// Skew goes into identities: how far the issuers' clocks may be from ours.
	Skew time.Duration

	// Bound says what becomes of tokens that are bound to a certificate. No verdict depends on
	// it.
	Bound identity.CertificateBound

	// OnLookup is called with whether the cache had a verdict; may be nil.
	OnLookup func(hit bool)
}

// maxJudged is how many unknown tokens may be under judgement at once, besides those that wait
// for the keys of an issuer.
const maxJudged = 1024

// NewCache makes a cache of verdicts on the tokens of so many issuers. Tokens that wait for
// keys have places of their own in it: forged ones cannot take those of tokens whose key is
// there, however long an issuer hangs.
func NewCache(issuers int) *tokencache.Cache {
	return tokencache.New(tokencache.Config{MaxUnknown: maxJudged + issuers*maxWaiting})
}

// Authenticate verifies a token of the request. The error wraps [identity.ErrAbsent] when raw
// is not a JWT or its issuer is not configured. The identity is in the request's memory, and
// the user's slices and maps are shared.
func (a *Authenticator) Authenticate(ctx context.Context, r *identity.Request, raw string) (*identity.Identity, error) {
	key := a.key(raw)
	verdict, found, err := a.Cache.Get(key, r.Now())
	if a.OnLookup != nil {
		a.OnLookup(found)
	}
	if !found {
		verdict, err = a.judge(ctx, key, raw)
	}
	if err == nil {
		err = a.Bound.Check(r, verdict.Confirmation) // also if the verdict was kept: another client may have the token
	}
	if err != nil {
		return nil, err
	}
	return r.Proven(identity.Identity{
		User:          verdict.User,
		AllowReserved: verdict.AllowReserved,
		Expires:       verdict.Expires,
		Skew:          a.Skew,
		Memo:          verdict.Memo,
	}, raw), nil
}

// key names the verdict on a token by the issuers' present keys: once an issuer has
// withdrawn a key, no verdict that rests on it is found.
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
			issued := ctx.Value(fromIssuer{}) // the judgement has a context of its own
			return a.Cache.Judge(ctx, key, func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
				return issuer.verdict(context.WithValue(ctx, fromIssuer{}, issued), token)
			})
		}
	}
	err = fmt.Errorf("%w: the issuer %s is not known here", identity.ErrAbsent, identity.Quote(token.issuer()))
	a.Cache.Pass(key, err) // a later source may accept it, and reading it each time would cost more than that
	return tokencache.Verdict{}, err
}

// verdict verifies a token and maps its claims to a user.
func (i *Issuer) verdict(ctx context.Context, token *unverified) (tokencache.Verdict, error) {
	expires, err := i.verify(ctx, token, time.Now())
	if err != nil {
		return tokencache.Verdict{}, err
	}
	user, err := i.Mapper.Map(ctx, token.claims)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return tokencache.Verdict{
		User:          user,
		Issuer:        i.URL,
		Expires:       expires,
		AllowReserved: []string{identity.CredentialID},
		Confirmation:  identity.ReadConfirmation(token.claims),
	}, nil
}
