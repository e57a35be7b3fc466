// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// place is where a handler is in the configuration: its path in the JSON, and the routes that a
// request takes to come to it, the outermost first.
type place struct {
	path  string // "" if it is not known
	ways  []way
	whole bool // ways are all; not in the routes of a reverse_proxy's handle_response, say
}

// way is the route, among others, in which the handler is, or a subroute that has it.
type way struct {
	routes caddyhttp.RouteList
	route  int
	handle int // its index among the route's handlers
}

// placeOf finds the place of the handler that is being provisioned. Caddy loads the handlers of
// one route after the other and then forgets their JSON: they are in the first route of each list
// that still has some.
func (h *Handler) placeOf(ctx caddy.Context) place {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return place{}
	}
	p := place{path: serverPath(ctx, server)}
	modules := ctx.Modules()
	if n := slices.IndexFunc(modules, func(m caddy.Module) bool { _, ok := m.(*caddyhttp.App); return ok }); n >= 0 {
		modules = modules[n+1:]
	}
	lists, path := serverLists(server), p.path
	for n, module := range modules {
		list, next, ok := h.step(lists, module)
		if !ok {
			return place{ways: p.ways}
		}
		path += fmt.Sprintf(".%s[%d].handle[%d]", list, next.route, next.handle)
		p.ways = append(p.ways, next)
		if n == len(modules)-1 {
			break
		}
		subroute, ok := module.(*caddyhttp.Subroute)
		if !ok {
			return place{ways: p.ways}
		}
		lists = map[string]caddyhttp.RouteList{"routes": subroute.Routes}
		if subroute.Errors != nil {
			lists["errors.routes"] = subroute.Errors.Routes
		}
	}
	if p.path != "" {
		p.path = path
	}
	p.whole = true
	return p
}

func serverPath(ctx caddy.Context, server *caddyhttp.Server) string {
	for _, module := range ctx.Modules() {
		app, ok := module.(*caddyhttp.App)
		if !ok {
			continue
		}
		for name, other := range app.Servers {
			if other == server {
				return "apps.http.servers." + name
			}
		}
	}
	return ""
}

// serverLists are the lists of routes of a server. A named route is not in a list.
func serverLists(server *caddyhttp.Server) map[string]caddyhttp.RouteList {
	lists := map[string]caddyhttp.RouteList{"routes": server.Routes}
	if server.Errors != nil {
		lists["errors.routes"] = server.Errors.Routes
	}
	return lists
}

// step finds a module that is being loaded among the handlers of lists of routes.
func (h *Handler) step(lists map[string]caddyhttp.RouteList, module caddy.Module) (list string, next way, ok bool) {
	for _, name := range []string{"routes", "errors.routes"} {
		routes := lists[name]
		n := slices.IndexFunc(routes, func(route caddyhttp.Route) bool { return len(route.HandlersRaw) > 0 })
		if n < 0 {
			continue
		}
		handle := h.among(routes[n].HandlersRaw, module.CaddyModule().ID.Name())
		return name, way{routes, n, handle}, handle >= 0
	}
	return "", way{}, false
}

// among returns the index of the handler, or of the one in which it is; -1 if several could be it.
func (h *Handler) among(handlers []json.RawMessage, name string) int {
	if len(handlers) == 1 {
		return 0 // a site, say, which may be long
	}
	var named, withIt []int
	for n, raw := range handlers {
		var handler struct {
			Name string `json:"handler"`
		}
		if json.Unmarshal(raw, &handler) != nil || handler.Name != name {
			continue
		}
		named = append(named, n)
		if len(h.SourcesRaw) > 0 && bytes.Contains(sorted(raw), sorted(h.SourcesRaw[0])) {
			withIt = append(withIt, n)
		}
	}
	switch {
	case len(named) == 1:
		return named[0]
	case len(withIt) == 1:
		return withIt[0]
	}
	return -1
}

// sorted writes JSON as Caddy does when it takes the name of a module out of it.
func sorted(raw json.RawMessage) []byte {
	var value any
	_ = json.Unmarshal(raw, &value)
	text, _ := json.Marshal(value)
	return text
}

// guestPlace names a guest by its place in the handler's JSON.
func guestPlace(list string, n int, name string) string {
	return fmt.Sprintf("%s[%d] (%s)", list, n, name)
}

func moduleName(module any) string {
	if named, ok := module.(caddy.Module); ok {
		return named.CaddyModule().ID.Name()
	}
	return fmt.Sprintf("%T", module)
}

// located puts the path of the handler in the JSON before each error, as a part of it where the
// error begins with a field.
func (h *Handler) located(err error) error {
	if err == nil || h.at.path == "" {
		return err
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, one := range several.Unwrap() {
			errs = append(errs, h.located(one))
		}
		return errors.Join(errs...)
	}
	between := ": "
	if field, _, ok := strings.Cut(err.Error(), ":"); ok {
		field, _, _ = strings.Cut(field, "[")
		if slices.Contains(jsonFields(h), field) {
			between = "."
		}
	}
	return fmt.Errorf("%s%s%w", h.at.path, between, err)
}
