// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

// Page is a small page of the handler's own. It has no script, and nothing of the request.
type Page struct {
	Title string
	Text  []string // paragraphs
	Links []Link

	// Action, if it is not empty, is where a form with one button is posted to. Targets are the
	// origins, besides this one, to which the answer to that may redirect: Chromium blocks
	// all others, silently.
	Action, Button string
	Targets        []string

	// Framed lets this site's own pages show it in a frame: it asks to log in outside of it.
	Framed bool
}

// Link is one of a page's links. It leaves a frame.
type Link struct{ URL, Text string }

// pageStyle is narrow, and dark where the user wants that.
const pageStyle = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.25rem}` +
	`h1{font-size:1.35rem}button{font:inherit;padding:.5rem 1.1rem}`

//nolint:gochecknoglobals // a template
var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Page.Title}}</title><style>{{.Style}}</style></head><body><main>
<h1>{{.Page.Title}}</h1>
{{range .Page.Text}}<p>{{.}}</p>
{{end}}{{if .Page.Action}}<form method="post" action="{{.Page.Action}}"><button>{{.Page.Button}}</button></form>
{{end}}{{range .Page.Links}}<p><a href="{{.URL}}" target="_top">{{.Text}}</a></p>
{{end}}</main></body></html>
`))

// Write sets the header of the response with the page, and returns the page.
func (p *Page) Write(header http.Header) []byte {
	var b bytes.Buffer
	_ = pageTemplate.Execute(&b, struct { // it is tested with every page
		Page  *Page
		Style template.CSS
	}{p, pageStyle})
	setHeader(header, b.Len(), p.policy())
	if p.Action != "" {
		header.Set("Referrer-Policy", "same-origin") // without it a browser hides the origin of the form's POST
	}
	return b.Bytes()
}

// setHeader sets the header of any page. There is no Referer: an address may have a code.
func setHeader(header http.Header, length int, policy string) {
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(length))
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
}

// hashOf is how a policy names an inline style or script.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *Page) policy() string {
	action, ancestors := "'none'", "'none'"
	if p.Action != "" {
		action = strings.Join(append([]string{"'self'"}, p.Targets...), " ")
	}
	if p.Framed {
		ancestors = "'self'"
	}
	return "default-src 'none'; style-src " + hashOf(pageStyle) + "; base-uri 'none'; " +
		"frame-ancestors " + ancestors + "; form-action " + action
}
