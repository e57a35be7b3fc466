// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Cluster is an API server that only reviews tokens, and makes tokens of service accounts,
// except for the audience "nobody".
type Cluster struct {
	*httptest.Server

	// Users are the names of the users, by token.
	Users map[string]string
	// Reviewed and Granted count the reviews and the tokens that were made.
	Reviewed, Granted atomic.Int64
	// Expires is when the last of these tokens expires, in seconds.
	Expires atomic.Int64
	// Down makes it answer 500.
	Down atomic.Bool
}

// NewCluster starts an API server, which ends with the test.
func NewCluster(tb testing.TB, users map[string]string) *Cluster {
	tb.Helper()
	c := &Cluster{Users: users}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Spec struct {
				Token     string
				Audiences []string
			}
		}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		w.Header().Set("Connection", "close") // in a bubble no time passes while a connection is open
		switch {
		case c.Down.Load() || slices.Contains(asked.Spec.Audiences, "nobody"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
			c.review(w, asked.Spec.Token)
		default:
			c.grant(w, strings.ReplaceAll(r.URL.Path, "/", "."))
		}
	}))
	tb.Cleanup(c.Close)
	return c
}

func (c *Cluster) review(w http.ResponseWriter, token string) {
	c.Reviewed.Add(1)
	name := c.Users[token]
	status := Object{"authenticated": name != "", "user": Object{"username": name}}
	if name == "" {
		status = Object{"error": "no such token: " + token} // the token must not be logged
	}
	reply(w, "TokenReview", status)
}

func (c *Cluster) grant(w http.ResponseWriter, path string) {
	n, expires := c.Granted.Add(1), time.Now().Add(time.Hour)
	c.Expires.Store(expires.Unix())
	reply(w, "TokenRequest", Object{
		"token": fmt.Sprintf("granted-for%s-%d", path, n), "expirationTimestamp": expires.UTC().Format(time.RFC3339),
	})
}

func reply(w http.ResponseWriter, kind string, status Object) {
	_ = json.NewEncoder(w).Encode(Object{"apiVersion": "authentication.k8s.io/v1", "kind": kind, "status": status})
}

// Kubernetes is the option kubernetes for this API server, with more options.
func (c *Cluster) Kubernetes(tb testing.TB, options Object) Object {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	Write(tb, path, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}],
		"users": [{"name": "c", "user": {"token": "the-proxys-own"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}`, c.URL))
	k := Object{"kubeconfig": path}
	maps.Copy(k, options)
	return k
}
