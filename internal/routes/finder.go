// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import "slices"

const (
	// maxStates bounds the work for one server. Beyond it nothing is said about that server.
	maxStates = 256

	// maxDepth bounds routes in routes, as named routes may invoke themselves.
	maxDepth = 32
)

// state is a set of requests at a place among the routes.
type state struct {
	conditions []condition // that they fulfil
	cases      [][]matcher // the matchers that match together, a list for each choice of sets and paths
	vague      bool        // there are too many cases
	groups     []string    // of which they have taken a route
	guarded    bool        // they have passed a kube_identity
	claims     bool        // it writes what others could write
	unknown    bool        // they have passed a handler that may authenticate
	behind     string      // another directive that authenticates, which they have passed
	rewritten  int         // how often the request was changed
	changed    int         // how often fields and variables were
}

// finder follows all requests of a server at once.
type finder struct {
	server  *server
	name    string
	onError bool
	ways    []Way
	twice   []Way
	passes  bool // requests that are forwarded may go on, by the answer
	tooMany bool
}

// follow returns the states of those requests that no route has answered.
func (f *finder) follow(routes []route, at []state, depth int) []state {
	for n := range routes {
		if f.tooMany = f.tooMany || len(at) > maxStates || depth > maxDepth; f.tooMany {
			return nil
		}
		at = f.take(&routes[n], at, depth)
	}
	return at
}

// take splits the requests into those that take a route, and those that do not.
func (f *finder) take(r *route, at []state, depth int) []state {
	if !f.matters(r, depth) {
		return at
	}
	var on []state
	for _, before := range at {
		if r.Group != "" && slices.Contains(before.groups, r.Group) {
			on = append(on, before)
			continue
		}
		inside, some := before, true
		if len(r.Match) > 0 {
			sets := readSets(r.Match, &before)
			inside, some = before.and(condition{sets: sets})
			if outside, others := before.and(condition{sets: sets, negated: true, skips: more(sets) && r.holdsGuard()}); others {
				on = append(on, outside)
			}
		}
		if !some {
			continue
		}
		if r.Group != "" {
			inside.groups = append(slices.Clip(inside.groups), r.Group)
		}
		if behind := f.handle(r.Handle, []state{inside}, depth); !r.Terminal {
			on = append(on, behind...)
		}
	}
	return on
}

// matters says whether a route decides about ways. Most only set a field of the response.
func (f *finder) matters(r *route, depth int) bool {
	if r.Group != "" || r.Terminal {
		return true
	}
	for n := range r.Handle {
		switch h := &r.Handle[n]; h.Handler {
		case "headers", "encode", "log_append", "tracing", "templates", "intercept", "request_body", "timeouts", "push":
		case "subroute":
			for m := range h.Routes {
				if depth > maxDepth || f.matters(&h.Routes[m], depth+1) {
					return true
				}
			}
		default:
			return true
		}
	}
	return false
}

// handle lets requests pass handlers, in order.
func (f *finder) handle(handlers []handler, at []state, depth int) []state {
	for n := range handlers {
		switch h := &handlers[n]; h.Handler {
		case "kube_identity":
			at = f.guard(h, at)
		case "subroute":
			at = f.follow(h.Routes, at, depth+1)
		case "invoke":
			if named := f.server.Named[h.Name]; named != nil {
				at = f.follow([]route{*named}, at, depth+1)
			}
		case "reverse_proxy":
			behind, asks := h.asks()
			f.found(h, at, asks)
			if !asks {
				f.passes = f.passes || len(h.Answers) > 0
				return nil
			}
			at = each(f.follow(behind, at, depth+1), func(s *state) { s.behind = "forward_auth" })
		case "authentication":
			at = each(at, func(s *state) { s.behind = "basic_auth" })
		case "rewrite":
			at = each(at, func(s *state) { s.rewritten++ })
		case "headers", "vars", "map":
			at = each(at, func(s *state) { s.changed++ })
		case "file_server":
			if !h.Passes {
				return nil
			}
		case "static_response", "error", "metrics", "acme_server", "kube_identity_ready", "kube_identity_whoami":
			return nil
		default:
			if !known(h.Handler) {
				at = each(at, func(s *state) { s.unknown = true })
			}
		}
	}
	return at
}

// guard lets requests pass a kube_identity. It refuses those that have passed one.
func (f *finder) guard(h *handler, at []state) []state {
	h.reached = h.reached || len(at) > 0
	for _, s := range at {
		if s.guarded {
			f.twice = append(f.twice, Way{Server: f.name, Guarded: true, Behind: s.behind, OnError: f.onError, of: s})
		}
	}
	claims := h.claims()
	return each(at, func(s *state) { s.guarded, s.claims = true, s.claims || claims })
}

func each(at []state, change func(*state)) []state {
	at = append([]state(nil), at...)
	for n := range at {
		change(&at[n])
	}
	return at
}

// found notes a way for each state.
func (f *finder) found(h *handler, at []state, asks bool) {
	for _, s := range at {
		f.ways = append(f.ways, Way{
			Server: f.name, Upstreams: h.upstreams(), Guarded: s.guarded, Behind: s.behind, Asks: asks, OnError: f.onError, of: s,
		})
	}
}
