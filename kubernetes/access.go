// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ResourceAttributes is what an access review asks about, in the words of
// authorization.k8s.io/v1. The package k8s.io/api/authorization costs 245 kB of binary.
type ResourceAttributes struct {
	Namespace   string `json:"namespace,omitempty"`
	Verb        string `json:"verb,omitempty"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Name        string `json:"name,omitempty"`
}

// accessReview is a SelfSubjectAccessReview.
type accessReview struct {
	Kind       string        `json:"kind"`
	APIVersion string        `json:"apiVersion"`
	Spec       accessSpec    `json:"spec"`
	Status     *accessStatus `json:"status,omitempty"`
}

type accessSpec struct {
	ResourceAttributes ResourceAttributes `json:"resourceAttributes"`
}

type accessStatus struct {
	Allowed *bool `json:"allowed"`
	Denied  bool  `json:"denied"`
}

const accessVersion = "authorization.k8s.io/v1"

// ReviewAccess asks whether a user may do something (SelfSubjectAccessReview,
// authorization.k8s.io/v1): the user as whom the API server sees a request with the fields as,
// which has to have Authorization and Impersonate-User. It is for a client without a credential
// of its own ([Config.Anonymous]).
//
// Every error wraps [identity.ErrUnavailable]. An answer that is not a SelfSubjectAccessReview,
// that names a field twice or does not say yes or no is an error.
func (c *Client) ReviewAccess(ctx context.Context, as http.Header, what ResourceAttributes) (allowed bool, err error) {
	const resource = "selfsubjectaccessreviews.authorization.k8s.io"
	if c.fault != nil {
		return false, unavailable(resource, c.fault)
	}
	authorization := as.Get("Authorization")
	if authorization == "" || as.Get("Impersonate-User") == "" { // it would be about another user
		return false, unavailable(resource, errors.New("there is no credential, or no user to ask about"))
	}
	_, secret, _ := strings.Cut(authorization, " ")
	call := creation{
		resource: resource,
		path:     "apis/" + accessVersion + "/selfsubjectaccessreviews",
		object:   &accessReview{Kind: "SelfSubjectAccessReview", APIVersion: accessVersion, Spec: accessSpec{what}},
		header:   as,
		secret:   secret,
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, body, err := c.post(within, call)
	c.answered(ctx, status, err)
	switch {
	case err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return false, unavailable(resource, fmt.Errorf("no answer within %v: %w", c.timeout, err))
	case err != nil:
		return false, unavailable(resource, err)
	case status != http.StatusOK && status != http.StatusCreated:
		return false, unavailable(resource, c.refused(call, status, body))
	}
	allowed, err = readAccess(body)
	if err != nil {
		return false, unavailable(resource, err)
	}
	return allowed, nil
}

// readAccess reads an answer. A missing field is not a no: the answer would be kept as one.
func readAccess(body []byte) (allowed bool, err error) {
	answer := new(accessReview)
	switch err := json.Unmarshal(body, answer); {
	case err != nil:
		return false, errors.New("the answer is not an object of the Kubernetes API")
	case hasRepeatedName(body):
		return false, errors.New("the answer names a field twice")
	case answer.Kind != "SelfSubjectAccessReview" || answer.APIVersion != accessVersion:
		return false, errOtherKind
	case answer.Status == nil || answer.Status.Allowed == nil:
		return false, errors.New("the answer does not say whether it is allowed")
	}
	return *answer.Status.Allowed && !answer.Status.Denied, nil
}
