// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"sync"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// explainReviews has the report list what the API server is asked about the client's own
// Impersonate-*.
func (h *Handler) explainReviews(report *command.Report) {
	if h.reviews == nil {
		return
	}
	report.Reviewed = true
	var mu sync.Mutex
	h.reviews.reviewer.OnVerdict = func(what kubernetes.ResourceAttributes, err error) {
		mu.Lock()
		defer mu.Unlock()
		report.Reviews = append(report.Reviews, command.ReviewReport{What: what, Err: err})
	}
}
