// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// UserInfo is an identity as Kubernetes writes it in answers and in the audit log.
type UserInfo struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

// SelfSubjectReview asks the server directly which user a token belongs to. The user is
// set if the status is 201. An error means that there was no answer, or an unreadable
// one: a refused token is a status. The server caches an accepted token for ten seconds,
// even if its keys change meanwhile.
func (s *Server) SelfSubjectReview(ctx context.Context, token string) (status int, user UserInfo, err error) {
	const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	const review = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
	status, answer, err := s.send(ctx, s.anonymous, http.MethodPost, path, header, []byte(review))
	if err != nil || status != http.StatusCreated {
		return status, UserInfo{}, err
	}
	var reviewed struct {
		Status struct {
			UserInfo UserInfo `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &reviewed); err != nil {
		return status, UserInfo{}, fmt.Errorf("decoding the review: %w", err)
	}
	return status, reviewed.Status.UserInfo, nil
}
