// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

func TestReturnPath(t *testing.T) {
	for target, want := range map[string]bool{
		"/":                                    true,
		"/console/overview?namespaces=a,b&x=1": true,
		"/c/main/pods?q=a%2Fb&s=100%":          true,
		"/api/v1/services/https:kiali:20001/proxy//x": true,
		"/d/a%2Fb/c":                    true,
		"/?q={app=\"x\"}":               false,
		"/?q={app=%22x%22}":             true,
		"/pods/@me;v=1/~x/$(y)!*":       true,
		"/%E3%83%9D%E3%83%83%E3%83%89":  true,
		"/?to=//evil.example":           true,
		"/.well-known/x":                true,
		"/kube-identityx":               true,
		"/x/kube-identity/login":        true,
		"/" + strings.Repeat("x", 2047): true,
		"/" + strings.Repeat("x", 2048): false,
		"":                              false,
		"x":                             false,
		"?x":                            false,
		"*":                             false,
		"//evil":                        false,
		"///evil":                       false,
		`/\evil`:                        false,
		`\/evil`:                        false,
		`\\evil`:                        false,
		"/%09/evil":                     false,
		"/\t/evil":                      false,
		"/ /evil":                       false,
		"/%20/evil":                     false,
		`/./\evil`:                      false,
		"/.//evil":                      false,
		"/%2e//evil":                    false,
		"/x/..//evil":                   false,
		"/x/%2E%2e//evil":               false,
		"/x%2f..%2f%2fevil":             false,
		`/x/..%5cevil`:                  false,
		"/%2f%2fevil":                   false,
		"/%2fevil":                      false,
		"/%5cevil":                      false,
		"//%5cevil":                     false,
		"/%0d%0aX:y":                    false,
		"/x%0d%0aX:y":                   false,
		"/%0a/evil":                     false,
		"/%0b/evil":                     false,
		"/%00":                          false,
		"/%7f":                          false,
		"\x01javascript:x":              false,
		"%01javascript:x":               false,
		"javascript:x":                  false,
		"https:evil":                    false,
		"http:///evil":                  false,
		"https://good@evil":             false,
		"https://good.evil":             false,
		"https://evil#.good":            false,
		"https://evil?.good":            false,
		"good:443@evil":                 false,
		"http://a.example/":             false,
		"/〱evil":                        false,
		"〵evil":                         false,
		"/ゝevil":                        false,
		"/ーevil":                        false,
		"/ｰevil":                        false,
		"/／evil":                        false,
		"/<evil":                        false,
		"/\"onload":                     false,
		"/x#y":                          false,
		"/{env.SECRET}":                 false,
		"/x%zz":                         false,
		"/x%2":                          false,
		"/x\\y":                         false,
		"/x?y\\z":                       false,
		"/x\r\nSet-Cookie:y":            false,
		"/x?\x7f":                       false,
		"//evil/..":                     false,
		"/kube-identity":                false,
		"/kube-identity/":               false,
		"/kube-identity?x":              false,
		"/kube-identity/logout":         false,
		"/KUBE-identity/logout":         false,
		"/kube%2Didentity/logout":       false,
		"/kube-identity%2flogout":       false,
		"/x/../kube-identity/logout":    false,
		"/./kube-identity/logout":       false,
	} {
		got, err := session.ReturnPath(target, "/kube-identity")
		if (err == nil) != want || err == nil && got != target || err != nil && got != "" {
			t.Errorf("%q: %q, %v", target, got, err)
		}
	}
	if _, err := session.ReturnPath("/a/b/x", "/a/b"); err == nil {
		t.Error("an own path of two segments is a target")
	}
}

// FuzzReturnPath: a path that passes stays at this site, whether a browser resolves it against
// the page or finds it behind our scheme and host.
func FuzzReturnPath(f *testing.F) {
	for _, target := range []string{"/", "/x?y=z", "//evil", `/\evil`, "/%2fevil", "/.//x", "/%2e%2e/x", "/ーevil", "/x/%5c/..", "/kube-identity%2fx"} {
		f.Add(target)
	}
	base, _ := url.Parse("https://a.example/page")
	f.Fuzz(func(t *testing.T, target string) {
		got, err := session.ReturnPath(target, "/kube-identity")
		if err != nil {
			return
		}
		for _, location := range []string{got, "https://a.example" + got} {
			resolved, err := base.Parse(location)
			if err != nil {
				t.Fatalf("%q does not parse: %v", location, err)
			}
			if resolved.Host != "a.example" || resolved.Scheme != "https" || resolved.User != nil || resolved.Fragment != "" {
				t.Errorf("%q leads to %q", location, resolved)
			}
			raw, query, _ := strings.Cut(got, "?")
			if decoded, err := url.PathUnescape(raw); err != nil || resolved.Path != decoded || resolved.RawQuery != query {
				t.Errorf("%q is asked for as %q", got, resolved.RequestURI())
			}
			path := strings.ToLower(resolved.Path)
			if strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`) || path == "/kube-identity" || strings.HasPrefix(path, "/kube-identity/") {
				t.Errorf("%q leads to the path %q", location, path)
			}
		}
	})
}
