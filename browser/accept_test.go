// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
)

func TestWantsJSON(t *testing.T) {
	for name, test := range map[string]struct {
		header http.Header
		want   bool
	}{
		"kubectl get": {http.Header{"Accept": {
			"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
		}}, true},
		"kubectl version":                 {http.Header{"Accept": {"application/json, */*"}}, true},
		"a script's fetch":                {http.Header{"Accept": {"*/*"}, "Sec-Fetch-Mode": {"cors"}}, true},
		"axios":                           {http.Header{"Accept": {"application/json, text/plain, */*"}}, true},
		"any application":                 {http.Header{"Accept": {"text/plain, application/*;q=0.1"}}, true},
		"in another case":                 {http.Header{"Accept": {"Application/JSON"}}, true},
		"in the second line":              {http.Header{"Accept": {"text/plain", "application/json"}}, true},
		"jQuery, which accepts HTML too":  {http.Header{"Accept": {"text/html, */*"}, "X-Requested-With": {"XMLHttpRequest"}}, true},
		"a page":                          {http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}, false},
		"a page that says so":             {http.Header{"Accept": {"application/json"}, "Sec-Fetch-Mode": {"navigate"}}, false},
		"no Accept":                       {nil, false},
		"an empty Accept":                 {http.Header{"Accept": {""}}, false},
		"only protobuf":                   {http.Header{"Accept": {"application/vnd.kubernetes.protobuf"}}, false},
		"an image":                        {http.Header{"Accept": {"image/avif,image/*"}}, false},
		"a longer type":                   {http.Header{"Accept": {"application/json-patch+json"}}, false},
		"JSON of weight zero":             {http.Header{"Accept": {"application/json;q=0, */*"}}, false},
		"JSON of weight zero, last":       {http.Header{"Accept": {"*/*, application/json; Q=0.000"}}, false},
		"all of weight zero except JSON":  {http.Header{"Accept": {"*/*;q=0, application/json;q=0.5"}}, true},
		"a weight that is almost nothing": {http.Header{"Accept": {"application/json;q=0.001"}}, true},
	} {
		if got := browser.WantsJSON(test.header); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzWantsJSON: JSON goes only to a client that names a type or range with it, and blanks and
// case do not matter.
func FuzzWantsJSON(f *testing.F) {
	for _, accept := range []string{
		"application/json", "*/*;q=0", "text/html, */*", "application/json;q=0;q=1", ";", ",", "application/*;q=0.0,application/json", "q=0",
	} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := browser.WantsJSON(http.Header{"Accept": {accept}, "Sec-Fetch-Mode": {"cors"}})
		lower := strings.ToLower(accept)
		if got && !strings.Contains(lower, "*/*") && !strings.Contains(lower, "application/*") && !strings.Contains(lower, "application/json") {
			t.Errorf("%q wants JSON", accept)
		}
		spread := strings.NewReplacer(",", " ,\t", ";", " ; ").Replace(accept)
		if browser.WantsJSON(http.Header{"Accept": {spread}, "Sec-Fetch-Mode": {"cors"}}) != got {
			t.Errorf("%q and %q are read in two ways", accept, spread)
		}
		if browser.WantsJSON(http.Header{"Accept": {accept}, "Sec-Fetch-Mode": {"navigate"}}) {
			t.Errorf("%q of a page wants JSON", accept)
		}
	})
}
