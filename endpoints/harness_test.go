// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/endpoints"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// server is an API server inside of a bubble. Each request is answered by the next step.
type server struct {
	mu    sync.Mutex
	steps []step
	asked []string // verbs and what else differs
	times []time.Time
}

// step answers one request: with an error, or with a body that a test writes.
type step func(ctx context.Context, query url.Values) (io.ReadCloser, error)

// Stream implements endpoints.Client. After the last step there is no API server any more.
func (s *server) Stream(ctx context.Context, verb, resource, path string, query url.Values) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := "endpointslices.discovery.k8s.io in ingress"; resource != want {
		return nil, fmt.Errorf("the resource is %s", resource)
	}
	if want := "apis/discovery.k8s.io/v1/namespaces/ingress/endpointslices"; path != want {
		return nil, fmt.Errorf("the path is %s", path)
	}
	if want := "kubernetes.io/service-name=front"; query.Get("labelSelector") != want {
		return nil, fmt.Errorf("the selector is %s", query.Get("labelSelector"))
	}
	said := verb
	for _, word := range []string{"sendInitialEvents", "resourceVersionMatch", "resourceVersion", "allowWatchBookmarks", "watch", "limit"} {
		if value := query.Get(word); value != "" {
			said += " " + word + "=" + value
		}
	}
	s.asked, s.times = append(s.asked, said), append(s.times, time.Now())
	if len(s.steps) == 0 {
		return nil, errRefused
	}
	next := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	} else {
		s.steps = nil
	}
	return next(ctx, query)
}

var errRefused = fmt.Errorf("connection refused")

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// watch is a body that stays open until the test, or the request's end, closes it.
type watch struct {
	write *io.PipeWriter
}

// says answers with frames, and stays open.
func (w *watch) says(frames ...string) step {
	return func(ctx context.Context, _ url.Values) (io.ReadCloser, error) {
		read, write := io.Pipe()
		w.write = write
		context.AfterFunc(ctx, func() { write.CloseWithError(context.Cause(ctx)) })
		go func() { _, _ = io.WriteString(write, strings.Join(frames, "")) }()
		return read, nil
	}
}

// send writes more, byte for byte.
func (w *watch) send(frames ...string) {
	_, _ = io.WriteString(w.write, strings.Join(frames, ""))
	synctest.Wait()
}

// breaks ends the body.
func (w *watch) breaks(err error) {
	_ = w.write.CloseWithError(err)
	synctest.Wait()
}

// ends is a watch that the API server ends at its time, over and over.
func ends(frames ...string) step {
	return func(ctx context.Context, query url.Values) (io.ReadCloser, error) {
		lasts, err := time.ParseDuration(query.Get("timeoutSeconds") + "s")
		if err != nil {
			return nil, err
		}
		read, write := io.Pipe()
		go func() {
			defer write.Close()
			_, _ = io.WriteString(write, strings.Join(frames, ""))
			select {
			case <-time.After(lasts):
			case <-ctx.Done():
			}
		}()
		return read, nil
	}
}

// answers ends the body behind a text.
func answers(text string) step {
	return func(context.Context, url.Values) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func fails(err error) step {
	return func(context.Context, url.Values) (io.ReadCloser, error) { return nil, err }
}

// slice is an EndpointSlice of the Service, all of whose endpoints are ready.
func slice(name, kind string, addrs ...string) string {
	var list []string
	for _, addr := range addrs {
		list = append(list, fmt.Sprintf(`{"addresses":[%q],"conditions":{"ready":true,"serving":true,"terminating":false}}`, addr))
	}
	return object(name, kind, strings.Join(list, ","))
}

// object is an EndpointSlice with endpoints as they are given.
func object(name, kind, list string) string {
	return fmt.Sprintf(`{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":%q,"namespace":"ingress",`+
		`"labels":{"kubernetes.io/service-name":"front"}},"addressType":%q,"endpoints":[%s]}`, name, kind, list)
}

func frame(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object) + "\n"
}

func added(object string) string    { return frame("ADDED", object) }
func modified(object string) string { return frame("MODIFIED", object) }
func deleted(object string) string  { return frame("DELETED", object) }

const (
	complete = `{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7",` +
		`"annotations":{"k8s.io/initial-events-end":"true"}},"endpoints":null}}` + "\n"
	alive = `{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"8"},"endpoints":null}}` + "\n"
	gone  = `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410}}` + "\n"
)

// watcher watches the Service ingress/front, and has a history of what it told.
type watcher struct {
	*endpoints.Watcher

	mu   sync.Mutex
	told []string
}

func start(tb testing.TB, s *server, hosts ...string) *watcher {
	tb.Helper()
	w := new(watcher)
	tell := func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, text)
	}
	var addrs []netip.Addr
	for _, host := range hosts {
		addrs = append(addrs, netip.MustParseAddr(host))
	}
	w.Watcher = endpoints.New(endpoints.Config{
		Client: s, Namespace: "ingress", Service: "front", Hosts: addrs,
		OnProblem: func(message string, err error) {
			if err != nil {
				message += ": " + err.Error()
			}
			tell(message)
		},
		OnChange: func(count int) { tell(fmt.Sprintf("%d endpoints", count)) },
		OnUse: func(err error) {
			if err != nil {
				tell("lost")
			} else {
				tell("back")
			}
		},
	})
	w.Start()
	tb.Cleanup(w.Close)
	synctest.Wait()
	return w
}

func (w *watcher) history() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.told...)
}

// trusts are the addresses that count now.
func (w *watcher) trusts() string {
	var texts []string
	for _, r := range w.Ranges(time.Now()) {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, " ")
}

// want compares the addresses that count, and why it is not known which do.
func (w *watcher) want(tb testing.TB, when, trusts, unavailable string) {
	tb.Helper()
	if got := w.trusts(); got != trusts {
		tb.Errorf("%s: %q count, want %q", when, got, trusts)
	}
	got := ""
	if err := w.Unavailable(time.Now()); err != nil {
		got = strings.TrimPrefix(err.Error(), "the endpoints of ingress/front are not known: ")
	}
	if got != unavailable {
		tb.Errorf("%s: %q, want %q", when, got, unavailable)
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// statusError is how the client of package kubernetes tells of a status.
func statusError(tb testing.TB, status int) error {
	tb.Helper()
	return &kubernetes.StatusError{Status: status, Err: fmt.Errorf("status %d", status)}
}
