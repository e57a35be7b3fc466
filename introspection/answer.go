// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// decide returns the user only if the answer confirms the token.
func (i *Introspector) decide(ctx context.Context, token string, claims oidc.Claims, now time.Time) (tokencache.Verdict, error) {
	if err := i.check(token, claims); err != nil {
		return tokencache.Verdict{}, fmt.Errorf("%w: introspecting a token: %w", identity.ErrRejected, err)
	}
	expires, err := i.checkTimes(claims, now)
	if err != nil {
		return tokencache.Verdict{}, fmt.Errorf("%w: introspecting a token: %w", identity.ErrRejected, err)
	}
	user, err := i.Mapper.Map(ctx, claims)
	if err != nil {
		return tokencache.Verdict{}, err
	}
	return tokencache.Verdict{
		User:          user,
		Issuer:        i.Issuer,
		Expires:       expires,
		AllowReserved: []string{identity.CredentialID},
		Confirmation:  identity.ReadConfirmation(claims),
	}, nil
}

// check returns why an answer does not confirm the token. A missing member counts as a no.
func (i *Introspector) check(token string, claims oidc.Claims) error {
	switch active, isBool := claims["active"].(bool); {
	case !isBool:
		return errors.New("the answer does not say whether it is active")
	case !active:
		return errors.New("it is not active")
	}
	if err := checkPurpose(claims); err != nil {
		return err
	}
	issuer, isText := claims["iss"].(string)
	switch {
	case !isText:
		return errors.New("the answer names no issuer (iss), so the token may be from another one")
	case issuer != i.Issuer:
		return fmt.Errorf("it is from another issuer: %s", quote(issuer, token))
	}
	audiences, areTexts := stringOrList(claims["aud"])
	switch {
	case !areTexts || len(audiences) == 0:
		return errors.New("the answer names no audience (aud), so the token may be for another one")
	case !slices.ContainsFunc(audiences, func(audience string) bool { return slices.Contains(i.Audiences, audience) }):
		return fmt.Errorf("it is for another audience: %s", quote(audiences[0], token))
	}
	return nil
}

// checkPurpose refuses tokens that are active, and are not credentials of their bearer. A server
// introspects every kind of token that it has issued (RFC 7662, section 2.1), whatever the hint.
func checkPurpose(claims oidc.Claims) error {
	if kind, there := claims["token_type"]; there && kind != nil {
		if text, ok := kind.(string); !ok || !strings.EqualFold(text, "Bearer") {
			return errors.New("its token_type is not Bearer") // such as DPoP (RFC 9449), N_A (RFC 8693)
		}
	}
	if kind, ok := claims["typ"].(string); ok && slices.Contains(otherTypes(), strings.ToLower(kind)) {
		return errors.New("its typ says that it is not an access token")
	}
	if _, there := claims["events"]; there {
		return errors.New("it reports events, and is not a credential") // RFC 8417
	}
	return nil
}

// otherTypes are the values of typ, in lower case, by which Keycloak tells its other tokens apart:
// it calls a refresh token active, too.
func otherTypes() []string {
	return []string{"refresh", "offline", "id", "logout", "action-token", "rpt", "serialized-id"}
}

// checkTimes demands an end. The server has looked at the times as well, by its own clock.
func (i *Introspector) checkTimes(claims oidc.Claims, now time.Time) (expires time.Time, err error) {
	expires, there, ok := numericDate(claims, "exp")
	switch {
	case !there || !ok:
		return expires, errors.New("the answer does not say until when it is good (exp)")
	case now.After(expires.Add(i.Skew)):
		return expires, fmt.Errorf("it expired %s ago", now.Sub(expires).Round(time.Second))
	}
	for _, name := range []string{"nbf", "iat"} {
		begin, there, ok := numericDate(claims, name)
		switch {
		case !there:
		case !ok:
			return expires, fmt.Errorf("its %s is not a time", name)
		case now.Add(i.Skew).Before(begin):
			return expires, fmt.Errorf("it becomes valid in %s (%s)", begin.Sub(now).Round(time.Second), name)
		}
	}
	return expires, nil
}

// numericDate reads a time (RFC 7519, section 2), to the second. Null is not a time.
func numericDate(claims oidc.Claims, name string) (at time.Time, there, ok bool) {
	value, there := claims[name]
	seconds, ok := value.(float64)
	if !ok || !(seconds >= 0 && seconds <= identity.MaxUnixTime) {
		return at, there, false
	}
	return time.Unix(int64(seconds), 0), there, true
}

func stringOrList(value any) (list []string, ok bool) {
	switch value := value.(type) {
	case string:
		return []string{value}, true
	case []any:
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			list = append(list, text)
		}
		return list, true
	}
	return nil, false
}

// quote shows a name of the answer, unless the server repeats the token in it.
func quote(name, token string) string {
	if identity.LeaksToken(name, token) {
		return "not shown, since it has a part of the token"
	}
	return identity.Quote(name)
}
