// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// sessionCookie is for the issuer's own session (SSO).
const sessionCookie = "issuer_session"

// serveAuthorization answers a request for a code (OpenID Connect Core 1.0, section 3.1.2).
func (l *Login) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	query, _, _ := strings.Cut(r.URL.RawQuery, "#")
	values, err := url.ParseQuery(query)
	l.mu.Lock()
	defer l.mu.Unlock()
	client := &l.config.Client
	redirect := values.Get("redirect_uri")
	switch target, parseErr := url.Parse(redirect); {
	case err != nil || parseErr != nil || !target.IsAbs():
		http.Error(w, "the request has no redirect_uri", http.StatusBadRequest)
		return
	case values.Get("client_id") != client.ID:
		http.Error(w, "the client is not known", http.StatusBadRequest)
		return
	case len(client.RedirectURLs) > 0 && !slices.Contains(client.RedirectURLs, redirect):
		http.Error(w, "the redirect_uri is not registered", http.StatusBadRequest)
		return
	}
	if code := authorizationFault(values); code != "" {
		l.callback(w, r, values, map[string]string{"error": code})
		return
	}
	current := l.current(r)
	if prompt := values.Get("prompt"); prompt == "login" || prompt == "select_account" {
		current = nil
	}
	switch {
	case current == nil && !l.config.Interactive:
		current = l.login(w, l.config.User)
	case current == nil && r.Method == http.MethodPost:
		name := r.PostFormValue("user")
		user, ok := l.config.Users[name]
		if !ok || user.Password != r.PostFormValue("password") {
			showForm(w, http.StatusForbidden, "The name or the password is wrong.")
			return
		}
		current = l.login(w, name)
	case current == nil && values.Get("prompt") == "none":
		l.callback(w, r, values, map[string]string{"error": "login_required"})
		return
	case current == nil:
		showForm(w, http.StatusOK, "")
		return
	}
	l.callback(w, r, values, map[string]string{"code": l.newCode(values, current)})
}

// authorizationFault is strict: PKCE with S256 and a nonce are needed, and no parameter twice.
func authorizationFault(values url.Values) string {
	for _, given := range values {
		if len(given) != 1 {
			return "invalid_request"
		}
	}
	switch {
	case values.Get("response_type") != "code":
		return "unsupported_response_type"
	case !slices.Contains(strings.Fields(values.Get("scope")), "openid"):
		return "invalid_scope"
	case values.Get("code_challenge_method") != "S256" || len(values.Get("code_challenge")) != 43 || values.Get("nonce") == "" || values.Get("state") == "":
		return "invalid_request"
	}
	return ""
}

func (l *Login) current(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	return l.sessions[cookie.Value]
}

func (l *Login) login(w http.ResponseWriter, user string) *session {
	secret, current := rand.Text(), &session{id: rand.Text(), user: user}
	l.sessions[secret] = current
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // it may be over plain http
	return current
}

func (l *Login) newCode(request url.Values, current *session) string {
	code := rand.Text()
	l.issued = append(l.issued, code)
	l.grants[code] = &grant{
		session: current, user: current.user, request: request, code: code,
		until: time.Now().Add(time.Minute), authenticated: time.Now(),
	}
	return code
}

// callback sends the browser back, with 302 or a form.
func (l *Login) callback(w http.ResponseWriter, r *http.Request, request url.Values, answer map[string]string) {
	answer["state"], answer["iss"] = request.Get("state"), l.URL
	if l.extra != nil {
		l.extra(answer)
	}
	w.Header().Set("Cache-Control", "no-store")
	if request.Get("response_mode") == "form_post" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = callbackForm.Execute(w, map[string]any{"Target": request.Get("redirect_uri"), "Fields": answer})
		return
	}
	values := url.Values{}
	for name, value := range answer {
		if value != "" {
			values.Set(name, value)
		}
	}
	target, _ := url.Parse(request.Get("redirect_uri")) // parsed before
	if target.RawQuery != "" {
		target.RawQuery += "&"
	}
	target.RawQuery += values.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound) //nolint:gosec // a test decides which URLs are registered
}

//nolint:gochecknoglobals // templates
var (
	callbackForm = template.Must(template.New("callback").Parse(`<!doctype html><title>Logged in</title>
<body onload="document.forms[0].submit()"><form method="post" action="{{.Target}}">
{{range $name, $value := .Fields}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<button>Continue</button></form></body>
`))

	loginForm = template.Must(template.New("login").Parse(`<!doctype html><meta name="viewport" content="width=device-width"><title>Log in</title>
<h1>Test issuer</h1><p id="problem">{{.}}</p>
<form method="post"><label>Name <input id="user" name="user" autofocus></label>
<label>Password <input id="password" name="password" type="password"></label>
<button id="submit">Log in</button></form>
`))
)

// showForm shows the login form, which is posted to the same URL.
func showForm(w http.ResponseWriter, status int, problem string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = loginForm.Execute(w, problem)
}

// NewCode is a code for a user, as if a browser had logged in for an authorization request with
// this query.
func (l *Login) NewCode(user string, request url.Values) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newCode(request, &session{id: rand.Text(), user: user})
}
