// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// Single-valued fields in two lines: a proxy sets such a field and does not add to it, so
// one of the two lines is forged, and it is unknown which.
func TestDuplicates(t *testing.T) {
	malformed := func(name, field string, fields ...string) testhandler.Exchange {
		return testhandler.Exchange{Name: name, Fields: fields, Status: http.StatusBadRequest, Reason: "malformed: 2 lines of " + field}
	}
	testhandler.Guard(t, "", everything(t)).RunAndCheck(t, []testhandler.Exchange{
		malformed("two users", "X-Forwarded-User", "X-Forwarded-User: alice", "X-Forwarded-User: admin"),
		malformed("the same user twice", "X-Forwarded-User", "X-Forwarded-User: alice", "x-forwarded-user: alice"),
		malformed("an empty user and another", "X-Forwarded-User", "X-Forwarded-User:", "X-Forwarded-User: admin"),
		malformed("two uids", "X-Forwarded-Uid", testhandler.AliceAnd("X-Forwarded-Uid: 1", "X-FORWARDED-UID: 2")...),
		malformed("two addresses", "X-Forwarded-Email", testhandler.AliceAnd("X-Forwarded-Email: a@example.com", "X-Forwarded-Email: b@example.com")...),
		malformed("two display names", "X-Forwarded-Name", testhandler.AliceAnd("X-Forwarded-Name: a", "X-Forwarded-Name: b")...),
		malformed("two logins", "X-Forwarded-Preferred-Username",
			testhandler.AliceAnd("X-Forwarded-Preferred-Username: a", "X-Forwarded-Preferred-Username: b")...),
		{
			Name:   "two extras that are one key",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-Scopes: read", "X-Forwarded-Extra-%73copes: all"),
			Status: http.StatusBadRequest, Reason: `malformed: two extra fields for the key "scopes"`,
		},
		{
			Name:   "an extra whose key cannot be read",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-%zz: all"),
			Status: http.StatusBadRequest, Reason: `malformed: the name of the extra field "X-Forwarded-Extra-%zz"`,
		},
		{
			Name:   "an extra whose key is in upper case once it is read",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-%53copes: all"),
			Status: http.StatusBadRequest, Reason: `malformed: the name of the extra field "X-Forwarded-Extra-%53copes"`,
		},
		{
			Name:   "an extra without a key",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-: all"),
			Status: http.StatusBadRequest, Reason: `malformed: the name of the extra field "X-Forwarded-Extra-"`,
		},
		{
			Name:   "an extra whose key hides a line break",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-a%0d%0aimpersonate-user: all"),
			Status: http.StatusForbidden, Reason: "forbidden: the key of an extra has a control or format character",
		},
		{
			Name:   "an extra with several values",
			Fields: testhandler.AliceAnd("X-Forwarded-Extra-Scopes: a", "X-Forwarded-Extra-Scopes: b"),
			Want: testhandler.And(testhandler.As("alice"), "Impersonate-Extra-Scopes", "a", "Impersonate-Extra-Scopes", "b",
				"X-Remote-User", "alice", "X-Remote-Extra-Scopes", "a", "X-Remote-Extra-Scopes", "b",
				"X-Webauth-User", "alice", "X-App-Extra-Scopes", "a", "X-App-Extra-Scopes", "b"),
		},
	})
}

// CVE-2026-40868 (Kyverno), CVE-2026-4525 (Vault): a client's credential reaches a server
// that it is not for, or replaces the proxy's.
func TestCredentialsOfTheClient(t *testing.T) {
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "a bearer token", Fields: testhandler.AliceAnd("Authorization: Bearer mine"), Want: testhandler.As("alice")},
		{Name: "basic authentication", Fields: testhandler.AliceAnd("authorization: Basic YWRtaW46YWRtaW4="), Want: testhandler.As("alice")},
		{Name: "two of them", Fields: testhandler.AliceAnd("Authorization: Bearer a", "AUTHORIZATION: Bearer b"), Want: testhandler.As("alice")},
		{Name: "one for the proxy", Fields: testhandler.AliceAnd("Proxy-Authorization: Basic YWRtaW46YWRtaW4="), Want: testhandler.As("alice")},
		{Name: "a token alone where no source reads one", Fields: []string{"Authorization: Bearer mine"}, Status: 401, Reason: "no credential"},
		{
			Name: "user and password in the target", Line: "GET http://admin:secret@" + testhandler.SiteHost + "/a?b HTTP/1.1",
			Fields: testhandler.AliceAnd(), Want: testhandler.As("alice"), WantLine: "GET /a?b HTTP/1.1",
		},
		{
			Name: "a token in a cookie and in the query is not a credential", Line: "GET /?access_token=x HTTP/1.1",
			Fields: testhandler.AliceAnd("Cookie: token=x; a=b"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "token=x; a=b"),
		},
	})
	headers := `http://:0 {
	kube_identity {
		trusted_proxies static ` + testhandler.TrustedPeer + `
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
	testhandler.Guard(t, "", fmt.Sprintf(headers, "")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "no Authorization if no injector writes one", Fields: testhandler.AliceAnd("Authorization: Bearer mine"), Want: http.Header{"X-App-User": {"alice"}}},
		{
			Name: "nor one made of the target", Line: "GET http://admin:secret@" + testhandler.SiteHost + "/ HTTP/1.1",
			Fields: testhandler.AliceAnd(), Want: http.Header{"X-App-User": {"alice"}}, WantLine: "GET / HTTP/1.1",
		},
	})
	testhandler.Guard(t, "", fmt.Sprintf(headers, "pass_authorization")).RunAndCheck(t, []testhandler.Exchange{
		{
			Name: "pass_authorization forwards it", Fields: testhandler.AliceAnd("authorization: Bearer mine"),
			Want: http.Header{"X-App-User": {"alice"}, "Authorization": {"Bearer mine"}},
		},
		{
			Name:   "but no other spelling and no other credential",
			Fields: testhandler.AliceAnd("Authorization~: Bearer a", "Proxy-Authorization: Bearer b", "Proxy~Authorization: c"),
			Want:   http.Header{"X-App-User": {"alice"}, "Authorization~": {"Bearer a"}},
		},
		{
			Name: "nor past Connection", Fields: testhandler.AliceAnd("Authorization: Bearer mine", "Connection: Authorization"),
			Want: http.Header{"X-App-User": {"alice"}, "Authorization": {"Bearer mine"}},
		},
		{Name: "it is not a credential here", Fields: []string{"Authorization: Bearer mine"}, Status: 401, Reason: "no credential"},
	})
}

// Pinniped #451: if the fields of kubectl --as are only stripped, the request runs as the
// client itself, which may have more rights than the user whom it asked for. An operator can
// have it refused.
func TestClientImpersonation(t *testing.T) {
	fields := []string{
		"Impersonate-User: bob", "Impersonate-Group: dev", "Impersonate-Uid: 1", "Impersonate-Extra-Scopes: a",
		"Impersonate-Anything: a", "impersonate~user: bob", "IMPERSONATE|GROUP: x",
	}
	var drop, reject []testhandler.Exchange
	for _, field := range fields {
		drop = append(drop, testhandler.Exchange{Name: field, Fields: testhandler.AliceAnd(field), Want: testhandler.As("alice")})
		reject = append(
			reject,
			testhandler.Exchange{
				Name: field, Fields: testhandler.AliceAnd(field),
				Status: http.StatusForbidden, Reason: "forbidden: the client asks to impersonate another user",
			},
			testhandler.Exchange{
				Name: field + " without a credential", Fields: []string{field},
				Status: http.StatusUnauthorized, Reason: "no credential",
			},
		)
	}
	drop = append(drop, testhandler.Exchange{Name: "all of them", Fields: testhandler.AliceAnd(fields...), Want: testhandler.As("alice")})
	reject = append(reject, testhandler.Exchange{Name: "none of them", Fields: testhandler.AliceAnd("Impersonation: x"), Want: testhandler.And(testhandler.As("alice"), "Impersonation", "x")})
	testhandler.Guard(t, "", testhandler.Impersonating(t, "client_impersonation drop")).RunAndCheck(t, drop)
	testhandler.Guard(t, "", testhandler.Impersonating(t, "client_impersonation reject")).RunAndCheck(t, reject)
}

// The same with the presets for API servers, however they prove the user: kubectl is told why.
func TestKubectlAsTowardsAnAPIServer(t *testing.T) {
	issuer := testissuer.New(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	testhandler.Write(t, ca, testpki.PEM(issuer.CA))
	for _, inject := range []string{
		"kube_apiserver {\ntoken_file " + testhandler.TokenFile(t) + "\n}", "kube_apiserver {\nno_credential\n}",
		"kube_apiserver_token", "kube_apiserver_front_proxy",
	} {
		g := testhandler.Guard(t, "", "http://:0 {\nkube_identity {\noidc "+issuer.URL+" {\naudience dash\ntrust_pool file "+ca+
			"\n}\ninject "+inject+"\n}\nreverse_proxy %[1]s\n}\n")
		for _, field := range []string{"Impersonate-User: admin", "Impersonate-Group: ops", "impersonate-uid: 1", "Impersonate-Extra-Scopes: a"} {
			t.Run(inject+"/"+field, func(t *testing.T) {
				fields := []string{testhandler.Bearer(issuer.Token(t, nil)), "Accept: application/json, */*", field}
				got := g.Send(t, testhandler.StrangerPeer, "GET /api/v1/nodes HTTP/1.1", fields, "")
				g.CheckReason(t, "forbidden: the client asks to impersonate another user")
				g.CheckNothing(t)
				const body = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
					`"message":"impersonation (Impersonate-*, kubectl --as) is not allowed here","reason":"Forbidden","code":403}` + "\n"
				if got.Status != http.StatusForbidden || got.Text != body {
					t.Errorf("status %d, text %q", got.Status, got.Text)
				}
			})
		}
	}
}

func TestStripCookies(t *testing.T) {
	testhandler.Guard(t, "", testhandler.Impersonating(t, "strip_cookies session _oauth2_proxy*")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "by name", Fields: testhandler.AliceAnd("Cookie: a=1; session=x; b=2"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1; b=2")},
		{Name: "by prefix", Fields: testhandler.AliceAnd("Cookie: _oauth2_proxy_0=x; _oauth2_proxy_1=y; a=1"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1")},
		{Name: "all there are", Fields: testhandler.AliceAnd("cookie: session=x", "Cookie: _oauth2_proxy=y;"), Want: testhandler.As("alice")},
		{Name: "twice", Fields: testhandler.AliceAnd("Cookie: session=x; a=1; session=y"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1")},
		{Name: "in several lines", Fields: testhandler.AliceAnd("Cookie: a=1", "Cookie: session=x", "Cookie: b=2"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1", "Cookie", "b=2")},
		{Name: "without a name, by the one in the value", Fields: testhandler.AliceAnd("Cookie: =session=x; a=1;= _oauth2_proxy =y; =b=2"), Want: testhandler.And(testhandler.As("alice"), "Cookie", "a=1; =b=2")},
		{Name: "with blanks in odd places", Fields: testhandler.AliceAnd("Cookie:;;\tsession =x;session;a=1"), Want: testhandler.And(testhandler.As("alice"), "Cookie", ";;a=1")},
		{Name: "others byte for byte", Fields: testhandler.AliceAnd(`Cookie: Session=1;my_session="a b";  c==;=d`), Want: testhandler.And(testhandler.As("alice"), "Cookie", `Session=1;my_session="a b";  c==;=d`)},
		{Name: "a cookie is not a credential", Fields: []string{"Cookie: session=x"}, Status: 401, Reason: "no credential"},
	})
}
