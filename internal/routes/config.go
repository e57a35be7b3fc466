// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"encoding/json"
	"slices"
)

// app is the part of Caddy's app http that decides about ways.
type app struct {
	Servers map[string]*server `json:"servers"`
}

type server struct {
	Routes []route           `json:"routes"`
	Named  map[string]*route `json:"named_routes"`
	Errors *struct {
		Routes []route `json:"routes"`
	} `json:"errors"`
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

	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Dynamic json.RawMessage `json:"dynamic_upstreams"`

	Injectors []map[string]json.RawMessage `json:"injectors"` // of kube_identity
	reached   bool

	Answers []struct {
		Match *struct {
			StatusCode []int `json:"status_code"`
		} `json:"match"`
		StatusCode json.RawMessage `json:"status_code"`
		Routes     []route         `json:"routes"`
	} `json:"handle_response"`
}

// asks returns the routes behind a reverse_proxy that only asks, as forward_auth does: it has
// routes for good answers. Every other one forwards the request, and ends the way.
func (h *handler) asks() (behind []route, ok bool) {
	for n := range h.Answers {
		answer := &h.Answers[n]
		if answer.Match != nil && !slices.Contains(answer.Match.StatusCode, 2) && !slices.Contains(answer.Match.StatusCode, 200) {
			continue
		}
		return answer.Routes, answer.StatusCode == nil
	}
	return nil, false
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

// Find reads the configuration of the app http, and finds the ways to its upstreams.
func Find(config []byte) ([]Way, error) {
	found, err := Look(config)
	return found.Ways, err
}

func (s *server) survey(name string) Survey {
	f := &finder{server: s, name: name}
	f.follow(s.Routes, []state{everything()}, 0)
	if s.Errors != nil {
		f.onError = true
		f.follow(s.Errors.Routes, []state{everything()}, 0)
	}
	if f.tooMany {
		return Survey{}
	}
	found, path := Survey{Ways: f.ways, Twice: f.twice}, "apps.http.servers."+name
	if f.passes {
		return found
	}
	found.Idle = idle(s.Routes, path+".routes", nil)
	if s.Errors != nil {
		found.Idle = idle(s.Errors.Routes, path+".errors.routes", found.Idle)
	}
	return found
}
