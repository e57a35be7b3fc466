// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// FuzzInject sends any identity that the policy accepts over HTTP/1.1: the upstream must
// see exactly the fields that were written, and no other.
func FuzzInject(f *testing.F) {
	f.Add("alice", "dev", "ops", "42", "a@example.com", "example.com/tenant", "acme")
	f.Add("a,b", "c,d", "e|f", "", "", "%2f", "")
	f.Add("józef żółw", "my team", "🚀", "ü", "\u3164", "ü/-x-Y", "a  b")
	f.Add("a\r\nX-Admin: 1", "b", "c", "d", "e", "f\r\n", "g")
	f.Add(" alice", "dev\t", "\u00a0ops", "\x00", "\x7f", "Upper", " ")
	f.Add("system:admin", "system:masters", "x", "", "", "-", ":")
	f.Add("alice", "dev", "dev", "", "", "", "")
	injectors := map[string]func(key string) identity.Injector{
		"impersonation": func(key string) identity.Injector {
			return &impersonation.Impersonation{Credential: proxyToken(), UID: true, Extra: []string{key}}
		},
		"headers": func(string) identity.Injector {
			return &impersonation.Headers{
				User: "X-User", UID: "X-Uid", Email: "X-Email", Name: "X-Name", PreferredUsername: "X-Login",
				Groups: "X-Groups", Separator: ",", Extra: "X-Extra",
			}
		},
		"front_proxy": func(string) identity.Injector { return impersonation.FrontProxy() },
	}
	f.Fuzz(func(t *testing.T, user, group1, group2, uid, email, key, value string) {
		id := &identity.Identity{User: identity.User{
			Username: user, Groups: []string{group1, group2}, UID: uid, Email: email, Name: value, PreferredUsername: uid,
			Extra: map[string][]string{key: {value, uid}},
		}}
		var policy identity.Policy
		if policy.Check(id) != nil {
			return
		}
		for name, injector := range injectors {
			header := http.Header{"Accept": {"*/*"}}
			if err := injector(key).Inject(t.Context(), id, header); err != nil {
				wantOnly(t, err, identity.ErrForbidden)
				if !strings.Contains(group1+group2, ",") || len(header) != 1 {
					t.Errorf("%s: %v, and the header is %q", name, err, header)
				}
				continue
			}
			if got := overTheWire(t, header); !reflect.DeepEqual(got, header) {
				t.Errorf("%s: sent is\n%q, received\n%q", name, header, got)
			}
			checkInjected(t, name, id, header)
		}
	})
}

// overTheWire returns what the server at the other end reads.
func overTheWire(t *testing.T, header http.Header) http.Header {
	t.Helper()
	header = header.Clone()
	header["User-Agent"] = []string{"fuzz"} // or net/http adds its own
	request := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "upstream", Path: "/"}, Header: header}
	var wire bytes.Buffer
	if err := request.Write(&wire); err != nil {
		t.Fatal(err)
	}
	received, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("%q: %v", header, err)
	}
	delete(received.Header, "User-Agent")
	return received.Header
}

// checkInjected wants the user, every group, and the key that the API server reads.
func checkInjected(t *testing.T, injector string, id *identity.Identity, header http.Header) {
	t.Helper()
	fields := map[string]struct {
		user, groups, extra string
		join                bool
	}{
		"impersonation": {"Impersonate-User", "Impersonate-Group", "Impersonate-Extra-", false},
		"headers":       {"X-User", "X-Groups", "X-Extra", true},
		"front_proxy":   {"X-Remote-User", "X-Remote-Group", "X-Remote-Extra-", false},
	}[injector]
	groups := id.Groups
	if fields.join {
		groups = []string{strings.Join(groups, ",")}
	}
	if !reflect.DeepEqual(header[fields.user], []string{id.Username}) || !reflect.DeepEqual(header[fields.groups], groups) {
		t.Errorf("%s: %q is not %q in %q", injector, header, id.Username, groups)
	}
	keys := 0
	for field, values := range header {
		rest, isExtra := strings.CutPrefix(field, fields.extra)
		if !isExtra {
			continue
		}
		keys++
		if key := decodeAsAPIServer(t, rest); !reflect.DeepEqual(id.Extra[key], values) {
			t.Errorf("%s: %q is read as the key %q", injector, field, key)
		}
	}
	if keys != len(id.Extra) {
		t.Errorf("%s: %d extra fields, want %d", injector, keys, len(id.Extra))
	}
}
