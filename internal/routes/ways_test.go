// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// answering is a proxy with routes for some of the answers.
func answering(handler object, dial string, codes []int, list ...object) object {
	if handler == nil {
		handler = proxy(dial)
	}
	handler["handle_response"] = []object{{"match": object{"status_code": codes}, "routes": list}}
	return handler
}

func setField(name string) object {
	return object{"handler": "headers", "request": object{"set": object{name: []string{"x"}}}}
}

func regexp(name string) object { return object{"path_regexp": object{"name": name, "pattern": "^/a"}} }

func TestWaysThatAreHardToSee(t *testing.T) {
	field, all := object{"header": object{"A": []string{"b"}}}, []int{2}
	for name, test := range map[string]struct {
		routes []object
		same   []string
	}{
		"an answer that is copied": {
			routes: []object{on(path("/x"), guard, proxy("a:1")), on(nil, answering(nil, "a:1", all, on(nil, object{"handler": "copy_response"})))},
			same:   []string{"requests to a.example, except for /x"},
		},
		"an answer that is copied for some requests": {
			routes: []object{on(path("/x"), guard, proxy("a:1")), on(nil, answering(nil, "a:1", all, on(path("/y"), object{"handler": "copy_response"})))},
			same:   []string{"requests to a.example, except for /x"},
		},
		"an answer for which another is written": {
			routes: []object{on(path("/x"), guard, proxy("a:1")), on(nil, answering(nil, "a:1", all, on(nil, static)))},
			same:   []string{"requests to a.example, except for /x"},
		},
		"another upstream for a bad answer": {
			routes: []object{on(path("/x"), guard, proxy("a:1")), on(nil, answering(nil, "b:1", []int{404}, on(nil, proxy("a:1"))))},
			same:   []string{"requests to a.example, except for /x"},
		},
		"another upstream for the answer of the guard": {
			routes: []object{on(nil, answering(object{"handler": "intercept"}, "", []int{401}, on(nil, proxy("a:1")))), on(nil, guard), on(nil, proxy("a:1"))},
			same:   []string{"requests whose answer is intercepted to a.example"},
		},
		"another upstream for the error of the guard": {
			routes: []object{on(nil, object{"handler": "subroute", "routes": []object{on(nil, guard)}, "errors": object{"routes": []object{on(nil, proxy("a:1"))}}}), on(nil, proxy("a:1"))},
			same:   []string{"requests that end with an error to a.example"},
		},
		"a field that is changed between": {
			routes: []object{on(field, guard), on(path("/y"), setField("A")), on(field, proxy("a:1"))},
			same:   []string{"requests to a.example for header A, except for header A"},
		},
		"the name of the site is changed between": {
			routes: []object{on(path("/x"), guard, proxy("a:1")), on(nil, setField("host")), on(object{"host": []string{"b.example"}}, proxy("a:1"))},
			same:   []string{"requests to a.example, except for /x"},
		},
		"methods in another case": {routes: []object{on(object{"method": []string{"get"}}, guard), on(object{"method": []string{"GET"}}, proxy("a:1"))}},
		"slashes that are merged": {
			routes: []object{on(path("/a//b*"), guard, proxy("a:1")), on(path("/a/b*"), proxy("a:1"))},
			same:   []string{"requests to a.example for /a/b*, except for /a//b*"},
		},
		"an expression with another name": {routes: []object{
			on(object{"expression": object{"expr": "true", "name": "a"}}, guard), on(object{"expression": object{"expr": "true", "name": "b"}}, proxy("a:1")),
		}},
		"a pattern with another name": {routes: []object{on(regexp("a"), guard), on(regexp("b"), proxy("a:1"))}},
		"this machine by another name": {
			routes: []object{on(path("/x"), guard, proxy("localhost:1")), on(path("/y"), proxy(":1")), on(path("/z"), proxy("tcp/[::1]:1")), on(nil, proxy("127.0.0.1:2"))},
			same:   []string{"requests to a.example for /y", "requests to a.example for /z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := object{"routes": []object{site("a.example", test.routes...)}}
			compare(t, routes.BesideSite(find(t, object{"main": server}), "main", "a.example").Same, test.same)
		})
	}
}

func TestAnUpstreamThatIsNotKnown(t *testing.T) {
	dynamic := object{"handler": "reverse_proxy", "dynamic_upstreams": object{"source": "srv", "name": "b.example"}}
	ways := find(t, object{"main": object{"routes": []object{
		site("a.example", on(nil, guard), on(nil, proxy("a:1"))), site("b.example", on(path("/x"), dynamic), on(nil, proxy("{header.X}:1"))),
	}}})
	compare(t, routes.BesideSite(ways, "main", "a.example").Unknown, []string{"requests to b.example for /x", "requests to b.example, except for /x"})
	compare(t, routes.BesideSite(ways, "main", "b.example").Unknown, nil)
}

// Each of them would double the cases otherwise.
func TestRoutesThatOnlyChangeFieldsAreNotMany(t *testing.T) {
	var many []object
	for n := range 40 {
		many = append(many, on(path(fmt.Sprintf("/%d/*", n)), []object{{"handler": "vars"}, setField("A"), {"handler": "map"}}[n%3]))
	}
	many = append(many, on(path("/api/*"), guard), on(nil, proxy("a:1")))
	compare(t, routes.BesideSite(find(t, object{"main": object{"routes": []object{site("a.example", many...)}}}), "main", "a.example").Same,
		[]string{"requests to a.example, except for /api/*"})
}

func TestTheServerOfAWay(t *testing.T) {
	ways := find(t, object{"main": object{"listen": []string{":8080"}, "routes": []object{on(nil, proxy("a:1"))}}})
	if len(ways) != 1 || ways[0].Server != "main" || !slices.Equal(ways[0].Listen, []string{":8080"}) {
		t.Errorf("the ways are %+v", ways)
	}
}
