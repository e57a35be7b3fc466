// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

type object = map[string]any

// The handlers and matchers of the tests.
var (
	guard   = object{"handler": "kube_identity"}
	static  = object{"handler": "static_response"}
	rewrite = object{"handler": "rewrite", "uri": "/api/x"}
)

func proxy(dial string) object {
	return object{"handler": "reverse_proxy", "upstreams": []object{{"dial": dial}}}
}

func asks(dial string) object {
	h := proxy(dial)
	h["handle_response"] = []object{{"match": object{"status_code": []int{2}}, "routes": []object{{"handle": []object{{"handler": "headers"}}}}}}
	return h
}

func sub(list ...object) object { return object{"handler": "subroute", "routes": list} }

func on(match object, handlers ...object) object {
	r := object{"handle": handlers}
	if match != nil {
		r["match"] = []object{match}
	}
	return r
}

func in(group string, r object) object { r["group"] = group; return r }

func path(patterns ...string) object { return object{"path": patterns} }

func site(host string, list ...object) object {
	return object{"match": []object{{"host": []string{host}}}, "handle": []object{sub(list...)}, "terminal": true}
}

func TestWaysBesideKubeIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		routes, errors []object
		same, others   []string
	}{
		"a guarded site":                         {routes: []object{on(nil, guard), on(nil, proxy("a:1"))}},
		"the guard has a matcher, not the proxy": {routes: []object{on(path("/api/*"), guard), on(nil, proxy("a:1"))}, same: []string{"requests to a.example, except for /api/*"}},
		"a matcher of all paths":                 {routes: []object{on(path("/*"), guard), on(nil, proxy("a:1"))}},
		"the same matcher on both":               {routes: []object{on(path("/api/*"), guard), on(path("/api/*"), proxy("a:1"))}},
		"the proxy has less":                     {routes: []object{on(path("/api*"), guard), on(path("/API/v1/*", "/api/v2"), proxy("a:1"))}},
		"the proxy has more": {
			routes: []object{on(path("/api/*"), guard), on(path("/api*"), proxy("a:1"))},
			same:   []string{"requests to a.example for /api*, except for /api/*"},
		},
		"two guards for the paths of one proxy": {routes: []object{
			on(path("/a/*"), guard), on(path("/b/*"), guard), on(path("/a/*", "/b/*"), proxy("a:1")),
		}},
		"the guard leaves a page out": {
			routes: []object{on(object{"not": []object{path("/healthz")}}, guard), on(nil, proxy("a:1"))},
			same:   []string{"requests to a.example for /healthz"},
		},
		"the guard leaves a page out that is not the proxy's": {routes: []object{
			on(object{"not": []object{path("/healthz")}}, guard), on(path("/api/*"), proxy("a:1")),
		}},
		"two guards, of which one has what the other leaves out": {routes: []object{
			on(path("/healthz"), guard), on(object{"not": []object{path("/healthz")}}, guard), on(nil, proxy("a:1")),
		}},
		"the proxy leaves out what the guard leaves out": {routes: []object{
			on(object{"not": []object{path("/healthz")}}, guard), on(object{"not": []object{path("/healthz")}}, proxy("a:1")),
		}},
		"a health page, a redirect and files before it": {routes: []object{
			on(path("/healthz"), static), on(path("/old"), static), on(path("/assets/*"), object{"handler": "file_server"}),
			on(nil, guard), on(nil, proxy("a:1")),
		}},
		"files, and the rest is the proxy's": {
			routes: []object{on(path("/a/*"), guard, proxy("a:1")), on(nil, object{"handler": "file_server", "pass_thru": true}), on(nil, proxy("a:1"))},
			same:   []string{"requests to a.example, except for /a/*"},
		},
		"a terminal route that ends": {routes: []object{
			{"match": []object{path("/x/*")}, "terminal": true, "handle": []object{{"handler": "vars"}}},
			on(path("/y/*"), guard), on(path("/x/*", "/y/*"), proxy("a:1")),
		}},
		"two blocks, of which one request takes one": {
			routes: []object{in("g", on(path("/api/*"), sub(on(nil, guard), on(nil, proxy("a:1"))))), in("g", on(nil, sub(on(nil, proxy("b:1")))))},
			others: []string{"requests to a.example, except for /api/*"},
		},
		"a block behind one that has taken all": {routes: []object{
			in("g", on(nil, sub(on(nil, guard)))), in("g", on(nil, sub(on(nil, proxy("b:1"))))), on(nil, proxy("a:1")),
		}},
		"the request is rewritten to what would have been guarded": {
			routes: []object{on(path("/api/*"), guard), on(nil, rewrite), on(path("/api/*"), proxy("a:1"))},
			same:   []string{"requests to a.example for /api/*, except for /api/*"},
		},
		"a field of the response between": {routes: []object{
			on(path("/api/*"), guard), on(nil, object{"handler": "headers"}), on(path("/api/*"), proxy("a:1")),
		}},
		"another handler that may change variables": {
			routes: []object{
				on(object{"vars": object{"a": []string{"b"}}}, guard), on(path("/"), object{"handler": "vars"}, static),
				on(nil, object{"handler": "map"}), on(object{"vars": object{"a": []string{"b"}}}, proxy("a:1")),
			},
			same: []string{`requests to a.example for vars {"a":["b"]}, except for vars {"a":["b"]} or /`},
		},
		"methods": {routes: []object{on(object{"method": []string{"GET", "POST"}}, guard), on(object{"method": []string{"GET"}}, proxy("a:1"))}},
		"the pages of an authentication server": {routes: []object{
			in("g", on(path("/oauth2/*"), proxy("auth:4180"))),
			in("g", on(nil, sub(on(nil, asks("auth:4180")), on(nil, guard), on(nil, proxy("a:1"))))),
		}},
		"other handlers that authenticate": {
			routes: []object{
				on(path("/a/*"), object{"handler": "authentication"}, proxy("a:1")), on(path("/b/*"), asks("auth:1"), proxy("a:1")),
				on(path("/c/*"), object{"handler": "authentication"}, proxy("b:1")), on(nil, guard), on(nil, proxy("a:1")),
			},
			same: []string{"requests to a.example for /a/*, behind basic_auth", "requests to a.example for /b/*, behind forward_auth"},
		},
		"an error page of the upstream that is guarded": {
			routes: []object{on(nil, guard), on(nil, proxy("a:1"))}, errors: []object{on(nil, proxy("a:1"))},
			same: []string{"requests that end with an error"},
		},
		"an error page of another server": {
			routes: []object{on(nil, guard), on(nil, proxy("a:1"))}, errors: []object{on(nil, proxy("pages:1"))},
		},
		"a named route": {
			routes: []object{on(path("/api/*"), guard), on(nil, object{"handler": "invoke", "name": "dashboards"})},
			same:   []string{"requests to a.example, except for /api/*"},
		},
		"a matcher that is not a list": {
			routes: []object{on(path("/api/*"), guard), on(object{"path": "{x}", "expression": "true"}, proxy("a:1"))},
			same:   []string{`requests to a.example for expression "true" with path "{x}", except for /api/*`},
		},
		"no kube_identity": {routes: []object{on(nil, proxy("a:1"))}},
	} {
		t.Run(name, func(t *testing.T) {
			server := object{
				"routes":       []object{site("a.example", test.routes...), site("*.other.example", on(nil, proxy("elsewhere:1")))},
				"errors":       object{"routes": test.errors},
				"named_routes": object{"dashboards": on(nil, proxy("a:1"))},
			}
			beside := routes.BesideSite(find(t, object{"main": server}), "main", "A.example:8080")
			compare(t, beside.Same, test.same)
			compare(t, beside.Others, test.others)
		})
	}
}

// A dashboard is reached by its other name, or by another port.
func TestAnotherSiteHasTheUpstream(t *testing.T) {
	ways := find(t, object{
		"one": object{"routes": []object{site("a.example", on(nil, guard), on(nil, proxy("a:1"))), site("*.b.example", on(nil, proxy("a:1")))}},
		"two": object{"routes": []object{on(nil, proxy("a:1"))}},
	})
	compare(t, routes.BesideSite(ways, "one", "a.example").Same, []string{"requests to *.b.example", "requests"})
	beside := routes.BesideSite(ways, "one", "x.b.example")
	compare(t, beside.Same, nil)
	compare(t, beside.Elsewhere, []string{"requests to a.example"})
}

// Named routes may invoke each other, and matchers may be many.
func TestRoutesWithoutAnEnd(t *testing.T) {
	loop := object{"handler": "invoke", "name": "loop"}
	server := object{"named_routes": object{"loop": on(nil, loop)}, "routes": []object{on(nil, guard), on(path("/x"), loop), on(nil, proxy("a:1"))}}
	tooMany(t, server)
	var many []object
	for range 20 {
		many = append(many, on(object{"header": object{"A": []string{strings.Repeat("a", len(many)+1)}}}, rewrite))
	}
	tooMany(t, object{"routes": append(many, on(nil, proxy("a:1")))})
}

func tooMany(t *testing.T, server object) {
	t.Helper()
	config, err := json.Marshal(object{"servers": object{"main": server}})
	if err != nil {
		t.Fatal(err)
	}
	if ways, err := routes.Find(config); !errors.Is(err, routes.ErrTooMany) || len(ways) > 0 {
		t.Errorf("there are %d ways, and the error %v", len(ways), err)
	}
}

func TestAnUpstreamThatIsFound(t *testing.T) {
	for dynamic, want := range map[string]string{
		`{"source": "srv", "service": "http", "name": "a.example"}`: "srv a.example",
		`{"source": "a", "name": "a.example", "port": "80"}`:        "a a.example:80",
		`{"source": "kubernetes_service", "service": "ns/a"}`:       "kubernetes_service ns/a",
		`{"source": "multi", "of": []}`:                             `multi {"of":[],"source":"multi"}`,
	} {
		h := object{"handler": "reverse_proxy", "dynamic_upstreams": json.RawMessage(dynamic)}
		if ways := find(t, object{"main": object{"routes": []object{on(nil, h)}}}); len(ways) != 1 || !slices.Equal(ways[0].Upstreams, []string{want}) {
			t.Errorf("%s: %v", dynamic, ways)
		}
	}
}

func find(t *testing.T, servers object) []routes.Way {
	t.Helper()
	config, err := json.Marshal(object{"servers": servers})
	if err != nil {
		t.Fatal(err)
	}
	var sorted any // as Caddy has it
	if err := json.Unmarshal(config, &sorted); err != nil {
		t.Fatal(err)
	}
	if config, err = json.Marshal(sorted); err != nil {
		t.Fatal(err)
	}
	ways, err := routes.Find(config)
	if err != nil {
		t.Fatal(err)
	}
	return ways
}

func compare(t *testing.T, ways []routes.Way, want []string) {
	t.Helper()
	var got []string
	for n := range ways {
		got = append(got, ways[n].Requests())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
