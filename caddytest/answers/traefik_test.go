// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// hopByHop are the fields that Traefik and Envoy do not pass on.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// startTraefik does what Traefik 3.7 does with the middleware forwardAuth of docs/answers.md:
// pkg/middlewares/auth/forward.go, and the entry point before it, which removes the fields that a
// client names in Connection (pkg/server/server_entrypoint_tcp.go).
func (w *world) startTraefik(t *testing.T) string {
	t.Helper()
	page := between(t, read(t, "../../docs/answers.md"), "### Traefik\n\n```yaml\n", "```")
	var listed []string
	for _, line := range regexp.MustCompile(`(?m)^        - (\S+)$`).FindAllStringSubmatch(page, -1) {
		listed = append(listed, line[1])
	}
	prefixes := regexp.MustCompile(regexp.MustCompile(`authResponseHeadersRegex: (\S+)`).FindStringSubmatch(page)[1])
	if len(listed) != 3 || !strings.Contains(page, "trustForwardHeader: false") {
		t.Fatalf("the page lists %q", listed)
	}
	upstream := w.reverseProxy()
	return serve(t, func(rw http.ResponseWriter, r *http.Request) {
		removeNamed(r.Header)
		answer := w.ask(t, http.MethodGet, "/authorize", r.Host, describeToTraefiksAuthorizer(r))
		if answer.Status < 200 || answer.Status > 299 {
			passAnswer(rw, answer)
			return
		}
		for _, name := range listed {
			name = http.CanonicalHeaderKey(name)
			delete(r.Header, name)
			if lines := answer.Header[name]; len(lines) > 0 {
				r.Header[name] = lines
			}
		}
		for name := range r.Header {
			if prefixes.MatchString(name) {
				delete(r.Header, name)
			}
		}
		for name, lines := range answer.Header {
			if prefixes.MatchString(name) {
				r.Header[name] = lines
			}
		}
		delete(r.Header, "Authorization") // the middleware behind it
		upstream.ServeHTTP(rw, r)
	})
}

// describeToTraefiksAuthorizer is the header of Traefik's own request: all fields of the client's,
// and the description, which replaces the client's own.
func describeToTraefiksAuthorizer(r *http.Request) http.Header {
	header := r.Header.Clone()
	for _, name := range hopByHop {
		delete(header, name)
	}
	proto := "http"
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		proto = "ws"
	}
	for name, value := range map[string]string{
		"X-Forwarded-Method": r.Method, "X-Forwarded-Proto": proto, "X-Forwarded-Host": r.Host,
		"X-Forwarded-Uri": r.URL.RequestURI(), "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Port": "80",
	} {
		header[name] = []string{value}
	}
	return header
}

// removeNamed removes the fields that Connection names, and all of Connection but an upgrade.
func removeNamed(header http.Header) {
	upgrades := false
	for _, line := range header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(textproto.TrimString(name)); name == "Upgrade" {
				upgrades = true
				continue
			}
			delete(header, name)
		}
	}
	delete(header, "Connection")
	if upgrades {
		header["Connection"] = []string{"Upgrade"}
	}
}

// ask sends a front proxy's own request to the authorizer.
func (w *world) ask(t *testing.T, method, path, host string, header http.Header) testhandler.Reply {
	t.Helper()
	target, err := url.ParseRequestURI(path)
	if err != nil {
		t.Error(err)
		return testhandler.Reply{Status: http.StatusInternalServerError}
	}
	target.Scheme, target.Host = "http", w.authorizer
	r := (&http.Request{Method: method, URL: target, Host: host, Header: header}).WithContext(t.Context())
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return testhandler.Reply{Status: http.StatusInternalServerError}
	}
	defer answer.Body.Close()
	return testhandler.Reply{Status: answer.StatusCode, Header: answer.Header}
}

// passAnswer is for a client whose request is not forwarded.
func passAnswer(rw http.ResponseWriter, answer testhandler.Reply) {
	maps.Copy(rw.Header(), answer.Header)
	rw.WriteHeader(answer.Status)
}

// reverseProxy forwards a request as it is.
func (w *world) reverseProxy() http.Handler {
	to := &url.URL{Scheme: "http", Host: w.upstream.Addr}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
