// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Survey is what the routes of a configuration show at once.
type Survey struct {
	Ways []Way

	// Twice are ways on which requests pass a second kube_identity. They have no upstream.
	Twice []Way

	// Idle are the paths of kube_identity that no request reaches.
	Idle []string
}

// Look reads the configuration of the app http, as Find does.
func Look(config []byte) (Survey, error) {
	var http app
	if err := json.Unmarshal(config, &http); err != nil {
		return Survey{}, fmt.Errorf("reading the routes: %w", err)
	}
	var all Survey
	var tooMany error
	for _, name := range slices.Sorted(maps.Keys(http.Servers)) {
		if server := http.Servers[name]; server != nil {
			found, ok := server.survey(name)
			if !ok {
				tooMany = ErrTooMany
			}
			all.Ways, all.Twice, all.Idle = append(all.Ways, found.Ways...), append(all.Twice, found.Twice...), append(all.Idle, found.Idle...)
		}
	}
	return all, tooMany
}

// idle adds the kube_identity that have not been reached. Those of named routes are left out, which
// need not be invoked.
func idle(routes []route, path string, all []string) []string {
	for n := range routes {
		for m := range routes[n].Handle {
			h, at := &routes[n].Handle[m], fmt.Sprintf("%s[%d].handle[%d]", path, n, m)
			if h.Handler == "kube_identity" && !h.reached {
				all = append(all, at)
			}
			all = idle(h.Routes, at+".routes", all)
		}
	}
	return all
}

// holdsGuard says whether a kube_identity is in a route.
func (r *route) holdsGuard() bool {
	return slices.ContainsFunc(r.Handle, func(h handler) bool {
		return h.Handler == "kube_identity" || slices.ContainsFunc(h.Routes, func(inner route) bool { return inner.holdsGuard() })
	})
}

// claims says whether a kube_identity tells the upstream who the user is by fields that prove
// nothing by themselves. A token proves it, and an API server that gets Impersonate-* asks for the
// credential beside them.
func (h *handler) claims() bool {
	return slices.ContainsFunc(h.Injectors, func(injector map[string]json.RawMessage) bool {
		var name string
		_ = json.Unmarshal(injector["injector"], &name) // Caddy says what is wrong when it loads it
		switch name {
		case "token":
			return false
		case "impersonation":
			return string(injector["no_credential"]) == "true"
		case "headers":
			for key := range injector {
				if !slices.Contains([]string{"injector", "sources", "token"}, key) {
					return true
				}
			}
			return false
		}
		return true
	})
}

// known says whether a handler of this name authenticates nothing.
func known(name string) bool {
	return slices.Contains([]string{
		"headers", "encode", "log_append", "tracing", "templates", "intercept", "request_body", "timeouts", "push", "vars", "map", "rewrite",
		"copy_response", "copy_response_headers", "file_server", "static_response", "error", "metrics", "acme_server",
	}, name)
}

// Hosts are the names of the site; none: all.
func (w *Way) Hosts() []string {
	return slices.DeleteFunc(w.hosts(), func(host string) bool { return !w.Serves(host) })
}

// Open says whether a way without a kube_identity is for requests that a client makes as it likes,
// and that the operator hardly meant. A way for some paths, methods or addresses is meant.
func (w *Way) Open() bool {
	if w.Guarded || w.Asks || w.Behind != "" || w.of.unknown {
		return false
	}
	for n := range w.of.conditions {
		c := &w.of.conditions[n]
		for _, sets := range c.positive() {
			if len(sets) > 0 && !slices.ContainsFunc(sets, func(set []matcher) bool { return isOpen(set, c.skips) }) {
				return false
			}
		}
	}
	return true
}

// Claims says whether the kube_identity tells the upstream about the user what others could.
func (w *Way) Claims() bool { return w.Guarded && w.of.claims }

// Skips says whether the requests come past a kube_identity of their own site, by its matcher.
func (w *Way) Skips() bool {
	return slices.ContainsFunc(w.of.conditions, func(c condition) bool { return c.skips })
}

// isOpen says whether a set of matchers hardly limits who comes. A field or a query is the client's
// to send; it may be a secret, which does not excuse it where it leaves out a kube_identity.
func isOpen(set []matcher, skips bool) bool {
	return !slices.ContainsFunc(set, func(m matcher) bool {
		switch m.name {
		case "host":
			return false
		case "header", "header_regexp", "query":
			return !skips
		case "not":
			return slices.ContainsFunc(m.inner, isNot)
		}
		return !m.always()
	})
}

// more says whether a set has a matcher other than that of hosts.
func more(sets [][]matcher) bool {
	return slices.ContainsFunc(sets, func(set []matcher) bool {
		return slices.ContainsFunc(set, func(m matcher) bool { return m.name != "host" })
	})
}
