// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestAConfigurationThatOtherMachinesCouldUseDoesNotLoad(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h *Handler)
		says   string
	}{
		"no issuer":                      {func(h *Handler) { h.URL = "" }, "url: "},
		"an issuer on all addresses":     {func(h *Handler) { h.URL = "http://0.0.0.0:8083" }, "not a loopback address"},
		"an issuer on all, IPv6":         {func(h *Handler) { h.URL = "http://[::]:8083" }, "not a loopback address"},
		"an issuer on a private address": {func(h *Handler) { h.URL = "http://192.168.1.2:8083" }, "not a loopback address"},
		"an issuer with a name":          {func(h *Handler) { h.URL = "http://issuer.example:8083" }, "not a loopback address"},
		"a name that begins like one":    {func(h *Handler) { h.URL = "http://127.0.0.1.example:8083" }, "not a loopback address"},
		"a name that ends like one":      {func(h *Handler) { h.URL = "http://issuer-localhost:8083" }, "not a loopback address"},
		"an issuer with https":           {func(h *Handler) { h.URL = "https://127.0.0.1:8083" }, "not http://"},
		"an issuer with a path":          {func(h *Handler) { h.URL += "/" }, "not http://"},
		"an issuer with a query":         {func(h *Handler) { h.URL += "?a" }, "not http://"},
		"an issuer with a fragment":      {func(h *Handler) { h.URL += "#" }, "not http://"},
		"an issuer with a user":          {func(h *Handler) { h.URL = "http://a@127.0.0.1:8083" }, "not http://"},
		"an issuer in capitals":          {func(h *Handler) { h.URL = "http://LOCALHOST:8083" }, "not http://"},
		"an issuer with a port too high": {func(h *Handler) { h.URL = "http://127.0.0.1:65536" }, "port"},
		"an issuer that is not a url":    {func(h *Handler) { h.URL = "http://127.0.0.1:a" }, "not a url"},
		"no client":                      {func(h *Handler) { h.ClientID = "" }, "client_id: "},
		"a client with a space":          {func(h *Handler) { h.ClientID = "a b" }, "client_id: "},
		"no redirect URL":                {func(h *Handler) { h.RedirectURLs = nil }, "redirect_url: it is missing"},
		"a redirect URL elsewhere":       {func(h *Handler) { h.RedirectURLs = append(h.RedirectURLs, "https://dash.example/back") }, "redirect_url: the host"},
		"a redirect URL like localhost":  {func(h *Handler) { h.RedirectURLs = []string{"https://evil-localhost/back"} }, "redirect_url: the host"},
		"a redirect URL with a user":     {func(h *Handler) { h.RedirectURLs = []string{"http://localhost@localhost/back"} }, "redirect_url: "},
		"a redirect URL with a fragment": {func(h *Handler) { h.RedirectURLs = []string{returnURL + "#"} }, "redirect_url: "},
		"a redirect URL without a path":  {func(h *Handler) { h.RedirectURLs = []string{"http://localhost"} }, "redirect_url: "},
		"a redirect URL with a script":   {func(h *Handler) { h.RedirectURLs = []string{"javascript://localhost/alert(1)"} }, "redirect_url: "},
		"a logout URL elsewhere":         {func(h *Handler) { h.PostLogoutURLs = []string{"https://dash.example/"} }, "post_logout_url: the host"},
		"a secret that is not there":     {func(h *Handler) { h.ClientSecretFile = t.TempDir() + "/none" }, "reading client_secret_file: "},
		"a secret that is empty":         {func(h *Handler) { h.ClientSecretFile = "/dev/null" }, "reading client_secret_file: "},
	} {
		t.Run(name, func(t *testing.T) {
			h := settings()
			c.change(h)
			if b, err := tryLoad(t, h); err == nil || !strings.Contains(err.Error(), c.says) || b.state != nil {
				t.Errorf("the error is %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestAConfigurationOfThisMachineLoads(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:8083", "http://127.1.2.3", "http://localhost:1", "http://[::1]:8083"} {
		h := settings()
		h.URL = url
		h.RedirectURLs = []string{"http://localhost/", "https://a.localhost:9/b?c", "http://[::1]:1/a", "http://127.0.0.1/a"}
		b := load(t, h)
		r := request(http.MethodGet, discoveryPath, "")
		r.Host = strings.TrimPrefix(url, "http://")
		if got := b.ask(t, r); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `"issuer":"`+url+`"`) {
			t.Errorf("got %d %s", got.StatusCode, got.body)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	b := load(t, settings())
	at := func(address string) func(r *http.Request) {
		return func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(address), Port: 8083}))
		}
	}
	for name, c := range map[string]struct {
		change func(r *http.Request)
		status int
		says   string
	}{
		"a client of another machine":                {func(r *http.Request) { r.RemoteAddr = "192.168.1.2:50000" }, http.StatusForbidden, "loopback"},
		"a client of another machine, mapped":        {func(r *http.Request) { r.RemoteAddr = "[::ffff:192.168.1.2]:50000" }, http.StatusForbidden, "loopback"},
		"a client without an address":                {func(r *http.Request) { r.RemoteAddr = "@" }, http.StatusForbidden, "loopback"},
		"at an address of the network":               {at("192.168.1.2"), http.StatusForbidden, "loopback"},
		"at an IPv6 address of the network":          {at("fd00::1"), http.StatusForbidden, "loopback"},
		"at an address that is not known":            {func(r *http.Request) { *r = *r.WithContext(t.Context()) }, http.StatusForbidden, "loopback"},
		"by a proxy":                                 {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") }, http.StatusForbidden, "proxy"},
		"by a proxy of RFC 7239":                     {func(r *http.Request) { r.Header.Set("Forwarded", "for=127.0.0.1") }, http.StatusForbidden, "proxy"},
		"by a name of an attacker's (DNS rebinding)": {func(r *http.Request) { r.Host = "evil.example:8083" }, http.StatusMisdirectedRequest, "http://127.0.0.1:8083 only"},
		"by another name of this machine":            {func(r *http.Request) { r.Host = "localhost:8083" }, http.StatusMisdirectedRequest, "http://127.0.0.1:8083 only"},
		"by another port":                            {func(r *http.Request) { r.Host = "127.0.0.1:8084" }, http.StatusMisdirectedRequest, "http://127.0.0.1:8083 only"},
		"without a host":                             {func(r *http.Request) { r.Host = "" }, http.StatusMisdirectedRequest, "http://127.0.0.1:8083 only"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{discoveryPath, keysPath, target(), logoutPath, "/"} {
				r := request(http.MethodGet, path, "")
				c.change(r)
				got := b.ask(t, r)
				if got.StatusCode != c.status || !strings.Contains(got.body, c.says) || strings.Contains(got.body, "alice") {
					t.Errorf("%s: got %d %s", path, got.StatusCode, got.body)
				}
			}
		})
	}
}

func TestMethods(t *testing.T) {
	b := load(t, settings())
	for path, allow := range map[string]string{
		discoveryPath: "GET, HEAD", keysPath: "GET, HEAD", authorizationPath: "GET, POST", logoutPath: "GET, POST",
		tokenPath: "POST", revocationPath: "POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			got := b.ask(t, request(method, path, ""))
			isAllowed := strings.Contains(allow, method)
			if refused := got.StatusCode == http.StatusMethodNotAllowed; refused == isAllowed || refused && got.Header.Get("Allow") != allow {
				t.Errorf("%s %s: got %d, Allow %q", method, path, got.StatusCode, got.Header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/", "/favicon.ico", "/demo-issuer", "/demo-issuer/authorize/", "/demo-issuer//token", "/Demo-Issuer/token"} {
		b.ask(t, request(http.MethodGet, path, "")).wantPage(t, http.StatusNotFound, "There is no page here")
	}
}
