// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// recording is the API server, with a record of the requests that it gets.
type recording struct {
	*httptest.Server
	testhandler.Recorder
}

func newRecording(t *testing.T, server *apiserver.Server) *recording {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Transport: testkube.Transport(t), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	}}
	r := new(recording)
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.Record(request)
		forward.ServeHTTP(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

// wantReview asserts all that the API server received of a question who the client is.
func (r *recording) wantReview(t *testing.T, answer testkube.Answer, fields http.Header) {
	t.Helper()
	want := testhandler.And(testhandler.Proxied(testkube.TrustedPeer, fields), "Content-Type", "application/json")
	want["Host"], want["X-Forwarded-Host"] = []string{r.Listener.Addr().String()}, []string{"kube.example"}
	r.WantOnly(t, "POST "+testkube.ReviewPath+"?mark="+answer.Mark, want)
}
