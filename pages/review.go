// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/json"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// selfSubjectReview is the part of Kubernetes' object (authentication.k8s.io/v1) that
// kubectl auth whoami prints. The package k8s.io/api has more, and encodes empty fields
// otherwise.
type selfSubjectReview struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		CreationTimestamp string            `json:"creationTimestamp"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		UserInfo userInfo `json:"userInfo"`
	} `json:"status"`
}

type userInfo struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// The annotations. Values are texts, as Kubernetes wants; lists are JSON, since a name may have
// any separator in it.
const (
	annotation         = "caddy-kube-identity/"
	sourceAnnotation   = annotation + "source"
	expiresAnnotation  = annotation + "expires"
	sessionAnnotation  = annotation + "session-ends"
	emailAnnotation    = annotation + "email"
	nameAnnotation     = annotation + "name"
	leftOutAnnotation  = annotation + "groups-left-out"
	strippedAnnotation = annotation + "stripped"
	injectedAnnotation = annotation + "injected"
)

// review is the answer as JSON.
func review(passed *guest.Passed, now time.Time) ([]byte, error) {
	user := &passed.User
	r := &selfSubjectReview{Kind: "SelfSubjectReview", APIVersion: "authentication.k8s.io/v1"}
	r.Metadata.CreationTimestamp = now.UTC().Format(time.RFC3339)
	r.Status.UserInfo = userInfo{Username: user.Username, UID: user.UID, Groups: user.Groups, Extra: user.Extra}
	notes := map[string]string{sourceAnnotation: passed.Source}
	for name, text := range map[string]string{
		expiresAnnotation: moment(passed.Expires), sessionAnnotation: moment(passed.Session),
		emailAnnotation: user.Email, nameAnnotation: user.Name,
	} {
		if text != "" {
			notes[name] = text
		}
	}
	injected := make(map[string]string)
	for _, field := range passed.Injected {
		injected[field.Field] = "identity"
		if field.Credential {
			injected[field.Field] = "credential: yes"
		}
	}
	for name, list := range map[string]any{
		leftOutAnnotation: orEmpty(passed.LeftOut), strippedAnnotation: orEmpty(passed.Stripped), injectedAnnotation: injected,
	} {
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		notes[name] = string(text)
	}
	r.Metadata.Annotations = notes
	body, err := json.MarshalIndent(r, "", "  ")
	return append(body, '\n'), err
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// moment is a time as Kubernetes writes it; empty for the zero time.
func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
