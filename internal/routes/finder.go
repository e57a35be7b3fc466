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
	renamed    int         // how often the name of the site was
}

// when says on which occasion routes are taken.
type when int

const (
	always when = iota
	onError
	onAnswer // of intercept
)

// finder follows all requests of a server at once.
type finder struct {
	server  *server
	name    string
	when    when
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
		return each(at, func(s *state) { s.change(r.Handle, depth) })
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

// matters says whether a route decides about ways. Most only change fields or variables: requests that
// take such a route are not told from others, since each would double the cases.
func (f *finder) matters(r *route, depth int) bool {
	if r.Group != "" || r.Terminal {
		return true
	}
	for n := range r.Handle {
		switch h := &r.Handle[n]; h.Handler {
		case "headers", "vars", "map", "encode", "log_append", "tracing", "templates", "request_body", "timeouts", "push":
		case "intercept":
			if len(h.Answers) > 0 {
				return true
			}
		case "subroute":
			if h.Errors != nil {
				return true
			}
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

// change notes that matchers behind these handlers may see another request.
func (s *state) change(handlers []handler, depth int) {
	for n := range handlers {
		switch h := &handlers[n]; {
		case h.Handler == "vars" || h.Handler == "map":
			s.changed++
		case h.Handler == "headers" && h.Request != nil:
			s.changed++
			if h.renames() {
				s.renamed++
			}
		case h.Handler == "subroute" && depth <= maxDepth:
			for m := range h.Routes {
				s.change(h.Routes[m].Handle, depth+1)
			}
		}
	}
}

// handle lets requests pass handlers, in order.
func (f *finder) handle(handlers []handler, at []state, depth int) []state {
	for n := range handlers {
		switch h := &handlers[n]; h.Handler {
		case "kube_identity":
			at = f.guard(h, at)
		case "subroute":
			failed := at
			if at = f.follow(h.Routes, at, depth+1); h.Errors != nil { // Caddy goes on behind them, too
				at = slices.Concat(at, f.during(onError, h.failing(), failed, depth+1))
			}
		case "invoke":
			if named := f.server.Named[h.Name]; named != nil {
				at = f.follow([]route{*named}, at, depth+1)
			}
		case "reverse_proxy":
			at = f.forward(h, at, depth)
		case "intercept":
			for m := range h.Answers {
				f.during(onAnswer, h.Answers[m].Routes, at, depth+1)
			}
		case "authentication":
			at = each(at, func(s *state) { s.behind = "basic_auth" })
		case "rewrite":
			at = each(at, func(s *state) { s.rewritten++ })
		case "headers", "vars", "map":
			at = each(at, func(s *state) { s.change(handlers[n:n+1], depth) })
		case "file_server":
			if !h.Passes {
				return nil
			}
		case "static_response", "error", "metrics", "acme_server", "copy_response", "kube_identity_ready", "kube_identity_whoami":
			return nil
		default:
			if !known(h.Handler) {
				at = each(at, func(s *state) { s.unknown = true })
			}
		}
		if len(at) == 0 {
			return nil
		}
	}
	return at
}

// guard lets requests pass a kube_identity. It refuses those that have passed one.
func (f *finder) guard(h *handler, at []state) []state {
	h.reached = h.reached || len(at) > 0
	for _, s := range at {
		if s.guarded {
			f.twice = append(f.twice, Way{Server: f.name, Guarded: true, Behind: s.behind, OnError: f.when != always, of: s})
		}
	}
	claims := h.claims()
	return each(at, func(s *state) { s.guarded, s.claims = true, s.claims || claims })
}

// forward is for a reverse_proxy. It only asks, as forward_auth does, if a request goes on behind
// each answer that says yes; otherwise the client gets what the upstream answers.
func (f *finder) forward(h *handler, at []state, depth int) []state {
	var behind []state
	asks, said := false, false
	for n := range h.Answers {
		answer := &h.Answers[n]
		some, all := answer.good()
		if answer.StatusCode == nil {
			on := f.follow(answer.Routes, at, depth+1)
			if all && !said {
				asks = len(on) > 0 && !copies(answer.Routes)
			}
			if some && answer.Match != nil { // an answer that says no ends there
				on = each(on, func(s *state) { s.behind = "forward_auth" })
			}
			behind = slices.Concat(behind, on)
		}
		said = said || some
		if answer.Match == nil {
			break
		}
	}
	f.passes = f.passes || len(h.Answers) > 0 && !asks
	f.found(h, at, asks)
	return behind
}

// during follows routes that take errors or answers.
func (f *finder) during(now when, routes []route, at []state, depth int) []state {
	before := f.when
	f.when = now
	on := f.follow(routes, at, depth)
	f.when = before
	return on
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
			Server: f.name, Listen: f.server.Listen, Upstreams: h.upstreams(), Guarded: s.guarded, Behind: s.behind, Asks: asks,
			OnError: f.when != always, when: f.when, found: h.Dynamic != nil, of: s,
		})
	}
}
