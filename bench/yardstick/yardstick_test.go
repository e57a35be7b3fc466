// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package yardstick_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/bench/yardstick"
)

func TestMinimalDeletesAndSetsFieldsOfACopy(t *testing.T) {
	m := parse(t, "yardstick_minimal {\n delete x-user X-Groups\n set X-Set one two\n set X-Set three\n set accept none\n}")
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header = http.Header{"X-User": {"alice"}, "X-Groups": {"a", "b"}, "X-Other": {"o"}, "Accept": {"*/*"}}
	var got http.Header
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		got = r.Header
		return nil
	})
	if err := m.ServeHTTP(httptest.NewRecorder(), r, next); err != nil {
		t.Fatal(err)
	}
	if want := (http.Header{"X-Other": {"o"}, "X-Set": {"one", "two", "three"}, "Accept": {"none"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("forwarded: %q, want %q", got, want)
	}
	if want := (http.Header{"X-Other": {"o"}, "Accept": {"*/*"}}); !reflect.DeepEqual(r.Header, want) {
		t.Errorf("the request itself: %q, want %q", r.Header, want)
	}
}

func TestYardsticksRefuseOtherWords(t *testing.T) {
	for text, want := range map[string]string{
		"yardstick_minimal 1":                 "wrong argument count",
		"yardstick_minimal {\n add X-A b\n}":  "unrecognized subdirective 'add'",
		"yardstick_minimal {\n delete\n}":     "wrong argument count",
		"yardstick_minimal {\n set X-A\n}":    "wrong argument count",
		"yardstick_null 1":                    "wrong argument count",
		"yardstick_null {\n delete X-A\n}":    "unrecognized subdirective 'delete'",
		"yardstick_minimal {\n delete X-A\n}": "there is no field to set",
		"yardstick_minimal {\n set X-A b\n}":  "",
		"yardstick_minimal {\n}":              "there is no field to set",
	} {
		d := caddyfile.NewTestDispenser(text)
		m := new(yardstick.Minimal)
		var err error
		if strings.HasPrefix(text, "yardstick_null") {
			err = new(yardstick.Null).UnmarshalCaddyfile(d)
		} else if err = m.UnmarshalCaddyfile(d); err == nil {
			if err = m.Provision(caddy.Context{}); err == nil {
				err = m.Validate()
			}
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func parse(t *testing.T, text string) *yardstick.Minimal {
	t.Helper()
	m := new(yardstick.Minimal)
	if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatal(err)
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return m
}
