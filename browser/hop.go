// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"html"
	"html/template"
	"net/http"
	"strings"
)

// Hop is a page that sends a browser on, and keeps the fragment of an address over a login. A
// server never sees a fragment, and a page of the issuer's that navigates drops it: only a script
// of this site can keep it. Without scripts, the page has a link.
//
// The script has nothing of the request, so that the policy can name it by its hash. It takes two
// things from its page: the address to go to, and the attempt. In the browser's tab, in
// sessionStorage, it keeps the fragment of one attempt, under one key: attempts that are given up
// do not pile up there. Another tab does not see it. What it reads from there becomes the fragment
// of the address and can be no other part of it.
type Hop struct {
	Title string
	URL   string // where to go, absolute

	// Attempt is what the fragment is kept for: the same before and after the login, and always
	// of the same length.
	Attempt string

	// Before is the attempt that this one takes the place of, with its fragment; or empty.
	Before string

	// Arrives says that the login is over, and the fragment is put back.
	Arrives bool
}

// hopScript leaves the page as it is if a browser cannot run it.
const hopScript = `(()=>{const a=document.getElementById("to"),d=a.dataset,k="kube_identity",z="arrives"in d;` +
	`let h=z?"":location.hash;try{const s=sessionStorage,v=s.getItem(k)||"",p=z?d.attempt:h?"":d.before;` +
	`if(p&&v.startsWith(p))h=v.slice(p.length);if(z||!h)s.removeItem(k);else s.setItem(k,d.attempt+h)}catch{}` +
	`if(z&&h[0]=="#")a.hash=h;location.replace(a.href)})()`

//nolint:gochecknoglobals // a template
var hopTemplate = template.Must(template.New("hop").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Hop.Title}}</title><style>{{.Style}}</style></head><body><main>
<h1>{{.Hop.Title}}</h1>
<p><a id="to" {{.Link}} data-attempt="{{.Hop.Attempt}}"{{if .Hop.Before}} data-before="{{.Hop.Before}}"{{end}}{{if .Hop.Arrives}} data-arrives{{end}}>Continue</a></p>
</main><script>{{.Script}}</script></body></html>
`))

// link is the address as an attribute. The template would encode some characters of it, such as
// parentheses, and so change the address that the user opened.
func (h *Hop) link() template.HTMLAttr {
	if !strings.HasPrefix(h.URL, "https://") && !strings.HasPrefix(h.URL, "http://") {
		return `href="#"` // it is never so: a script would run for "javascript:"
	}
	return template.HTMLAttr(`href="` + html.EscapeString(h.URL) + `"`) //nolint:gosec // it is escaped
}

// Write sets the header of the response with the page, and returns the page.
func (h *Hop) Write(header http.Header) []byte {
	var b bytes.Buffer
	_ = hopTemplate.Execute(&b, struct { // it is tested
		Hop    *Hop
		Link   template.HTMLAttr
		Style  template.CSS
		Script template.JS
	}{h, h.link(), pageStyle, hopScript})
	setHeader(header, b.Len(), "default-src 'none'; style-src "+hashOf(pageStyle)+"; script-src "+hashOf(hopScript)+
		"; base-uri 'none'; frame-ancestors 'none'; form-action 'none'")
	return b.Bytes()
}
