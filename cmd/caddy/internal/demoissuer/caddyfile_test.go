// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func TestCaddyfile(t *testing.T) {
	got := new(Handler)
	err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`demo_issuer http://127.0.0.1:8083 {
		client_id dash
		client_secret_file secret
		redirect_url http://127.0.0.1:8081/a http://localhost:8081/a
		post_logout_url http://127.0.0.1:8081/b
	}`))
	want := &Handler{
		URL: issuerURL, ClientID: "dash", ClientSecretFile: "secret",
		RedirectURLs: []string{"http://127.0.0.1:8081/a", "http://localhost:8081/a"}, PostLogoutURLs: []string{"http://127.0.0.1:8081/b"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	const asJSON = `{"url":"http://127.0.0.1:8083","client_id":"dash","client_secret_file":"secret",` +
		`"redirect_url":["http://127.0.0.1:8081/a","http://localhost:8081/a"],"post_logout_url":["http://127.0.0.1:8081/b"]}`
	if text, err := json.Marshal(got); err != nil || string(text) != asJSON {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestACaddyfileIsRefused(t *testing.T) {
	const begin = "demo_issuer " + issuerURL
	for text, says := range map[string]string{
		"demo_issuer":                                                   "wrong argument count",
		begin + " more":                                                 "wrong argument count",
		"demo_issuer http://192.168.1.2:8083":                           "not a loopback address",
		begin + " {\n\tuser eve\n}":                                     "unrecognized subdirective 'user'",
		begin + " {\n\tclient_id\n}":                                    "wrong argument count",
		begin + " {\n\tclient_id a b\n}":                                "wrong argument count",
		begin + " {\n\tclient_id a\n\tclient_id b\n}":                   "client_id already specified",
		begin + " {\n\tclient_id \"a b\"\n}":                            "parsing client_id",
		begin + " {\n\tclient_secret_file \"\"\n}":                      "parsing client_secret_file",
		begin + " {\n\tredirect_url\n}":                                 "wrong argument count",
		begin + " {\n\tredirect_url https://evil.example/\n}":           "parsing redirect_url",
		begin + " {\n\tpost_logout_url http://a.localhost/ x\n}":        "parsing post_logout_url",
		begin + " {\n\tredirect_url http://localhost/ {\n\t\ta\n\t}\n}": "",
	} {
		t.Run(text, func(t *testing.T) {
			err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the error is %v, want one with %q", err, says)
			}
		})
	}
}

// Without an order the directive would need a route around it.
func TestTheDirectiveStandsAloneInASite(t *testing.T) {
	text := string(testhandler.Adapt(t, site("8083", "")))
	if !strings.Contains(text, `"handler":"demo_issuer"`) {
		t.Errorf("the configuration is %s", text)
	}
}
