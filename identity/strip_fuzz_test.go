// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FuzzStrip adds two fields of any name to a usual request.
func FuzzStrip(f *testing.F) {
	f.Add("Impersonate-User", "eve", "Connection", "close, Impersonate-User", "", false)
	f.Add("X_Forwarded_User", "eve", "x-forwarded-user", "mallory", "", true)
	f.Add("Connection", "Upgrade, Impersonate-Group", "X.Remote.User", "eve", "websocket", false)
	f.Add("Sec-Websocket-Protocol", "a, base64url.bearer.authorization.k8s.io.dG9r, b", "Upgrade", "h2c", "websocket", false)
	f.Add("Sec-Websocket-Protocol", "\u00a0base64url.bearer.authorization.k8s.io.dG9r", "Authorization", "Bearer x", "", false)
	f.Add("Cookie", "session=1; theme=dark;session=2", "Keep-Alive", "Impersonate-User", "SPDY/3.1", false)
	f.Add("Cookie", "=session=1; = session; ==session=1", "Sec-Websocket-Protocol", "a, BASE64url.headlamp.authorization.k8s.io.eve", "websocket", true)
	f.Add("Cookie", ";=;session ;", "Trailer", "Impersonate-User", "h2c", false)
	f.Add("Proxy-Connection", "X", "Remote_User", "\xff", "", true)
	f.Add("Accept", "*/*", "ACCEPT", "", "", true)
	f.Add("Authorization", "Basic x", "authorization", "Bearer y", "", true)
	patterns := append(identity.BuiltinFields(), "X-Own", "Y-Own-*")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, upgrade string, raw bool) {
		header := http.Header{
			"Accept": {"*/*"}, "Impersonate-User": {"eve"}, "Cookie": {"session=0; a=b", " c=d"}, "X-Request-Id": {"1", "2"},
		}
		for _, field := range [][2]string{{name1, value1}, {name2, value2}} {
			if !raw { // net/http makes every key canonical; other middleware may not
				field[0] = textproto.CanonicalMIMEHeaderKey(field[0])
			}
			header[field[0]] = append(header[field[0]], field[1])
		}
		if upgrade != "" {
			header["Upgrade"] = []string{upgrade}
			header["Connection"] = append(header["Connection"], "Upgrade")
		}
		upgrade, _ = identity.Shape{
			Method: http.MethodGet, Upgrade: header["Upgrade"], Connection: header["Connection"],
		}.Check()
		before := respelled(header)
		rules := identity.StripRules{Fields: names(t, patterns...), Cookies: identity.Patterns{"session*"}}
		stripped := byName(t, rules.Strip(header, upgrade, nil))

		connection, upgrades := []string(nil), []string(nil)
		if upgrade != "" {
			connection, upgrades = []string{"Upgrade"}, []string{upgrade}
		}
		if !reflect.DeepEqual(header["Connection"], connection) || !reflect.DeepEqual(header["Upgrade"], upgrades) {
			t.Errorf("Connection is %q, Upgrade %q, wanted is %q", header["Connection"], header["Upgrade"], upgrade)
		}
		for name, values := range before {
			isStripped := slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
			left, there := header[name]
			switch {
			case isStripped && there:
				t.Errorf("%q is still in the request", name)
			case isStripped:
				for _, value := range values {
					if !slices.Contains(stripped[textproto.CanonicalMIMEHeaderKey(name)], value) {
						t.Errorf("%q of %q is not among the stripped fields", value, name)
					}
				}
			case onlyConnection(name) && name != "Connection" && name != "Upgrade" && there:
				t.Errorf("%q is still in the request", name)
			case onlyConnection(name):
			case name == "Cookie":
				checkCookies(t, values, left)
			case name == "Sec-Websocket-Protocol" && hasCredential(values):
				checkProtocols(t, left)
			case name == "Sec-Websocket-Protocol" && raw:
			case !reflect.DeepEqual(left, values):
				t.Errorf("%q was %q and is %q", name, values, left)
			}
		}
		for name := range header {
			if canonical := textproto.CanonicalMIMEHeaderKey(name); onlyConnection(canonical) && canonical != name {
				t.Errorf("%q is still in the request", name)
			}
			if _, found := before[name]; !found && upgrade == "" {
				t.Errorf("%q is new", name)
			}
		}
	})
}

// respelled returns a copy in which the fields with rules of their own have their canonical
// spelling.
func respelled(header http.Header) http.Header {
	respelled := make(http.Header)
	for name, values := range header {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if onlyConnection(canonical) || canonical == "Cookie" || canonical == "Sec-Websocket-Protocol" {
			name = canonical
		}
		respelled[name] = append(respelled[name], values...)
	}
	return respelled
}

func onlyConnection(name string) bool {
	return slices.Contains([]string{"Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Trailer"}, name)
}

func hasCredential(protocols []string) bool {
	line := strings.ToLower(strings.Join(protocols, ","))
	return strings.Contains(line, bearerElement) || strings.Contains(line, headlampElement)
}

// checkProtocols fails if the API server would find a token, or Headlamp a user.
func checkProtocols(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.TrimSpace(element); strings.HasPrefix(element, bearerElement) || strings.HasPrefix(element, headlampElement) {
				t.Errorf("a credential is left in %q", line)
			}
		}
	}
}

// checkCookies wants exactly the cookies whose name does not begin with "session", and for a
// nameless one its value, in any order: keys that were merged came in the order of the map.
func checkCookies(t *testing.T, before, after []string) {
	t.Helper()
	split := func(lines []string, all bool) (cookies []string) {
		for _, line := range lines {
			for cookie := range strings.SplitSeq(line, ";") {
				bare := strings.Trim(cookie, " \t\r\n")
				bare = strings.TrimLeft(strings.TrimPrefix(bare, "="), " \t\r\n")
				isSession := strings.HasPrefix(bare, "session")
				if cookie = strings.Trim(cookie, " \t\r\n"); (all || !isSession) && cookie != "" {
					cookies = append(cookies, cookie)
				}
			}
		}
		return cookies
	}
	want, got := split(before, false), split(after, true)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the cookies %q became %q", before, after)
	}
}
