// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// ReviewToken asks which user a token belongs to (TokenReview, authentication.k8s.io/v1).
// With audiences, the token must be for one of them; without, for the API server itself.
// The answer is returned as it is: the caller checks it, and must not ask about an empty
// token.
//
// Every error wraps [identity.ErrUnavailable]. An answer that is not a TokenReview, or that
// names a field twice, is an error; an answer that the token is bad is not.
func (c *Client) ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
	const resource = "tokenreviews.authentication.k8s.io"
	answer, body, err := c.create(ctx, creation{
		resource: resource,
		path:     "apis/authentication.k8s.io/v1/tokenreviews",
		object: &authenticationv1.TokenReview{
			TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
			Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
		},
		secret: token,
	})
	if err != nil {
		return nil, unavailable(resource, err)
	}
	review, ok := answer.(*authenticationv1.TokenReview)
	if !ok {
		return nil, unavailable(resource, errOtherKind)
	}
	// The API server's answer about a bad token is just {"user":{}}, so the presence of
	// status is checked, and not its content.
	var members map[string]json.RawMessage // a struct would take "Status" too, which the decoder does not
	if err := json.Unmarshal(body, &members); err != nil || members["status"] == nil || string(members["status"]) == "null" {
		return nil, unavailable(resource, errors.New("the answer has no status"))
	}
	return &review.Status, nil
}

// RequestToken requests a token of a service account (TokenRequest, the subresource
// token) and returns its expiry. Without audiences it is for the API server. The API
// server grants ten minutes at least, an hour when expiration is 0, and possibly another
// time than the requested one. The error wraps [identity.ErrUnavailable].
func (c *Client) RequestToken(
	ctx context.Context, namespace, name string, audiences []string, expiration time.Duration,
) (token string, expires time.Time, err error) {
	const resource = "serviceaccounts/token"
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		err := fmt.Errorf("%s in %s is not the name of a service account", identity.Quote(name), identity.Quote(namespace))
		return "", time.Time{}, unavailable(resource, err)
	}
	request := &authenticationv1.TokenRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenRequest"},
		Spec:     authenticationv1.TokenRequestSpec{Audiences: audiences},
	}
	if expiration != 0 {
		seconds := int64(expiration / time.Second)
		request.Spec.ExpirationSeconds = &seconds
	}
	answer, _, err := c.create(ctx, creation{
		resource: resource + " of " + namespace + "/" + name,
		path:     "api/v1/namespaces/" + namespace + "/serviceaccounts/" + name + "/token",
		object:   request,
	})
	if err != nil {
		return "", time.Time{}, unavailable(resource, err)
	}
	granted, ok := answer.(*authenticationv1.TokenRequest)
	if !ok {
		return "", time.Time{}, unavailable(resource, errOtherKind)
	}
	token, expires = granted.Status.Token, granted.Status.ExpirationTimestamp.Time
	switch {
	case len(token) > identity.MaxToken || !identity.IsBearerToken(token):
		return "", time.Time{}, unavailable(resource, errors.New("the answer has no token"))
	case expires.IsZero():
		return "", time.Time{}, unavailable(resource, errors.New("the answer has no expirationTimestamp"))
	case !expires.After(time.Now()):
		err := fmt.Errorf("the token in the answer expired at %s", expires.UTC().Format(time.RFC3339))
		return "", time.Time{}, unavailable(resource, err)
	}
	return token, expires, nil
}

// unavailable wraps the error of a call.
func unavailable(resource string, err error) error {
	return fmt.Errorf("%w: creating %s: %w", identity.ErrUnavailable, resource, err)
}
