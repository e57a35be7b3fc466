// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// reach says whether requests come to a place, as far as matchers of paths, hosts and methods tell.
type reach int

const (
	perhaps reach = iota // it depends on more than the path
	never
	always
)

// reached says whether a browser that asks for a path comes to the handler.
func (p *place) reached(path string) reach {
	if !p.whole {
		return perhaps
	}
	asked := askFor(p.host(), path)
	result := always
	for _, way := range p.ways {
		for n := range way.routes[:way.route] {
			before := &way.routes[n]
			if judge(before.MatcherSets, asked) == never || passesAll(before) {
				continue
			}
			result = perhaps // it may answer
			if !keepsPath(before) {
				return perhaps
			}
		}
		route := &way.routes[way.route]
		switch judge(route.MatcherSets, asked) {
		case never:
			return never
		case perhaps:
			result = perhaps
		case always:
		}
		if !passAll(route.HandlersRaw[:way.handle]) {
			return perhaps
		}
	}
	return result
}

// alone says whether the site has no other kube_identity. The site is the outermost route, if the
// routes of a site are inside of it.
func (p *place) alone() bool {
	if len(p.ways) == 0 {
		return false
	}
	site := p.ways[0].routes
	if len(p.ways) > 1 {
		site = site[p.ways[0].route:][:1]
	}
	return guards(site) == 1
}

// guards counts the kube_identity of routes.
func guards(routes caddyhttp.RouteList) (count int) {
	for n := range routes {
		for _, raw := range routes[n].HandlersRaw {
			var handler configuredHandler
			if json.Unmarshal(raw, &handler) == nil && handler.Name == "kube_identity" {
				count++
			}
			count += guards(handler.Routes)
		}
		for _, handler := range routes[n].Handlers {
			switch loaded := handler.(type) {
			case *Handler:
				count++
			case *caddyhttp.Subroute:
				count += guards(loaded.Routes)
			}
		}
	}
	return count
}

// host is a host whose requests come to the handler, or of none where that is any.
func (p *place) host() string {
	for _, name := range slices.Backward(p.hosts()) { // the innermost matcher is the narrowest
		if !strings.Contains(name, "{") {
			return strings.Replace(name, "*", "any", 1)
		}
	}
	return "site.invalid"
}

func askFor(host, path string) *http.Request {
	asked := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Host: host,
	}
	asked.RequestURI = asked.URL.RequestURI()
	return caddyhttp.PrepareRequest(asked, caddy.NewReplacer(), nil, nil)
}

// judge is about a GET: one of the sets must match.
func judge(sets caddyhttp.MatcherSets, asked *http.Request) reach {
	if len(sets) == 0 {
		return always
	}
	result := never
	for _, set := range sets {
		switch judgeSet(set, asked) {
		case always:
			return always
		case perhaps:
			result = perhaps
		case never:
		}
	}
	return result
}

// judgeSet is about one set, all of whose matchers must match.
func judgeSet(set caddyhttp.MatcherSet, asked *http.Request) reach {
	result := always
	for _, matcher := range set {
		one := perhaps
		switch m := matcher.(type) {
		case *caddyhttp.MatchHost:
			one = matches(m, asked)
		case *caddyhttp.MatchPath:
			if !slices.ContainsFunc(*m, func(pattern string) bool { return strings.Contains(pattern, "{") }) {
				one = matches(m, asked)
			}
		case *caddyhttp.MatchPathRE:
			one = matches(m, asked)
		case *caddyhttp.MatchMethod:
			one = matches(m, asked)
		case *caddyhttp.MatchNot:
			one = judgeNot(m, asked)
		}
		switch one {
		case never:
			return never
		case perhaps:
			result = perhaps
		case always:
		}
	}
	return result
}

func matches(matcher caddyhttp.RequestMatcherWithError, asked *http.Request) reach {
	switch matched, err := matcher.MatchWithError(asked); {
	case err != nil:
		return perhaps
	case matched:
		return always
	}
	return never
}

func judgeNot(m *caddyhttp.MatchNot, asked *http.Request) reach {
	result := always
	for _, set := range m.MatcherSets {
		switch judgeSet(set, asked) {
		case always:
			return never
		case perhaps:
			result = perhaps
		case never:
		}
	}
	return result
}

// keepsPath says whether a route's handlers, which may answer, do not rewrite the path for others.
func keepsPath(route *caddyhttp.Route) bool {
	return !slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		name := moduleName(handler)
		return !passesOn(name) && name != "static_response" && name != "error"
	})
}

// passesAll says whether a route's handlers forward every request, and its path as it is.
func passesAll(route *caddyhttp.Route) bool {
	return passAll(route.HandlersRaw) && !slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		return !passesOn(moduleName(handler))
	})
}

func passAll(handlers []json.RawMessage) bool {
	return !slices.ContainsFunc(handlers, func(raw json.RawMessage) bool { return !passesOn(guestName(raw, "handler")) })
}

// passesOn says whether Caddy's handler of this name leaves to the next handler what it was asked
// for. Handlers of others may do anything.
func passesOn(handler string) bool {
	return slices.Contains([]string{
		"headers", "encode", "vars", "map", "request_body", "log_append", "tracing", "templates", "push", "intercept", "copy_response_headers",
	}, handler)
}
