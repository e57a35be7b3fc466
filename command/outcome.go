// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// outcome is what became of a request.
type outcome struct {
	walk     *walk
	err      error // by which the routes ended
	recorder *httptest.ResponseRecorder
	repl     *caddy.Replacer
	unseen   []string // fields that Caddy removed before any handler
	server   string   // its name
	beside   routes.Beside
	unsought string // why ways around kube_identity may be missing

	uncovered []string // for each callback: who gets it instead of the kube_identity that waits for it, or empty
}

// follow sends a request through the routes of a server.
func follow(server *caddyhttp.Server, r *http.Request, set map[string]string) *outcome {
	o := &outcome{
		unseen: dropUnseen(server, r.Header), repl: caddy.NewReplacer(), recorder: httptest.NewRecorder(),
		walk: &walk{groups: make(map[string]bool), set: set, used: make(map[string]bool)},
	}
	r.URL.Scheme, r.URL.Host = "", ""
	asked := r.Clone(r.Context())
	r = caddyhttp.PrepareRequest(r, o.repl, o.recorder, server)
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	o.err = o.walk.compile(server.Routes, end).ServeHTTP(o.recorder, r)
	o.walk.compare()
	o.cover(server, asked)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !o.walk.used[name] {
			o.walk.notes = append(o.walk.notes, fmt.Sprintf("--set: no handler on the way to kube_identity sets {%s}", name))
		}
	}
	return o
}

// compare finds out what each kube_identity has injected that has passed the request on to another.
func (k *walk) compare() {
	for n, report := range k.reports {
		for name, lines := range report.Before {
			if n > 0 && !slices.Equal(k.reports[n-1].After[name], lines) {
				report.injected = append(report.injected, name)
			}
		}
	}
}

// answerFields are those of the response to a refused request that are shown.
var answerFields = []string{"Location", "WWW-Authenticate", "Retry-After", "Allow"} //nolint:gochecknoglobals // a table

// passed says whether a kube_identity let the request pass.
func (o *outcome) passed() bool { return o.err == nil && o.walk.report != nil && o.walk.report.Passed }

// status is the one of a request that was refused.
func (o *outcome) status() int {
	if handled, ok := errors.AsType[caddyhttp.HandlerError](o.err); ok {
		return handled.StatusCode
	}
	if o.err != nil {
		return http.StatusInternalServerError
	}
	if report := o.walk.report; report != nil && report.Session != nil && report.Session.Own != nil && report.Session.Own.Status != 0 {
		return report.Session.Own.Status
	}
	return o.recorder.Code
}

// reason is why it was refused, which the client does not learn.
func (o *outcome) reason() string {
	reason, _ := o.repl.GetString("http.kube_identity.reason")
	return reason
}

// Verdict is the outcome of one request in short.
type Verdict struct {
	// Status is that of a refused request; 0 for one that is forwarded.
	Status int

	// Source decided; "none" if none did. Reason is why the request is refused.
	Source, Reason string

	// Sent is the header that the next handler gets; nil if the request is refused.
	Sent http.Header
}

// Judge follows a request through the first server of a configuration, as check does. Tests hold
// check to what a running server does.
func Judge(content []byte, r *http.Request) (*Verdict, error) {
	app, err := provisionHTTP(content)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(app.Servers))
	if len(names) == 0 {
		return nil, errors.New("there is no server")
	}
	o := follow(app.Servers[names[0]], r, nil)
	source, _ := o.repl.GetString("http.kube_identity.source")
	if o.passed() {
		return &Verdict{Source: source, Sent: o.walk.sent}, nil
	}
	return &Verdict{Status: o.status(), Source: source, Reason: o.reason()}, nil
}
