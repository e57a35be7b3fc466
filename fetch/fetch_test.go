// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// serve starts a server, and returns its URL and a transport to it.
func serve(t *testing.T, handler http.HandlerFunc) (*url.URL, *http.Transport) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := fetch.NewTransport(fetch.Options{Timeout: 5 * time.Second})
	t.Cleanup(transport.CloseIdleConnections)
	u, err := fetch.ParseURL(server.URL + "/path?query")
	if err != nil {
		t.Fatal(err)
	}
	return u, transport
}

func limit(bytes int64) fetch.Limit { return fetch.Limit{Bytes: bytes, Time: 5 * time.Second} }

func TestRequestSaysNothingOfTheProxy(t *testing.T) {
	u, transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Age", "60")
		fmt.Fprintf(w, "%s %s %q %q %q", r.Method, r.URL, body, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"))
		for _, name := range []string{"Accept-Encoding", "Cookie", "Authorization", "Referer"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s: %q", name, r.Header.Get(name))
			}
		}
	})
	content, header, err := fetch.Get(t.Context(), transport, u, limit(100))
	if want := `GET /path?query "" "" "caddy-kube-identity"`; err != nil || string(content) != want || header.Get("Age") != "60" {
		t.Errorf("%q, %v, %v, want %q", content, header, err, want)
	}
	content, err = fetch.Post(t.Context(), transport, u, "text/plain", []byte("body"), limit(100))
	if want := `POST /path?query "body" "text/plain" "caddy-kube-identity"`; err != nil || string(content) != want {
		t.Errorf("%q, %v, want %q", content, err, want)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		handler     http.HandlerFunc
		want        string
		unreachable bool
	}{
		"as long as the limit": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") }, "", false},
		"a byte longer":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }, "the answer is larger than 5 bytes", false},
		"without an end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}, "the answer is larger than 5 bytes", false},
		"another status":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusTeapot) }, "status 418", false},
		"a part":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) }, "status 206", false},
		"a cut connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection ended before the answer did", true},
		"a cut body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "123")
		}, "the connection ended before the answer did", true},
	} {
		t.Run(name, func(t *testing.T) {
			u, transport := serve(t, test.handler)
			content, _, err := fetch.Get(t.Context(), transport, u, limit(5))
			if test.want == "" {
				if err != nil || string(content) != "12345" {
					t.Errorf("%q, %v", content, err)
				}
				return
			}
			if err == nil || err.Error() != fmt.Sprintf("asking %q: %s", u.Host, test.want) || content != nil || errors.Is(err, fetch.ErrUnreachable) != test.unreachable {
				t.Errorf("%q, %v, want %s", content, err, test.want)
			}
		})
	}
}

// The caller of Do reads why a request failed, and nobody else: the error of a body that is
// too long shows nothing of the request or the answer. The credential is the caller's.
func TestDoReturnsAnswersOfAnyStatus(t *testing.T) {
	for status, body := range map[int]string{200: "fine", 302: "", 400: "bad", 401: "who", 500: "down"} {
		u, transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			content, _ := io.ReadAll(r.Body)
			if user, password, ok := r.BasicAuth(); !ok || user != "id" || password != "secret" || string(content) != "a=b" {
				t.Errorf("%s, %s, %q", user, password, content)
			}
			w.Header().Set("Location", "/followed")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader("a=b"))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("id", "secret")
		answer, err := fetch.Do(transport, request, limit(5))
		if err != nil || answer.Status != status || string(answer.Body) != body || answer.Header.Get("Location") != "/followed" {
			t.Errorf("%d: %+v, %v", status, answer, err)
		}
		if request.Header.Get("User-Agent") != "" {
			t.Error("the caller's request was changed")
		}
	}
	u, transport := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "hidden", http.StatusBadRequest) })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.String(), strings.NewReader("a=hidden"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := fetch.Do(transport, request, limit(5))
	if want := fmt.Sprintf("asking %q: the answer is larger than 5 bytes", u.Host); answer != nil || err == nil || err.Error() != want {
		t.Errorf("%+v, %v, want %s", answer, err, want)
	}
}

// A server that redirects would choose the address that the proxy asks (CVE-2022-3172).
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var asked atomic.Int64
		u, transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Location", "/followed")
			w.WriteHeader(status)
		})
		_, _, err := fetch.Get(t.Context(), transport, u, limit(5))
		if got, ok := errors.AsType[fetch.StatusError](err); !ok || int(got) != status || asked.Load() != 1 {
			t.Errorf("%d: %v after %d requests", status, err, asked.Load())
		}
	}
}

func TestRequestEndsWithItsTimeAndItsContext(t *testing.T) {
	u, transport := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := fetch.Post(t.Context(), transport, u, "", nil, fetch.Limit{Bytes: 5, Time: 50 * time.Millisecond})
	if !errors.Is(err, fetch.ErrUnreachable) || !strings.HasSuffix(err.Error(), ": no whole answer within 50ms") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	closed := errors.New("closed")
	time.AfterFunc(50*time.Millisecond, func() { cancel(closed) })
	_, err = fetch.Post(ctx, transport, u, "", nil, limit(5))
	if !errors.Is(err, fetch.ErrUnreachable) || !errors.Is(err, closed) || !strings.HasSuffix(err.Error(), ": closed") {
		t.Error(err)
	}
}

// late answers when the request has ended, like a server that sees the connection close and
// whose empty answer is read before the connection is.
type late struct{}

func (late) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}, nil
}

func TestAnswerAfterTheEndOfTheRequestIsNotAnAnswer(t *testing.T) {
	u, err := fetch.ParseURL("http://127.0.0.1/")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = fetch.Get(t.Context(), late{}, u, fetch.Limit{Bytes: 100, Time: time.Millisecond})
	if want := `asking "127.0.0.1": no whole answer within 1ms`; !errors.Is(err, fetch.ErrUnreachable) || err.Error() != want {
		t.Errorf("after its time: %v, want %s", err, want)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("given up"))
	_, _, err = fetch.Get(ctx, late{}, u, limit(100))
	if want := `asking "127.0.0.1": given up`; !errors.Is(err, fetch.ErrUnreachable) || err.Error() != want {
		t.Errorf("when canceled: %v, want %s", err, want)
	}
}

// A name in a certificate resolves to an address behind the proxy.
func TestGuardedTransportDoesNotConnect(t *testing.T) {
	var asked atomic.Int64
	u, _ := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	refusal := errors.New("not a public address")
	guarded := fetch.NewTransport(fetch.Options{Timeout: 5 * time.Second, Guard: fetch.PublicOnly(refusal)})
	for _, host := range []string{u.Hostname(), "localhost"} {
		to := *u
		to.Host = strings.Replace(u.Host, u.Hostname(), host, 1)
		if _, _, err := fetch.Get(t.Context(), guarded, &to, limit(5)); !errors.Is(err, refusal) || !errors.Is(err, fetch.ErrUnreachable) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// The proxy of the environment is used only on request: it connects past the guard.
func TestProxyIsUsedOnDemandOnly(t *testing.T) {
	if fetch.NewTransport(fetch.Options{}).Proxy != nil {
		t.Error("there is a proxy")
	}
	if fetch.NewTransport(fetch.Options{Proxy: true}).Proxy == nil {
		t.Error("there is no proxy")
	}
}
