// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// LoginFlow is the way of a request without an identity, where browsers log in. It has no secret.
type LoginFlow struct {
	// Why is the reason for which the request begins no login; empty: it begins one. Page says
	// that it gets a page with a link.
	Why  string
	Page bool

	// Browser says that the request says to come from one.
	Browser bool

	// Login is the index of the issuer to which the browser is sent. Form says that the issuer
	// sends it back with a form.
	Login int
	Form  bool

	// Return is where the browser comes to afterwards. LoginPage is the path of the page that
	// begins a login.
	Return, LoginPage string

	// Fragment says that pages with a script keep the fragment of the address.
	Fragment bool
}

// cookieName is the name and the attributes of a cookie, without its value.
func cookieName(line string) string {
	pair, attributes, _ := strings.Cut(line, ";")
	name, _, _ := strings.Cut(pair, "=")
	return name + " (" + strings.TrimSpace(attributes) + ")"
}

// login returns the way of a request that has no identity, and whether it begins a login; nil if
// that does not matter here.
func (o *outcome) login() (flow *LoginFlow, begins bool) {
	flow = o.walk.report.Flow
	begins = flow != nil && flow.Why == "" && len(o.recorder.Header()["Set-Cookie"]) > 0
	if o.passed() || !begins && o.status() != http.StatusUnauthorized {
		return nil, false
	}
	return flow, begins
}

// flow prints the steps of a login, or why the request begins none.
func (p *printer) flow(o *outcome) {
	report, cookies := o.walk.report, o.recorder.Header()["Set-Cookie"]
	flow, begins := o.login()
	if flow == nil {
		return
	}
	if p.section("login"); !begins {
		p.line("  the request %s: %s", p.in(care, "does not begin a login"), flow.Why)
		switch {
		case flow.Page:
			p.line("  it is answered with a page that has a link to %s", flow.LoginPage)
		case flow.Browser:
			p.line("  it is answered with 401: the page's script can open %s in the window", flow.LoginPage)
		}
		p.uncovered(o)
		return
	}
	at := report.Login.Logins[flow.Login]
	leaves := "the browser is sent to " + at.Issuer
	if flow.Fragment {
		leaves = "a page with a script notes the fragment of the address (keep_fragment), and goes to " + at.Issuer
	}
	p.line("  1. %s, with the cookie %s: it binds the login to this browser", leaves, cookieName(cookies[0]))
	back := "redirects"
	if flow.Form {
		back = "sends, with a form,"
	}
	p.line("  2. the user logs in there, and the issuer %s the browser to %s", back, at.Callback)
	p.uncovered(o)
	p.line("  3. Caddy redeems the code as the client %q, and the source %s verifies the ID token", at.ClientID, at.Source)
	p.line("  4. the browser gets the session's cookie %s (Path=/), and is sent to %s", report.Login.Cookies[0], WithoutSecrets(flow.Return))
	p.line("  5. the request comes again, and the session decides about it")
}

// uncovered says which callbacks do not come to the kube_identity that waits for them.
func (p *printer) uncovered(o *outcome) {
	for n, answers := range o.uncovered {
		if answers != "" {
			p.line("    %s: a request to %s %s", p.in(bad, "no login can end"), pathOf(o.walk.report.Login.Logins[n].Callback), answers)
			p.line("    let the matchers of kube_identity and of its blocks have this path, too")
		}
	}
}

func pathOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	return parsed.EscapedPath()
}

// cover finds out which callbacks come to the kube_identity that decided. A callback has the host
// of the request: a proxy in front that has passed this one on does the same with that.
func (o *outcome) cover(server *caddyhttp.Server, r *http.Request) {
	k := o.walk
	if k.report == nil || k.report.Login == nil {
		return
	}
	own := k.guards[len(k.reports)-1]
	for _, login := range k.report.Login.Logins {
		back, err := url.ParseRequestURI(pathOf(login.Callback))
		if err != nil {
			continue
		}
		asked := r.Clone(r.Context())
		asked.Method, asked.URL, asked.RequestURI = http.MethodGet, back, back.RequestURI()
		probe := &walk{groups: make(map[string]bool), set: k.set, used: maps.Clone(k.used), probing: true}
		recorder := httptest.NewRecorder()
		asked = caddyhttp.PrepareRequest(asked, caddy.NewReplacer(), recorder, server)
		end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		_ = probe.compile(server.Routes, end).ServeHTTP(recorder, asked) // an error leaves it open
		o.uncovered = append(o.uncovered, probe.insteadOf(own))
	}
}

// insteadOf says who gets a request that own should get; empty: own does.
func (k *walk) insteadOf(own Explainer) string {
	switch {
	case len(k.guards) > 0 && k.guards[0] == own:
		return ""
	case len(k.guards) > 0:
		return "comes to another kube_identity"
	case k.behind != "":
		return "passes kube_identity by, and " + directive(k.behind) + " answers it"
	}
	return "passes kube_identity by, and nothing answers it"
}

// directive is the word of the Caddyfile for a handler.
func directive(handler string) string {
	if handler == "static_response" {
		return "respond"
	}
	return handler
}
