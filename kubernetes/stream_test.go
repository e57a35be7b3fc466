// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

func stream(ctx context.Context, client *kubernetes.Client) (io.ReadCloser, error) {
	return client.Stream(ctx, "watch", "configmaps in default", "api/v1/namespaces/default/configmaps", url.Values{"watch": {"true"}, "labelSelector": {"a=b&c"}})
}

// The lines of a stream arrive one by one, and the stream ends with its context.
func TestAStreamIsReadAsItComes(t *testing.T) {
	next, ended := make(chan string), make(chan struct{})
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/namespaces/default/configmaps" || r.ProtoMajor != 1 ||
			r.URL.Query().Get("watch") != "true" || r.URL.Query().Get("labelSelector") != "a=b&c" || r.Header.Get("Authorization") != "Bearer own" {
			t.Errorf("asked: %s %s %s", r.Method, r.URL, r.Proto)
		}
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case line := <-next:
				_, _ = io.WriteString(w, line+"\n")
			case <-r.Context().Done():
				return
			}
		}
	})
	client := open(t, kubernetes.Config{
		Kubeconfig: kubeconfig(t, clusterOf(server), map[string]any{"token": "own"}), Timeout: 100 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	body, err := stream(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for _, want := range []string{"one", "two"} {
		time.Sleep(150 * time.Millisecond) // longer than the timeout of a call
		next <- want
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, want %q: %v", lines.Text(), want, lines.Err())
		}
	}
	cancel()
	if lines.Scan() || !errors.Is(lines.Err(), context.Canceled) {
		t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
	}
	<-ended
}

func TestAStreamThatIsRefused(t *testing.T) {
	const message = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"User \"caddy\" cannot watch"}`
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
		want    string
	}{
		"without the right":                  {answer(403, message), 403, `the API server does not allow the proxy to watch configmaps in default (status 403): "User \"caddy\" cannot watch"`},
		"with a credential that is not good": {answer(401, ""), 401, "the API server refuses the proxy's own credential (status 401)"},
		"busy":                               {answer(429, ""), 429, "the API server is busy (status 429)"},
		"a version that is too old":          {answer(410, ""), 410, "the API server answers with an error (status 410)"},
		"an answer without a body":           {answer(204, ""), 204, "the API server answers with an error (status 204)"},
		"a redirect is not followed":         {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 302, "the API server redirects, which is not followed (status 302)"},
		"a body without end behind a status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("SECRET", 10000))
			}
		}, 500, "the API server answers with an error (status 500)"},
		"a status whose body does not come": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 500, "the API server answers with an error (status 500)"},
		"no answer": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "no answer within 200ms: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, test.handler)
			client := open(t, kubernetes.Config{
				Kubeconfig: kubeconfig(t, clusterOf(server), map[string]any{"token": "own"}), Timeout: 200 * time.Millisecond,
			})
			var answered []error
			client.Watch(func(err error) { answered = append(answered, err) })
			body, err := stream(t.Context(), client)
			if err == nil {
				body.Close()
				t.Fatal("there is no error")
			}
			status, _ := errors.AsType[*kubernetes.StatusError](err)
			if err.Error() != test.want || (status != nil) != (test.status != 0) || status != nil && status.Status != test.status {
				t.Errorf("%v, want %s", err, test.want)
			}
			if len(answered) != 1 || (answered[0] == nil) != (test.status != 0 && test.status < 500) {
				t.Errorf("who watches learns %v", answered)
			}
		})
	}
}

// A caller that gives up is not an outage of the API server.
func TestAStreamThatIsGivenUp(t *testing.T) {
	server := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	client := newClient(t, server)
	client.Watch(func(err error) { t.Errorf("who watches learns %v", err) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := stream(ctx, client); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
