// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// BenchmarkManySites is a server with many sites, half of which guard what the others forward to.
func BenchmarkManySites(b *testing.B) {
	const sites = 2000
	var list []object
	for n := range sites {
		inside := []object{on(path("/healthz"), static), on(path("/api/*"), guard), on(nil, proxy(fmt.Sprintf("a:%d", n/2)))}
		if n%2 > 0 {
			inside = inside[2:]
		}
		list = append(list, site(fmt.Sprintf("site-%d.example", n), inside...))
	}
	config, err := json.Marshal(object{"servers": object{"main": object{"routes": list}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		ways, err := routes.Find(config)
		if err != nil {
			b.Fatal(err)
		}
		if beside := routes.BesideSite(ways, "main", "site-10.example"); len(beside.Same) != 2 || len(beside.Others) != 0 {
			b.Fatalf("%+v", beside)
		}
	}
}
