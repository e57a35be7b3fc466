// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Issuer verifies the tokens of one issuer and maps their claims to users.
type Issuer struct {
	// URL is compared with the claim iss, byte for byte.
	URL string

	// Audiences are the accepted values of the claim aud, which must have one of them. At
	// least one.
	Audiences []string

	// CheckParty looks at azp, the client that the token was issued to (OpenID Connect Core
	// 1.0, section 2). With Parties a token must have it, and it must be one of Parties or
	// Audiences. Without Parties only a token for several audiences is refused, if it was
	// issued to a client that is not one of Audiences.
	CheckParty bool
	Parties    []string

	// Algorithms are the signature algorithms that are accepted. Empty: [Algorithms].
	Algorithms []string

	// Skew is how far the issuer's clock may be from ours: how long a token is still accepted
	// after exp. Early is the same for nbf.
	Skew, Early time.Duration

	Keys   Keys
	Mapper Mapper
}

// verify checks that the issuer made this token, that it is for one of Audiences, and that
// it is valid at now. The error wraps [identity.ErrRejected] or [identity.ErrUnavailable].
func (i *Issuer) verify(ctx context.Context, token *unverified, now time.Time) (expires time.Time, err error) {
	if token.issuer() != i.URL {
		return expires, fmt.Errorf("%w: the token is from another issuer", identity.ErrRejected)
	}
	if token.fault != nil {
		return expires, token.fault
	}
	algorithms := i.Algorithms
	if len(algorithms) == 0 {
		algorithms = Algorithms()
	}
	if !slices.Contains(algorithms, token.header.Algorithm) {
		return expires, fmt.Errorf("%w: the issuer does not sign with %s", identity.ErrRejected, token.header.Algorithm)
	}
	// the cheap checks go first: a token that is for another audience or has expired needs no
	// signature, and its reason says more than go-oidc's could
	if err := checkPurpose(token.claims); err != nil {
		return expires, err
	}
	audience, err := i.checkAudience(token.claims)
	if err != nil {
		return expires, err
	}
	if expires, err = i.checkTimes(token.claims, now); err != nil {
		return expires, err
	}
	return expires, i.askGoOIDC(ctx, token, audience, now)
}

// checkPurpose refuses tokens of the issuer that are not credentials of their bearer, and say
// so in a claim only: security events such as a logout (RFC 8417, section 2.2; OpenID Connect
// Back-Channel Logout 1.0, section 2.4).
func checkPurpose(claims Claims) error {
	if _, there := claims["events"]; there {
		return fmt.Errorf("%w: the token reports events, and is not a credential", identity.ErrRejected)
	}
	return nil
}

// checkAudience returns the one of Audiences that the token is for.
func (i *Issuer) checkAudience(claims Claims) (string, error) {
	audiences, ok := stringOrList(claims["aud"])
	if !ok {
		return "", wrongType("aud", "a string or a list of strings")
	}
	n := slices.IndexFunc(i.Audiences, func(own string) bool { return slices.Contains(audiences, own) })
	if n < 0 {
		return "", fmt.Errorf("%w: the token is for another audience: %s", identity.ErrRejected, quoteFew(audiences))
	}
	return i.Audiences[n], i.checkParty(claims["azp"], audiences)
}

// checkParty looks at the client that the token was issued to. Keycloak gives the access
// tokens of every client the same audience, "account": azp alone tells whose token it is.
func (i *Issuer) checkParty(party any, audiences []string) error {
	name, _ := party.(string)
	switch {
	case !i.CheckParty:
	case party == nil && len(i.Parties) > 0:
		return fmt.Errorf("%w: the token does not say to which client it was issued (azp)", identity.ErrRejected)
	case party == nil || len(i.Parties) == 0 && len(audiences) < 2:
	case !slices.Contains(i.Audiences, name) && !slices.Contains(i.Parties, name):
		return fmt.Errorf("%w: the token was issued to another client: %s (azp)", identity.ErrRejected, identity.Quote(name))
	}
	return nil
}

func (i *Issuer) checkTimes(claims Claims, now time.Time) (expires time.Time, err error) {
	exp, ok := numericDate(claims["exp"])
	if !ok {
		return expires, wrongType("exp", "a time")
	}
	if now.After(exp.Add(i.Skew)) {
		return expires, fmt.Errorf("%w: the token expired %s ago", identity.ErrRejected, now.Sub(exp).Round(time.Second))
	}
	// go-oidc takes a time in quotes as well (RFC 7519, section 4.1.6: a number)
	if issued, there := claims["iat"]; there {
		if _, ok := issued.(float64); !ok {
			return expires, wrongType("iat", "a time")
		}
	}
	if value, there := claims["nbf"]; there {
		nbf, ok := numericDate(value)
		if !ok {
			return expires, wrongType("nbf", "a time")
		}
		if now.Add(i.Early).Before(nbf) {
			return expires, fmt.Errorf("%w: the token becomes valid in %s",
				identity.ErrRejected, nbf.Sub(now).Round(time.Second))
		}
	}
	return exp, nil
}

// numericDate reads a NumericDate (RFC 7519, section 2), to the second.
func numericDate(value any) (time.Time, bool) {
	seconds, ok := value.(float64)
	if !ok || !(seconds >= 0 && seconds <= identity.MaxUnixTime) {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

func stringOrList(value any) ([]string, bool) {
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		list := make([]string, 0, len(value))
		for _, element := range value {
			s, ok := element.(string)
			if !ok {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	default:
		return nil, false
	}
}

// quoteFew shows the first of some names from the wire.
func quoteFew(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	if more := len(names) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", identity.Quote(names[0]), more)
	}
	return identity.Quote(names[0])
}
