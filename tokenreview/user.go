// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// userOf copies the user from an answer. Names that an upstream should never see are left
// for [identity.Policy] to refuse.
func userOf(info *authenticationv1.UserInfo) identity.User {
	user := identity.User{Username: info.Username, UID: info.UID}
	for _, group := range info.Groups {
		if !identity.IsAuthenticatedGroup(group) {
			user.Groups = append(user.Groups, group)
		}
	}
	if len(info.Extra) > 0 {
		user.Extra = make(map[string][]string, len(info.Extra))
		for key, values := range info.Extra {
			user.Extra[key] = slices.Clone([]string(values))
		}
	}
	return user
}

// reserved are the reserved names that an answer may have: the keys of extra attributes,
// which are the API server's own word, and the names of a service account.
func reserved(info *authenticationv1.UserInfo) []string {
	names := reservedNames(info.Username)
	for key := range info.Extra {
		if identity.IsReservedKey(key) {
			names = append(names, key)
		}
	}
	return names
}

// reservedNames are the reserved names that a service account may have: its own, and the
// groups that Kubernetes gives it (k8s.io/apiserver, pkg/authentication/serviceaccount).
// Other users may have none.
func reservedNames(username string) []string {
	const prefix = "system:serviceaccount:"
	rest, found := strings.CutPrefix(username, prefix)
	if !found {
		return nil
	}
	namespace, name, _ := strings.Cut(rest, ":")
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return nil
	}
	return []string{username, "system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// expiry reads when a JWT ends (RFC 7519, section 4.1.4): the API server has verified that,
// but the answer does not contain it. It is zero for a token that is not a JWT or has no
// exp.
func expiry(token string) time.Time {
	_, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if !found || strings.Contains(signature, ".") {
		return time.Time{}
	}
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return time.Time{}
	}
	// go-jose's decoder does not take "EXP" for "exp", and refuses a repeated name: the API
	// server may have believed the other one.
	var claims struct {
		Expires *float64 `json:"exp"`
	}
	if err := json.Unmarshal(decoded, &claims); err != nil || claims.Expires == nil || *claims.Expires > identity.MaxUnixTime {
		return time.Time{}
	}
	return time.Unix(int64(max(*claims.Expires, 0)), 0)
}
