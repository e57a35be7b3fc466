// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

// ownTargets are request targets that upstreams may read as /kube-identity/callback.
func ownTargets() []string {
	return []string{
		"/kube-identity", "/kube-identity/", "/kube-identity/callback?code=x", "/KUBE-identity/callback", "/%6bube-identity/callback",
		"/%256bube-identity/callback", "//kube-identity/callback", "/x/../kube-identity/callback", "/x/..%2fkube-identity%2fcallback",
		"/./kube-identity/callback", `/x/..\kube-identity\callback`, "/x/%2e%2e/kube-identity/callback", "/x%5c..%5ckube-identity%5ccallback",
		"/kube-identity/x/../../kube-identity/callback", "/kube-identity%2fcallback", "/kube-identity/%2e%2e/kube-identity/callback",
		"http://dash.example/kube-identity/callback", "/x/%252e%252e/kube-identity/callback",
	}
}

func TestOwnPathsInAnySpelling(t *testing.T) {
	s := &sessions{options: &Session{Path: "/kube-identity"}}
	for _, target := range ownTargets() {
		asked, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if !s.owns(&http.Request{Method: http.MethodGet, URL: asked}) {
			t.Errorf("%s would be forwarded", target)
		}
	}
	for _, target := range []string{"/", "/kube-identit", "/kube-identityx", "/x/kube-identity/callback", "/x?/kube-identity/callback", "/kube-identity/..", "/kube-identity/../x"} {
		asked, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if s.owns(&http.Request{Method: http.MethodGet, URL: asked}) {
			t.Errorf("%s is not forwarded", target)
		}
	}
}

// FuzzOwnPath: a target that is forwarded is not an own path for an upstream that decodes it up to
// three times, and then or in between merges slashes, resolves dots, or both.
func FuzzOwnPath(f *testing.F) {
	for _, target := range ownTargets() {
		f.Add(target, "")
		f.Add("/x", target)
	}
	s := &sessions{options: &Session{Path: "/kube-identity"}}
	clean := []func(string) string{
		func(p string) string { return p },
		path.Clean,
		func(p string) string { return path.Clean(strings.ReplaceAll(p, `\`, "/")) },
		func(p string) string {
			for strings.Contains(p, "//") {
				p = strings.ReplaceAll(p, "//", "/")
			}
			return p
		},
	}
	f.Fuzz(func(t *testing.T, target, rewritten string) {
		asked, err := url.ParseRequestURI(target)
		if err != nil || s.owns(&http.Request{Method: http.MethodGet, URL: asked}) {
			return
		}
		readings := []string{asked.Path, asked.EscapedPath()}
		for range 3 {
			var more []string
			for _, reading := range readings {
				for _, of := range clean {
					cleaned := of(reading)
					lower := strings.ToLower(strings.TrimRight(cleaned, "/"))
					if lower == "/kube-identity" || strings.HasPrefix(lower, "/kube-identity/") {
						t.Fatalf("%q is forwarded, and read as %q", target, cleaned)
					}
					if decoded, err := url.PathUnescape(cleaned); err == nil && decoded != reading {
						more = append(more, decoded)
					}
				}
			}
			readings = more
		}
		if rewritten = path.Clean("/" + rewritten); s.isOwn(rewritten) && !s.owns(&http.Request{URL: &url.URL{Path: rewritten}}) {
			t.Errorf("the rewritten path %q would be forwarded", rewritten)
		}
	})
}
