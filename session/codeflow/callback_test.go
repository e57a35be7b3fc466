// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

func TestCallbacks(t *testing.T) {
	long := strings.Repeat("a", 4097)
	for raw, want := range map[string]string{
		"code=hidden&state=s":                         "",
		"code=hidden&state=s&iss=https%3A%2F%2Fidp":   "",
		"code=hidden&state=s&session_state=x&scope=a": "",
		"code=hidden&state=s&prompt=a&prompt=b":       "", // not ours: ignored
		"error=access_denied&state=s":                 "",
		"code=hidden&state=s&error_description=a":     "",

		"":                                      "the callback has no state",
		"state=s":                               "neither a code nor an error",
		"code=hidden":                           "the callback has no state",
		"error=access_denied":                   "the callback has no state",
		"code=hidden&state=s&error=hidden":      "both a code and an error",
		"code=hidden&code=hidden2&state=s":      "parameter code is there twice",
		"code=hidden&code=hidden&state=s":       "parameter code is there twice",
		"code=hidden&state=hidden&state=s":      "parameter state is there twice",
		"code=hidden&state=s&iss=a&iss=a":       "parameter iss is there twice",
		"error=a&error=b&state=s":               "parameter error is there twice",
		"error=a&state=s&error_uri=&error_uri=": "parameter error_uri is there twice",
		"code=&state=s":                         "parameter code is empty",
		"code=hidden&state=":                    "parameter state is empty",
		"code=hidden&state=s&iss=":              "parameter iss is empty",
		"code=hid%0d%0aden&state=s":             "parameter code is empty or has other",
		"code=hidden&state=%C3%A4":              "parameter state is empty or has other",
		"code=hidden&state=s&iss=a+b":           "parameter iss is empty or has other",
		"code=hidden&state=" + long:             "parameter state is longer",
		"code=" + long + "&state=s":             "parameter code is longer",
		"a=" + strings.Repeat(long, 4):          "longer than 16384 bytes",
		"code=hidden;state=s":                   "cannot be read",
		"code=hidden&state=%zz":                 "cannot be read",
		"code=hidden&state=s&id_token=x":        "only a code was asked for",
		"code=hidden&state=s&access_token=x":    "only a code was asked for",
		"response=x&state=s":                    "only a code was asked for",
	} {
		c, err := codeflow.ParseCallback(raw)
		if want == "" {
			if err != nil || c.State != "s" || (c.Code == "hidden") == (c.Error != "") {
				t.Errorf("%s: %+v, %v", raw, c, err)
			}
			continue
		}
		if c != nil {
			t.Errorf("%s: %+v", raw, c)
		}
		wantError(t, err, want, []string{"hidden"}, identity.ErrMalformed)
	}
}

// A code is a label of metrics and a reason in the log: a URL cannot make up new ones.
func TestErrorsOfTheIssuerAreOfAClosedSet(t *testing.T) {
	for given, want := range map[string]codeflow.ErrorCode{
		"access_denied": codeflow.CodeAccessDenied, "login_required": codeflow.CodeLoginRequired, "temporarily_unavailable": codeflow.CodeUnavailable,
		"server_error": codeflow.CodeServerError, "Access_Denied": codeflow.CodeOther, "other": codeflow.CodeOther, "made-up": codeflow.CodeOther,
	} {
		c, err := codeflow.ParseCallback(url.Values{
			"state": {"s"}, "error": {given}, "error_description": {"line 1\nline 2 " + strings.Repeat("x", 100)},
		}.Encode())
		if err != nil || c.Error != want || c.Code != "" || c.Description != `"line 1\nline 2 `+strings.Repeat("x", 50)+`"… (114 bytes)` {
			t.Errorf("%s: %+v, %v", given, c, err)
		}
	}
}

// Acceptance test 11: mix-up (RFC 9207).
func TestIssuerOfTheCallback(t *testing.T) {
	for name, test := range map[string]struct {
		iss       func(own string) []string
		announced any
		want      string
	}{
		"its own":                         {func(own string) []string { return []string{own} }, true, ""},
		"its own, not announced":          {func(own string) []string { return []string{own} }, nil, ""},
		"missing, not announced":          {func(string) []string { return nil }, nil, ""},
		"missing, announced as not there": {func(string) []string { return nil }, false, ""},
		"missing, announced":              {func(string) []string { return nil }, true, "does not say which issuer it is from"},
		"another":                         {func(string) []string { return []string{"https://evil.example"} }, true, `from another issuer: "https://evil.example"`},
		"another, not announced":          {func(string) []string { return []string{"https://evil.example"} }, nil, "from another issuer"},
		"with a slash":                    {func(own string) []string { return []string{own + "/"} }, true, "from another issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t, testissuer.LoginConfig{})
			f.login.OnDocument(func(document map[string]any) {
				document["authorization_response_iss_parameter_supported"] = test.announced
			})
			for _, answer := range []string{"code", "error"} {
				query := url.Values{answer: {"hidden"}, "state": {"s"}}
				if iss := test.iss(f.login.URL); iss != nil {
					query["iss"] = iss
				}
				c, err := codeflow.ParseCallback(query.Encode())
				if err != nil {
					t.Fatal(err)
				}
				err = f.CheckIssuer(t.Context(), c)
				if test.want == "" {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				f.wantError(t, err, test.want, identity.ErrMalformed)
				if answer == "code" {
					_, err = f.Exchange(t.Context(), c, attempt())
					f.wantError(t, err, test.want, identity.ErrMalformed)
				}
			}
			if f.login.Exchanges.Load() != 0 {
				t.Error("the code was sent to the issuer")
			}
		})
	}
}

func TestErrorIsNotRedeemed(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	c, err := codeflow.ParseCallback("error=access_denied&state=s")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Exchange(t.Context(), c, attempt())
	f.wantError(t, err, "the callback has no code", identity.ErrMalformed)
}

// Whatever is in the callback, it is refused without showing it, or read as it was written.
func FuzzParseCallback(f *testing.F) {
	f.Add("code=a&state=b&iss=https%3A%2F%2Fidp.example")
	f.Add("error=access_denied&error_description=x&state=b")
	f.Add("code=a&code=b&state=c;d=%zz")
	f.Add("code=%00&state=%ff&response=")
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := codeflow.ParseCallback(raw)
		if err != nil {
			if c != nil || !identity.IsRefusal(err) || len(err.Error()) > 200 {
				t.Errorf("%q: %+v, %v", raw, c, err)
			}
			return
		}
		values, err := url.ParseQuery(raw)
		switch {
		case err != nil || len(values["state"]) != 1 || values.Get("state") != c.State || c.State == "":
			t.Errorf("%q: %+v, %v", raw, c, err)
		case (c.Code == "") == (c.Error == "") || len(values["code"])+len(values["error"]) != 1 || values.Get("code") != c.Code:
			t.Errorf("%q: %+v", raw, c)
		case strings.ContainsAny(c.Code+c.State+string(c.Error)+c.Description, "\r\n\x00"):
			t.Errorf("%q: %+v", raw, c)
		}
	})
}
