// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"
	"testing"
)

func TestAURLIsShownWithoutItsCredentials(t *testing.T) {
	for name, location := range map[string]string{
		"a parameter":                     "/x?access_token=PW&a=b",
		"a parameter by its short name":   "/x?key=PW",
		"a word for authentication":       "/x?auth=PW",
		"an encoded name":                 "/x?%74oken=PW",
		"a name that is encoded twice":    "/x?%2574oken=PW",
		"a semicolon before it":           "/x?a=b;token=PW",
		"a parameter of the path":         "/x;token=PW/y",
		"a parameter of the fragment":     "/x#access_token=PW",
		"an address in a parameter":       "/kube-identity/login?to=/x%3Faccess_token%3DPW",
		"an address that is not encoded":  "/kube-identity/login?to=/x?access_token=PW",
		"an address in an address":        "/login?to=%2Fa%3Fto%3D%252Fx%253Fkey%253DPW",
		"a query in the path":             "/x%3Faccess_token%3DPW",
		"an encoding that is broken":      "/x?%74oken%zz=PW",
		"a broken path":                   "https://a.example/%zz?access_token=PW",
		"a token with another name":       "/x?t=eyJPW",
		"a user":                          "https://alice:PW@a.example/x",
		"a user of another scheme":        "ftp://alice:PW@a.example/",
		"a user in an address":            "/login?to=https%3A%2F%2Falice:PW%40a.example",
		"a password with a slash":         "https://alice:a/PW@a.example",
		"a password with a question mark": "https://alice:a?PW@a.example",
		"a password with a blank":         "https://alice:a PW@a.example/",
		"a second URL":                    "https://a.example, https://alice:PW@b.example",
	} {
		t.Run(name, func(t *testing.T) {
			if got := WithoutSecrets(location); strings.Contains(got, "PW") {
				t.Errorf("%s is shown as %s", location, got)
			}
		})
	}
	for _, location := range []string{
		"/", "/x?a=b&c=%20d", "https://a.example/@scope/x%20y?rd=%2Fa%3Fb%3Dc", "a?b?c=&token=", "alice@example.com", "/api/v1/namespaces/default/services/https:dash:443/proxy/",
	} {
		if got := WithoutSecrets(location); got != location {
			t.Errorf("%s is shown as %s", location, got)
		}
	}
}

func TestAFieldIsShownWithoutItsCredentials(t *testing.T) {
	for _, field := range []string{
		"Authorization: Bearer PW", "Authorization: PW x", "Authorization: PW", "X-Authorization: Bearer PW", "X-Original-Authorization: PW",
		"Authentication: PW", "Dpop: PW", "X-Otp: PW", "X-Any: Basic PW", "X-Any: bearer PW", "X-Any: eyJPW",
		"Referer: https://x/?code=PW&access_token=PW", "Referer: https://alice:PW@x/", "X-Original-Url: /x?access_token=PW", "X-Forwarded-Uri: /x?token=PW",
	} {
		name, value, _ := strings.Cut(field, ": ")
		if got := new(Report).shown(name, value); strings.Contains(got, "PW") {
			t.Errorf("%s is shown as %s", field, got)
		}
	}
	for _, value := range []string{"alice", "alice@example.com", "text/html,*/*;q=0.8", "Mozilla/5.0 (X11; Linux x86_64)"} {
		if got := new(Report).shown("X-Remote-User", value); got != value {
			t.Errorf("%s is shown as %s", value, got)
		}
	}
}

func TestWhatIsNotAURLIsShownWithoutItsUser(t *testing.T) {
	for _, text := range []string{"alice:PW@a.example/", "https:alice:PW@a.example/", "https:/alice:PW@a.example"} {
		if got := (&description{url: text}).shown(); strings.Contains(got, "PW") {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}
