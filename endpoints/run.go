// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	serviceLabel = "kubernetes.io/service-name"
	resource     = "endpointslices.discovery.k8s.io"

	// shortestWatch and spread are how long a watch lasts: at random, so that proxies that were
	// started together do not come back together. It is well below StaleAfter: while nothing
	// changes, the end of a watch is the only sign of life.
	shortestWatch = 25 * time.Second
	spread        = 10 * time.Second

	// grace is how long the API server may take to end a watch at its time.
	grace = 5 * time.Second

	// toBegin is how long the initial slices may take.
	toBegin = 10 * time.Second

	// soon is how long a watch lasts at least: one that ends earlier is a failure, after which
	// there is a pause.
	soon = 5 * time.Second

	// longestPause is the longest wait after a failure: one of a minute would be as long as
	// the addresses count.
	longestPause = 10 * time.Second
)

var (
	errEndsAtOnce = errors.New("the API server ends each watch at once")
	errNoBookmark = errors.New("the initial EndpointSlices were not all there in time")
	errBroke      = errors.New("the watch broke")
	errSilent     = errors.New("the API server does not end the watch at its time, and is out of reach")
)

// run watches until ctx ends.
func (w *Watcher) run(ctx context.Context) {
	down := outage.Outage{OnProblem: w.config.OnProblem, Over: "the endpoints are watched again"}
	for ctx.Err() == nil {
		began := time.Now()
		err := w.watch(ctx, func() {
			w.setProblem(nil)
			down.End()
		})
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && time.Since(began) >= soon:
			continue
		case err == nil:
			err = errEndsAtOnce
		}
		w.setProblem(err)
		if errors.Is(err, errTooManySlices) {
			w.refuse(err)
		}
		down.Failed("the endpoints cannot be watched", err)
		pause(ctx, down.Retry())
	}
}

func (w *Watcher) setProblem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = err
}

// pause waits for some time, and less if that is long.
func pause(ctx context.Context, delay time.Duration) {
	if delay > longestPause {
		delay = longestPause - rand.N(longestPause/4) //nolint:gosec // it spreads load and is no secret
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch gets all slices and follows their changes until the watch ends, which is not an error
// at its time. complete is called when all are there.
func (w *Watcher) watch(ctx context.Context, complete func()) error {
	lasts := (shortestWatch + rand.N(spread)).Truncate(time.Second) //nolint:gosec // as above
	within, cancel := context.WithTimeout(ctx, lasts+grace)
	defer cancel()
	query := url.Values{
		"watch":               {"true"},
		"allowWatchBookmarks": {"true"},
		"timeoutSeconds":      {strconv.Itoa(int(lasts / time.Second))},
	}
	all := make(known)
	if w.lists {
		version, err := w.list(within, all)
		if err != nil {
			return err
		}
		query.Set("resourceVersion", version)
	} else {
		query.Set("sendInitialEvents", "true")
		query.Set("resourceVersionMatch", "NotOlderThan")
	}
	late := time.AfterFunc(toBegin, cancel)
	defer late.Stop()
	body, err := w.stream(within, "watch", query)
	if err != nil {
		w.lists = w.lists || isInvalid(err)
		return err
	}
	defer body.Close()
	begin := func() {
		late.Stop()
		complete()
		w.publish(all)
	}
	if w.lists {
		begin()
	}
	began, err := w.follow(body, all, w.lists, begin)
	switch {
	case !began && within.Err() != nil && ctx.Err() == nil: // also one that sends the slices, and does not know the bookmark
		w.lists = true
		return errNoBookmark
	case within.Err() != nil:
		return errSilent
	case !began && err == nil:
		return errNoBookmark
	case began && (err == nil || errors.Is(err, errBroke)):
		w.confirm() // of a change until now there would have been a frame
	}
	return err
}

// follow reads frames until the body ends. It calls begin at the bookmark after the initial slices, unless
// these are there, and says whether all were there.
func (w *Watcher) follow(body io.Reader, all known, began bool, begin func()) (bool, error) {
	lines := frames(body)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		f, err := parseFrame(lines.Bytes())
		switch {
		case err != nil:
			return began, err
		case f.Type != bookmark:
			if err := all.change(f, w.of); err != nil {
				return began, err
			}
			if began {
				w.publish(all)
			}
		case began:
			w.confirm()
		case f.Object.Metadata.Annotations[initialEnd] == "true":
			began = true
			begin()
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return began, fmt.Errorf("a frame of the watch is larger than %d bytes", maxFrame)
	case err != nil:
		return began, fmt.Errorf("%w: %w", errBroke, err)
	default:
		return began, nil
	}
}

// list gets all slices, for an API server whose watches do not begin with them.
func (w *Watcher) list(ctx context.Context, all known) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, toBegin)
	defer cancel()
	body, err := w.stream(ctx, "list", url.Values{"limit": {strconv.Itoa(maxSlices)}})
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, maxList+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the list: %w", err)
	case len(content) > maxList:
		return "", errTooManySlices
	}
	l, err := parseList(content)
	if err != nil {
		return "", err
	}
	return l.Metadata.ResourceVersion, all.fill(l)
}

// maxList is how long a list may be, in bytes: one of MaxEndpoints has less than a tenth of it.
const maxList = 16 << 20

func (w *Watcher) stream(ctx context.Context, verb string, query url.Values) (io.ReadCloser, error) {
	query.Set("labelSelector", serviceLabel+"="+w.of.name)
	path := "apis/discovery.k8s.io/v1/namespaces/" + w.of.namespace + "/endpointslices"
	return w.config.Client.Stream(ctx, verb, resource+" in "+w.of.namespace, path, query)
}

// isInvalid says whether the API server does not know the request: one without the feature gate
// WatchList answers with 422, and an older one may answer with 400.
func isInvalid(err error) bool {
	status, ok := errors.AsType[*kubernetes.StatusError](err)
	return ok && (status.Status == http.StatusUnprocessableEntity || status.Status == http.StatusBadRequest)
}
