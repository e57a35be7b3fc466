// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// startEnvoy does what Envoy does with the filter ext_authz of docs/answers.md and an HTTP service:
// source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc, and ext_authz.cc of the filter.
func (w *world) startEnvoy(t *testing.T) string {
	t.Helper()
	page := between(t, read(t, "../../docs/answers.md"), "### Envoy\n\n```yaml\n", "```")
	before, after, found := strings.Cut(page, "authorization_response:")
	if !found || !strings.Contains(page, "failure_mode_allow: false") || !strings.Contains(page, "path_prefix: /authorize\n") {
		t.Fatalf("the page has %s", page)
	}
	allowed, copied := envoyPatterns(t, before), envoyPatterns(t, after)
	upstream := w.reverseProxy()
	return serve(t, func(rw http.ResponseWriter, r *http.Request) {
		removeNamed(r.Header)
		header := http.Header{"Content-Length": {"0"}}
		for name, lines := range r.Header {
			if name == "Authorization" || allowed(name) {
				header[name] = lines
			}
		}
		answer := w.ask(t, r.Method, "/authorize"+r.RequestURI, r.Host, header)
		switch {
		case answer.Status >= http.StatusInternalServerError:
			rw.WriteHeader(http.StatusForbidden)
			return
		case answer.Status != http.StatusOK:
			passAnswer(rw, answer)
			return
		}
		for name, lines := range answer.Header {
			if copied(name) {
				r.Header[name] = lines[len(lines)-1:]
			}
		}
		for _, list := range answer.Header["X-Envoy-Auth-Headers-To-Remove"] {
			for name := range strings.SplitSeq(list, ",") {
				r.Header.Del(strings.TrimSpace(name))
			}
		}
		upstream.ServeHTTP(rw, r)
	})
}

// envoyPatterns reads the names and prefixes of a part of Envoy's configuration.
func envoyPatterns(t *testing.T, part string) func(string) bool {
	t.Helper()
	found := regexp.MustCompile(`- \{(exact|prefix): (\S+)\}`).FindAllStringSubmatch(part, -1)
	if len(found) < 3 {
		t.Fatalf("%d patterns are in %s", len(found), part)
	}
	return func(name string) bool {
		name = strings.ToLower(name)
		return slices.ContainsFunc(found, func(pattern []string) bool {
			return name == pattern[2] || pattern[1] == "prefix" && strings.HasPrefix(name, pattern[2])
		})
	}
}
