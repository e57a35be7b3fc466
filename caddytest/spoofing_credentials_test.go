// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"fmt"
	"net/http"
	"testing"
)

// Single-valued fields in two lines: a proxy sets such a field and does not add to it,
// so one of the two is somebody else's, and there is no telling which.
func TestDuplicates(t *testing.T) {
	malformed := func(name, field string, fields ...string) exchange {
		return exchange{name: name, fields: fields, status: http.StatusBadRequest, reason: "malformed: 2 lines of " + field}
	}
	guard(t, "", everything(t)).run(t, []exchange{
		malformed("two users", "X-Forwarded-User", "X-Forwarded-User: alice", "X-Forwarded-User: admin"),
		malformed("the same user twice", "X-Forwarded-User", "X-Forwarded-User: alice", "x-forwarded-user: alice"),
		malformed("an empty user and another", "X-Forwarded-User", "X-Forwarded-User:", "X-Forwarded-User: admin"),
		malformed("two uids", "X-Forwarded-Uid", aliceAnd("X-Forwarded-Uid: 1", "X-FORWARDED-UID: 2")...),
		malformed("two addresses", "X-Forwarded-Email", aliceAnd("X-Forwarded-Email: a@example.com", "X-Forwarded-Email: b@example.com")...),
		malformed("two display names", "X-Forwarded-Name", aliceAnd("X-Forwarded-Name: a", "X-Forwarded-Name: b")...),
		malformed("two logins", "X-Forwarded-Preferred-Username",
			aliceAnd("X-Forwarded-Preferred-Username: a", "X-Forwarded-Preferred-Username: b")...),
		{
			name:   "two extras that are one key",
			fields: aliceAnd("X-Forwarded-Extra-Scopes: read", "X-Forwarded-Extra-%73copes: all"),
			status: http.StatusBadRequest, reason: `malformed: two extra fields for the key "scopes"`,
		},
		{
			name:   "an extra whose key cannot be read",
			fields: aliceAnd("X-Forwarded-Extra-%zz: all"),
			status: http.StatusBadRequest, reason: `malformed: the name of the extra field "X-Forwarded-Extra-%zz"`,
		},
		{
			name:   "an extra whose key is in upper case once it is read",
			fields: aliceAnd("X-Forwarded-Extra-%53copes: all"),
			status: http.StatusBadRequest, reason: `malformed: the name of the extra field "X-Forwarded-Extra-%53copes"`,
		},
		{
			name:   "an extra without a key",
			fields: aliceAnd("X-Forwarded-Extra-: all"),
			status: http.StatusBadRequest, reason: `malformed: the name of the extra field "X-Forwarded-Extra-"`,
		},
		{
			name:   "an extra whose key hides a line break",
			fields: aliceAnd("X-Forwarded-Extra-a%0d%0aimpersonate-user: all"),
			status: http.StatusForbidden, reason: "forbidden: the key of an extra has a control or format character",
		},
		{
			name:   "an extra with several values",
			fields: aliceAnd("X-Forwarded-Extra-Scopes: a", "X-Forwarded-Extra-Scopes: b"),
			want: and(as("alice"), "Impersonate-Extra-Scopes", "a", "Impersonate-Extra-Scopes", "b",
				"X-Remote-User", "alice", "X-Remote-Extra-Scopes", "a", "X-Remote-Extra-Scopes", "b",
				"X-Webauth-User", "alice", "X-App-Extra-Scopes", "a", "X-App-Extra-Scopes", "b"),
		},
	})
}

// CVE-2026-40868 (Kyverno), CVE-2026-4525 (Vault): a credential of the client's reaches
// what it is not for, or takes the place of the proxy's.
func TestCredentialsOfTheClient(t *testing.T) {
	guard(t, "", impersonating(t, "")).run(t, []exchange{
		{name: "a bearer token", fields: aliceAnd("Authorization: Bearer mine"), want: as("alice")},
		{name: "basic authentication", fields: aliceAnd("authorization: Basic YWRtaW46YWRtaW4="), want: as("alice")},
		{name: "two of them", fields: aliceAnd("Authorization: Bearer a", "AUTHORIZATION: Bearer b"), want: as("alice")},
		{name: "one for the proxy", fields: aliceAnd("Proxy-Authorization: Basic YWRtaW46YWRtaW4="), want: as("alice")},
		{name: "a token alone where no source reads one", fields: []string{"Authorization: Bearer mine"}, status: 401, reason: "no credential"},
		{
			name: "user and password in the target", line: "GET http://admin:secret@" + siteHost + "/a?b HTTP/1.1",
			fields: aliceAnd(), want: as("alice"), wantLine: "GET /a?b HTTP/1.1",
		},
		{
			name: "a token in a cookie and in the query is not ours", line: "GET /?access_token=x HTTP/1.1",
			fields: aliceAnd("Cookie: token=x; a=b"), want: and(as("alice"), "Cookie", "token=x; a=b"),
		},
	})
	headers := `http://:0 {
	kube_identity {
		trusted_proxies static ` + trustedPeer + `
		forwarded {
			user X-Forwarded-User
		}
		%s
		inject headers {
			user X-App-User
		}
	}
	reverse_proxy %%[1]s
}
`
	guard(t, "", fmt.Sprintf(headers, "")).run(t, []exchange{
		{name: "no Authorization where none is written", fields: aliceAnd("Authorization: Bearer mine"), want: http.Header{"X-App-User": {"alice"}}},
		{
			name: "nor one made of the target", line: "GET http://admin:secret@" + siteHost + "/ HTTP/1.1",
			fields: aliceAnd(), want: http.Header{"X-App-User": {"alice"}}, wantLine: "GET / HTTP/1.1",
		},
	})
	guard(t, "", fmt.Sprintf(headers, "pass_authorization")).run(t, []exchange{
		{
			name: "pass_authorization lets it go on", fields: aliceAnd("authorization: Bearer mine"),
			want: http.Header{"X-App-User": {"alice"}, "Authorization": {"Bearer mine"}},
		},
		{
			name:   "but no other spelling and no other credential",
			fields: aliceAnd("Authorization~: Bearer a", "Proxy-Authorization: Bearer b", "Proxy~Authorization: c"),
			want:   http.Header{"X-App-User": {"alice"}, "Authorization~": {"Bearer a"}},
		},
		{
			name: "nor past Connection", fields: aliceAnd("Authorization: Bearer mine", "Connection: Authorization"),
			want: http.Header{"X-App-User": {"alice"}, "Authorization": {"Bearer mine"}},
		},
		{name: "it is no credential here", fields: []string{"Authorization: Bearer mine"}, status: 401, reason: "no credential"},
	})
}

// Pinniped #451: dropping kubectl --as makes the request run as the client itself, which
// may have more rights than who it asked to be. An operator can have it refused.
func TestClientImpersonation(t *testing.T) {
	fields := []string{
		"Impersonate-User: bob", "Impersonate-Group: dev", "Impersonate-Uid: 1", "Impersonate-Extra-Scopes: a",
		"Impersonate-Anything: a", "impersonate~user: bob", "IMPERSONATE|GROUP: x",
	}
	var drop, reject []exchange
	for _, field := range fields {
		drop = append(drop, exchange{name: field, fields: aliceAnd(field), want: as("alice")})
		reject = append(
			reject,
			exchange{
				name: field, fields: aliceAnd(field),
				status: http.StatusForbidden, reason: "forbidden: the client asks to impersonate another user",
			},
			exchange{
				name: field + " without a credential", fields: []string{field},
				status: http.StatusUnauthorized, reason: "no credential",
			},
		)
	}
	drop = append(drop, exchange{name: "all of them", fields: aliceAnd(fields...), want: as("alice")})
	reject = append(reject, exchange{name: "none of them", fields: aliceAnd("Impersonation: x"), want: and(as("alice"), "Impersonation", "x")})
	guard(t, "", impersonating(t, "client_impersonation drop")).run(t, drop)
	guard(t, "", impersonating(t, "client_impersonation reject")).run(t, reject)
}

func TestStripCookies(t *testing.T) {
	guard(t, "", impersonating(t, "strip_cookies session _oauth2_proxy*")).run(t, []exchange{
		{name: "by name", fields: aliceAnd("Cookie: a=1; session=x; b=2"), want: and(as("alice"), "Cookie", "a=1; b=2")},
		{name: "by prefix", fields: aliceAnd("Cookie: _oauth2_proxy_0=x; _oauth2_proxy_1=y; a=1"), want: and(as("alice"), "Cookie", "a=1")},
		{name: "all there are", fields: aliceAnd("cookie: session=x", "Cookie: _oauth2_proxy=y;"), want: as("alice")},
		{name: "twice", fields: aliceAnd("Cookie: session=x; a=1; session=y"), want: and(as("alice"), "Cookie", "a=1")},
		{name: "in several lines", fields: aliceAnd("Cookie: a=1", "Cookie: session=x", "Cookie: b=2"), want: and(as("alice"), "Cookie", "a=1", "Cookie", "b=2")},
		{name: "with blanks in odd places", fields: aliceAnd("Cookie:;;\tsession =x;session;a=1"), want: and(as("alice"), "Cookie", ";;a=1")},
		{name: "others byte for byte", fields: aliceAnd(`Cookie: Session=1;my_session="a b";  c==;=d`), want: and(as("alice"), "Cookie", `Session=1;my_session="a b";  c==;=d`)},
		{name: "no credential comes of a cookie", fields: []string{"Cookie: session=x"}, status: 401, reason: "no credential"},
	})
}
