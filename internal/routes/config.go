// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// ErrTooMany says that a server has more combinations of routes than are followed.
var ErrTooMany = errors.New("too many routes")

// app is the part of Caddy's app http that decides about ways.
type app struct {
	Servers map[string]*server `json:"servers"`
}

type server struct {
	Routes []route           `json:"routes"`
	Named  map[string]*route `json:"named_routes"`
	Errors *list             `json:"errors"`
	Listen []string          `json:"listen"`
}

type route struct {
	Group    string                       `json:"group"`
	Match    []map[string]json.RawMessage `json:"match"`
	Handle   []handler                    `json:"handle"`
	Terminal bool                         `json:"terminal"`
}

type handler struct {
	Handler string  `json:"handler"`
	Routes  []route `json:"routes"`    // of subroute
	Name    string  `json:"name"`      // of invoke
	Passes  bool    `json:"pass_thru"` // of file_server

	Errors  json.RawMessage `json:"errors"`  // of subroute
	Request json.RawMessage `json:"request"` // of headers

	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Dynamic json.RawMessage `json:"dynamic_upstreams"`
	Answers []answer        `json:"handle_response"` // of reverse_proxy and intercept

	Injectors []map[string]json.RawMessage `json:"injectors"` // of kube_identity
	reached   bool
}

type list struct {
	Routes []route `json:"routes"`
}

// failing are the routes of a subroute for errors.
func (h *handler) failing() []route {
	var errors list
	_ = json.Unmarshal(h.Errors, &errors) // Caddy says what is wrong when it loads it
	return errors.Routes
}

// ops are the changes of the fields of a request.
type ops struct {
	Add, Set, Replace map[string]json.RawMessage
	Delete            []string
}

// renames says whether the name of the site may be changed, too.
func (h *handler) renames() bool {
	var o ops
	_ = json.Unmarshal(h.Request, &o) // Caddy says what is wrong when it loads it
	names := slices.Concat(o.Delete, slices.Collect(maps.Keys(o.Add)), slices.Collect(maps.Keys(o.Set)), slices.Collect(maps.Keys(o.Replace)))
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "host") || strings.ContainsAny(name, "*{") })
}

// answer are the routes that take an answer of an upstream.
type answer struct {
	Match *struct {
		StatusCode []int           `json:"status_code"`
		Headers    json.RawMessage `json:"headers"`
	} `json:"match"`
	StatusCode json.RawMessage `json:"status_code"`
	Routes     []route         `json:"routes"`
}

// good says whether it takes answers that say yes, and all whether it takes each of them.
func (a *answer) good() (some, all bool) {
	if a.Match == nil {
		return true, true
	}
	codes := a.Match.StatusCode
	some = len(codes) == 0 || slices.ContainsFunc(codes, func(code int) bool { return code == 2 || code/100 == 2 })
	return some, some && a.Match.Headers == nil && (len(codes) == 0 || slices.Contains(codes, 2) || slices.Contains(codes, 200))
}

// copies says whether the client gets the answer of the upstream from one of the routes.
func copies(routes []route) bool {
	return slices.ContainsFunc(routes, func(r route) bool {
		return slices.ContainsFunc(r.Handle, func(h handler) bool { return h.Handler == "copy_response" || copies(h.Routes) })
	})
}

// upstreams are the addresses to which a reverse_proxy forwards.
func (h *handler) upstreams() []string {
	var all []string
	for _, upstream := range h.Upstreams {
		all = append(all, upstream.Dial)
	}
	if h.Dynamic == nil {
		slices.Sort(all)
		return slices.Compact(all)
	}
	var dynamic struct{ Source, Name, Service, Port string }
	_ = json.Unmarshal(h.Dynamic, &dynamic) // Caddy says what is wrong when it loads it
	name := cmp.Or(dynamic.Name, dynamic.Service, short(string(h.Dynamic)))
	if dynamic.Port != "" {
		name += ":" + dynamic.Port
	}
	return []string{dynamic.Source + " " + name}
}

// short is a text that fits in a line.
func short(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// Find reads the configuration of the app http, and finds the ways to its upstreams. Where the error
// is [ErrTooMany], those of a server are missing.
func Find(config []byte) ([]Way, error) {
	found, err := Look(config)
	return found.Ways, err
}

// survey follows the routes of a server. It gives up where there are too many combinations of them.
func (s *server) survey(name string) (found Survey, ok bool) {
	f := &finder{server: s, name: name}
	f.follow(s.Routes, []state{everything()}, 0)
	if s.Errors != nil {
		f.when = onError
		f.follow(s.Errors.Routes, []state{everything()}, 0)
	}
	if f.tooMany {
		return Survey{}, false
	}
	found, path := Survey{Ways: f.ways, Twice: f.twice}, "apps.http.servers."+name
	if f.passes {
		return found, true
	}
	found.Idle = idle(s.Routes, path+".routes", nil)
	if s.Errors != nil {
		found.Idle = idle(s.Errors.Routes, path+".errors.routes", found.Idle)
	}
	return found, true
}
