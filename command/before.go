// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// What handlers before kube_identity set: those of Caddy's authentication, and reverse_proxy
// with the answer of the server that forward_auth asks.
const (
	userPrefix   = "http.auth.user."
	answerPrefix = "http.reverse_proxy."
	answerHeader = answerPrefix + "header."
	answerStatus = answerPrefix + "status_code"
)

// parseSet reads '{name}=value'. What a client writes is described by the URL and -H.
func parseSet(words []string) (map[string]string, error) {
	set := make(map[string]string, len(words))
	for _, word := range words {
		name, value, found := strings.Cut(word, "}=")
		name, braced := strings.CutPrefix(name, "{")
		if !found || !braced || name == "" || strings.ContainsAny(name, "{} ") {
			return nil, errors.New("--set: a placeholder is written '{name}=value', such as '{http.auth.user.id}=alice'")
		}
		if strings.HasPrefix(name, "http.request.") {
			return nil, fmt.Errorf("--set: {%s} is the client's: describe it with the URL, -X and -H", name)
		}
		if field, ok := strings.CutPrefix(name, answerHeader); ok {
			name = answerHeader + http.CanonicalHeaderKey(field) // as reverse_proxy has it
		}
		set[name] = value
	}
	if status, ok := set[answerStatus]; ok {
		if code, err := strconv.Atoi(status); err != nil || code < 100 || code > 999 {
			return nil, fmt.Errorf("--set: {%s}: %q is not a status", answerStatus, status)
		}
	}
	return set, nil
}

// apply sets the described placeholders whose names fit, and says whether there are some.
func (k *walk) apply(r *http.Request, handler string, fits func(name string) bool) bool {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(k.set)) {
		if repl == nil || !fits(name) {
			continue
		}
		if k.used[name] = true; name != answerStatus {
			repl.Set(name, k.set[name])
		}
		names = append(names, "{"+name+"}")
	}
	if len(names) > 0 && !k.probing {
		k.notes = append(k.notes, fmt.Sprintf("%s is not run: it is taken to have found out %s as --set describes it",
			handler, strings.Join(names, ", ")))
	}
	return len(names) > 0
}

// passBefore is for authentication, and for a handler that Caddy does not bring along: without
// a word about what it found out, it is open whether the request goes on.
func (k *walk) passBefore(name string, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	fits := func(set string) bool { return !strings.HasPrefix(set, answerPrefix) }
	if name == "authentication" {
		fits = func(set string) bool { return strings.HasPrefix(set, userPrefix) }
	}
	if k.apply(r, name, fits) {
		return next.ServeHTTP(w, r)
	}
	return k.probe(name, w, r, next)
}

// askBefore is for forward_auth: the described answer is taken for that of the server.
func (k *walk) askBefore(h *reverseproxy.Handler, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	const name = "forward_auth"
	if !k.apply(r, name, func(set string) bool { return strings.HasPrefix(set, answerPrefix) }) {
		if !k.inside() {
			return k.probe(name, w, r, next)
		}
		if !k.probing {
			k.notes = append(k.notes, "an authentication server would be asked behind kube_identity (forward_auth): it is taken to let the request pass"+
				copied(goodAnswer(h, http.StatusOK, make(http.Header))))
		}
		return next.ServeHTTP(w, r)
	}
	status, header := http.StatusOK, make(http.Header)
	if described, ok := k.set[answerStatus]; ok {
		status, _ = strconv.Atoi(described) // parseSet has looked at it
	}
	for set, value := range k.set {
		if field, ok := strings.CutPrefix(set, answerHeader); ok {
			header.Set(field, value)
		}
	}
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set(answerStatus, status)
	answer := goodAnswer(h, status, header)
	if answer == nil {
		if !k.probing {
			k.ended = status
		}
		return nil
	}
	return k.compile(answer.Routes, next).ServeHTTP(w, r)
}

// probe ends the walk at a handler, and finds out whether a kube_identity comes after it.
func (k *walk) probe(name string, w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if k.probing {
		return next.ServeHTTP(w, r)
	}
	k.before, k.probing = name, true
	err := next.ServeHTTP(w, r)
	k.probing = false
	k.answers = name + ", or by what comes after it,"
	return err
}

// ended is for a request that forward_auth does not let pass, as --set describes it.
func (p *printer) ended(status int) int {
	p.section("refused before kube_identity")
	p.line("  the client gets the answer of the server that forward_auth asks: %s", p.in(bad, statusLine(status)))
	if status >= http.StatusInternalServerError {
		return exitUndecided
	}
	return exitRefused
}

// before says at which handler it is open what becomes of the request.
func (p *printer) before(k *walk) int {
	p.section("before kube_identity")
	p.line("  the request ends at %s, or goes on: check does not run it. kube_identity comes after it", k.before)
	p.describe(k)
	return exitBefore
}

// after is for such a handler behind kube_identity.
func (p *printer) after(k *walk) int {
	p.section("behind kube_identity")
	p.line("  kube_identity lets the request pass. It ends at %s, or goes on: check does not run it", k.before)
	p.describe(k)
	return exitBefore
}

// describe says how to describe what a handler found out.
func (p *printer) describe(k *walk) {
	p.line("  to see what becomes of a request that %s lets pass, describe what it found out:", k.before)
	names := readPlaceholders(k.guards)
	switch k.before {
	case "forward_auth":
		names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, answerPrefix) })
		if len(names) == 0 {
			names = []string{answerStatus}
		}
	default:
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, answerPrefix) })
		if len(names) == 0 {
			names = []string{userPrefix + "id"}
		}
	}
	for _, name := range names {
		p.line("    --set '{%s}=%s'", name, map[bool]string{true: "200", false: "…"}[name == answerStatus])
	}
}

// readPlaceholders are the placeholders that the sources read.
func readPlaceholders(guards []Explainer) []string {
	var names []string
	for _, guard := range guards {
		names = append(names, guard.Placeholders()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
