// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//nolint:gochecknoglobals // the pages
var (
	//go:embed pages.html
	pagesHTML string

	//go:embed pages.css
	pagesCSS string

	pages = template.Must(template.New("pages").
		Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(pagesCSS) }}). //nolint:gosec // it is a file of this folder
		Parse(pagesHTML))
)

type loginPage struct {
	Client, Host, Problem, Cancel string
	Users                         []loginUser
}

type loginUser struct{ Name, Password, Groups string }

func showProblem(w http.ResponseWriter, status int, problem string) {
	show(w, status, "problem", problem, "")
}

// show writes a page. It has no script, is in no frame (clickjacking), and its form leads to this
// issuer, and from there to formTarget, if it is not empty: browsers check the redirects after a
// form too.
func show(w http.ResponseWriter, status int, name string, data any, formTarget string) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	style := sha256.Sum256([]byte(pagesCSS))
	policy := "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(style[:]) + "'; form-action 'self'" + formSource(formTarget)
	w.Header().Set("Content-Security-Policy", policy)
	// not no-referrer: browsers would then send "Origin: null" with the form
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}

// formSource is a URL's origin for form-action, which has no notation for IPv6 addresses.
func formSource(target string) string {
	u, err := url.Parse(target)
	switch {
	case target == "" || err != nil:
		return ""
	case strings.Contains(u.Host, "["):
		return " " + u.Scheme + ":"
	}
	return " " + u.Scheme + "://" + u.Host
}
