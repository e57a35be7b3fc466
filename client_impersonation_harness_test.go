// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// rights is a stand-in for the API server that answers SelfSubjectAccessReviews.
type rights struct {
	*httptest.Server

	mu      sync.Mutex
	allowed map[string]bool  // "user resource name"
	asked   []string         // the same, of each question
	instead http.HandlerFunc // not nil: answers everything
}

func newRights(t *testing.T, allowed ...string) *rights {
	t.Helper()
	r := &rights{allowed: make(map[string]bool)}
	for _, right := range allowed {
		r.allowed[right] = true
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.serve(t, w, q) }))
	t.Cleanup(r.Close)
	return r
}

func (r *rights) serve(t *testing.T, w http.ResponseWriter, q *http.Request) {
	t.Helper()
	var review struct {
		Spec struct {
			ResourceAttributes struct{ Verb, Resource, Subresource, Name string }
		}
	}
	if err := json.NewDecoder(q.Body).Decode(&review); err != nil || review.Spec.ResourceAttributes.Verb != "impersonate" ||
		q.URL.Path != "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
		t.Errorf("the API server is asked %s %s: %+v, %v", q.Method, q.URL, review, err)
	}
	if got := q.Header["Authorization"]; !slices.Equal(got, []string{"Bearer " + testhandler.OwnToken}) {
		t.Error("the API server is asked with another credential than the injector's")
	}
	what := &review.Spec.ResourceAttributes
	line := q.Header.Get("Impersonate-User") + " " + strings.TrimSuffix(what.Resource+"/"+what.Subresource, "/") + " " + what.Name
	r.mu.Lock()
	r.asked = append(r.asked, line)
	instead, allowed := r.instead, r.allowed[line]
	r.mu.Unlock()
	if instead != nil {
		instead(w, q)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(object{
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": object{"allowed": allowed},
	})
}

func (r *rights) answers(instead http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instead = instead
}

// take returns the questions since the last call.
func (r *rights) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	slices.Sort(asked)
	return asked
}

// kubeconfig is for this API server, with a credential that must not be used.
func (r *rights) kubeconfig(t *testing.T) string {
	t.Helper()
	return testreview.JSONFile(t, object{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []any{object{"name": "c", "cluster": object{"server": r.URL}}},
		"users":    []any{object{"name": "c", "user": object{"token": "not-to-be-used"}}},
		"contexts": []any{object{"name": "c", "context": object{"cluster": "c", "user": "c"}}},
	})
}

// acting is a handler whose clients may act as others, with more options.
func acting(t *testing.T, r *rights, more object) object {
	t.Helper()
	config := object{
		"trusted_proxies":      object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"client_impersonation": "review",
		"kubernetes":           object{"kubeconfig": r.kubeconfig(t)},
		"sources": []any{
			object{
				"source": "forwarded", "user": []string{"X-Forwarded-User"}, "groups": []string{"X-Forwarded-Groups"},
				"email": []string{"X-Forwarded-Email"},
			},
			object{"source": "anonymous"},
		},
		"injectors": []any{object{"injector": "impersonation", "token_file": testhandler.TokenFile(t)}},
	}
	maps.Copy(config, more)
	return config
}

// sent is what the upstream receives of an identity.
func sent(header http.Header) http.Header {
	found := make(http.Header)
	for name, lines := range header {
		if strings.HasPrefix(name, "Impersonate-") || name == "Authorization" {
			found[name] = lines
		}
	}
	return found
}
