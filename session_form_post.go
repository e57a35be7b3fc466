// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// maxForm is more than a callback may have, which package codeflow refuses then.
const maxForm = 32 << 10

// callbackMethods are those of a login's callback. With a form even an error comes as one (OAuth
// 2.0 Form Post Response Mode, section 2), but not from an issuer that fails before it has read
// response_mode: that one redirects.
func callbackMethods(l *login) []string {
	if l.FormPost {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{http.MethodGet}
}

// readCallback reads the parameters of a callback: of the query, or of the form that the issuer's
// page posts. The latter comes from another site, so that no cookie but the binding is there, and
// Origin is the issuer's or "null": the state, which only this browser's binding fits, stands
// against pages that forge one.
func readCallback(w http.ResponseWriter, r *http.Request, l *login) (*codeflow.Callback, *failure) {
	method, asked := asItCame(r)
	parameters := asked.RawQuery
	if method == http.MethodPost {
		var err error
		if parameters, err = readForm(w, r, asked.RawQuery); err != nil {
			return nil, malformedCallback(err)
		}
	}
	back, err := codeflow.ParseCallback(parameters)
	switch {
	case err != nil:
		return nil, malformedCallback(err)
	case browser.IsPrefetch(r.Header):
		return nil, malformedCallback(errors.New("a callback ahead of time"))
	case l.FormPost && method == http.MethodGet && back.Error == "":
		w.Header().Set("Allow", http.MethodPost)
		f := malformedCallback(errors.New("the code is in the address, although response_mode form_post keeps it out of there"))
		f.status = http.StatusMethodNotAllowed
		return nil, f
	}
	return back, nil
}

// readForm reads a body of one kind alone.
func readForm(w http.ResponseWriter, r *http.Request, query string) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case query != "":
		return "", errors.New("a form with a query beside it")
	case err != nil || kind != "application/x-www-form-urlencoded" || len(r.Header["Content-Type"]) != 1 || len(r.Header["Content-Encoding"]) > 0:
		return "", errors.New("the body is not a form")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // not all writers can
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	if err != nil {
		return "", fmt.Errorf("reading the form: %w", err)
	}
	return string(body), nil
}

// errFormOverHTTP is for a login whose cookie browsers would drop.
func errFormOverHTTP() *failure {
	return &failure{
		http.StatusBadRequest, "insecure", "Logging in needs https",
		"The login service sends browsers back with a form. Their cookies come along over https only, but this site was opened over plain http.",
		errors.New("response_mode form_post over plain http: browsers take a cookie with SameSite=None over https only"),
	}
}
