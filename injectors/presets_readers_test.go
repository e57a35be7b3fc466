// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// read is what an upstream takes out of a request. Display names are apart, since they may be
// left out.
type read struct {
	User, UID, Email, Preferred, Token string
	Groups                             []string
	Extra                              map[string][]string
}

// reader is a model of an upstream: how it reads a header, and what it must have read if the
// header spoke of user. display is the name for display.
type reader struct {
	reads   func(header http.Header) read
	display string // the field of the display name, if there is one
	latin1  bool   // it reads bytes as ISO 8859-1
	wants   func(user identity.User) read
}

// readers are written from the upstreams' sources. They do not share code with what writes.
func readers() map[string]reader {
	impersonated := func(uid bool, extra ...string) func(identity.User) read {
		return func(user identity.User) read {
			want := read{User: user.Username, Groups: user.Groups, Extra: map[string][]string{}}
			if uid {
				want.UID = user.UID
			}
			for _, key := range extra {
				if values := user.Extra[key]; len(values) > 0 {
					want.Extra[key] = values
				}
			}
			return want
		}
	}
	names := func(user identity.User) read {
		return read{User: user.Username, Email: user.Email, Groups: user.Groups}
	}
	token := reader{
		reads: func(header http.Header) read {
			return read{Token: strings.TrimPrefix(header.Get("Authorization"), "Bearer ")}
		},
		wants: func(identity.User) read { return read{Token: "dXNlcg=="} },
	}
	userAndGroups := func(user identity.User) read { return read{User: user.Username, Groups: user.Groups} }
	return map[string]reader{
		"kiali": {reads: apiServerReads, wants: func(user identity.User) read {
			want := impersonated(false, "scopes")(user)
			want.Groups = set(user.Groups)
			return want
		}},
		"kubernetes_dashboard": {reads: apiServerReads, wants: impersonated(false)},
		"tekton_dashboard":     {reads: apiServerReads, wants: impersonated(true, "scopes", "example.com/tenant")},
		"kube_apiserver":       {reads: apiServerReads, wants: impersonated(true)},
		"kube_apiserver_token": token,
		"kube_apiserver_front_proxy": {reads: frontProxyReads, wants: func(user identity.User) read {
			return read{User: user.Username, UID: user.UID, Groups: user.Groups, Extra: allExtra(user)}
		}},
		"headlamp":               {reads: headlampReads, wants: names},
		"headlamp_impersonation": {reads: headlampReads, wants: names},
		"openshift_oauth": {reads: openShiftReads, display: "X-Remote-User-Display-Name", wants: func(user identity.User) read {
			return read{User: user.Username, Email: user.Email, Preferred: user.PreferredUsername}
		}},
		"grafana":               {reads: grafanaReads, display: "X-Webauth-Name", wants: grafanaWants},
		"argo_cd":               token,
		"argo_workflows":        token,
		"kubeflow":              {reads: kubeflowReads, latin1: true, wants: func(user identity.User) read { return read{User: user.Username} }},
		"kube_rbac_proxy":       {reads: kubeRBACProxyReads, wants: userAndGroups},
		"opensearch_dashboards": {reads: openSearchReads, latin1: true, wants: userAndGroups},
		"jenkins":               {reads: jenkinsReads, display: "X-Forwarded-Displayname", latin1: true, wants: names},
		"mimir":                 {reads: mimirReads, wants: func(user identity.User) read { return read{Groups: set(user.Groups)} }},
	}
}

// apiServerReads: k8s.io/apiserver, pkg/endpoints/filters/impersonation.go. Kiali and
// Kubernetes Dashboard send on what they read, through client-go, which escapes keys.
func apiServerReads(header http.Header) read {
	got := read{
		User: header.Get("Impersonate-User"), UID: header.Get("Impersonate-Uid"), Groups: header["Impersonate-Group"],
		Extra: map[string][]string{},
	}
	for name, values := range header {
		if escaped, found := strings.CutPrefix(strings.ToLower(name), "impersonate-extra-"); found {
			key, err := url.PathUnescape(escaped)
			if err != nil {
				key = escaped
			}
			got.Extra[key] = append(got.Extra[key], values...)
		}
	}
	return got
}

// frontProxyReads: k8s.io/apiserver, pkg/authentication/request/headerrequest/requestheader.go.
func frontProxyReads(header http.Header) read {
	renamed := make(http.Header)
	for name, values := range header {
		if rest, found := strings.CutPrefix(name, "X-Remote-"); found {
			renamed["Impersonate-"+rest] = values
		}
	}
	return apiServerReads(renamed)
}

func allExtra(user identity.User) map[string][]string {
	extra := map[string][]string{}
	maps.Copy(extra, user.Extra)
	return extra
}

// headlampReads: headlamp, backend/cmd/headlamp.go, handleMe with -proxy-auth.
func headlampReads(header http.Header) read {
	got := read{User: header.Get("X-Forwarded-User"), Email: header.Get("X-Forwarded-Email")}
	for group := range strings.SplitSeq(header.Get("X-Forwarded-Group"), ",") {
		if group = strings.TrimSpace(group); group != "" {
			got.Groups = append(got.Groups, group)
		}
	}
	return got
}

// openShiftReads: openshift/oauth-server, pkg/authenticator/request/headerrequest, and pkg/api:
// the name of an identity that is not a path segment is encoded.
func openShiftReads(header http.Header) read {
	name := func(field string) string {
		value := header.Get(field)
		if strings.ContainsAny(value, ":/") {
			return "b64:" + base64.RawURLEncoding.EncodeToString([]byte(value))
		}
		return value
	}
	return read{User: name("X-Remote-User"), Email: header.Get("X-Remote-User-Email"), Preferred: name("X-Remote-User-Login")}
}

// grafanaReads: grafana, pkg/services/authn/clients/proxy.go and grafana.go.
func grafanaReads(header http.Header) read {
	got := read{User: header.Get("X-Webauth-User")}
	if address, err := mail.ParseAddress(got.User); err == nil {
		got.Email = address.Address
	}
	if email := header.Get("X-Webauth-Email"); email != "" {
		got.Email = email
	}
	if line := header.Get("X-Webauth-Groups"); line != "" {
		got.Groups = grafanaSplits(line)
		if older := strings.Fields(strings.ReplaceAll(line, ",", " ")); !slices.Equal(older, got.Groups) {
			got.Groups = append(got.Groups, "and in older versions:")
			got.Groups = append(got.Groups, older...)
		}
	}
	return got
}

// grafanaSplits: grafana, pkg/util/strings.go, SplitString. All that begins like JSON is taken
// for something else than was meant.
func grafanaSplits(line string) []string {
	if strings.HasPrefix(strings.TrimSpace(line), "[") {
		return []string{"JSON"}
	}
	items := regexp.MustCompile(`"[^"]+"|[^,\t\n\v\f\r ]+`).FindAllString(line, -1)
	for i, item := range items {
		items[i] = strings.Trim(item, `"`)
	}
	return items
}

// grafanaWants: without an email of its own, a user who is an address has that email.
func grafanaWants(user identity.User) read {
	want := read{User: user.Username, Email: user.Email, Groups: user.Groups}
	if _, err := mail.ParseAddress(user.Username); err == nil && user.Email == "" {
		want.Email = user.Username
	}
	return want
}

// kubeflowReads: kubeflow, crud-web-apps/common, crud_backend/authn.py, with an empty
// USERID_PREFIX. WSGI reads bytes as ISO 8859-1 (PEP 3333).
func kubeflowReads(header http.Header) read { return read{User: latin1(header.Get("Kubeflow-Userid"))} }

// kubeRBACProxyReads is a backend that splits what kube-rbac-proxy joins (pkg/authn/identityheaders).
func kubeRBACProxyReads(header http.Header) read {
	got := read{User: header.Get("X-Remote-User")}
	if line := header.Get("X-Remote-Groups"); line != "" {
		got.Groups = strings.Split(line, "|")
	}
	return got
}

// openSearchReads: opensearch-project/security, HTTPProxyAuthenticator.java. Netty reads bytes
// as ISO 8859-1. Other plugins get user and roles in one line, with "|" between them.
func openSearchReads(header http.Header) read {
	var roles []string
	for role := range strings.SplitSeq(latin1(header.Get("X-Proxy-Roles")), ",") {
		if role = javaTrim(role); role != "" {
			roles = append(roles, role)
		}
	}
	parts := strings.Split(latin1(header.Get("X-Proxy-User"))+"|"+strings.Join(roles, ","), "|")
	got := read{User: parts[0]}
	if parts[1] != "" {
		got.Groups = strings.Split(parts[1], ",")
	}
	return got
}

// jenkinsReads: jenkinsci/reverse-proxy-auth-plugin, ReverseProxySecurityRealm.java. Jetty reads
// bytes as ISO 8859-1.
func jenkinsReads(header http.Header) read {
	got := read{User: latin1(header.Get("X-Forwarded-User")), Email: latin1(header.Get("X-Forwarded-Mail"))}
	for token := range strings.SplitSeq(latin1(header.Get("X-Forwarded-Groups")), "|") {
		if token != "" { // StringTokenizer has no empty ones
			got.Groups = append(got.Groups, javaTrim(token))
		}
	}
	return got
}

// mimirReads: dskit, tenant/resolver.go and tenant.go. One tenant that is not valid refuses the
// request, which is not what the proxy promised.
func mimirReads(header http.Header) read {
	var tenants []string
	if line := header.Get("X-Scope-Orgid"); line != "" {
		for part := range strings.SplitSeq(line, "|") {
			tenant, _, _ := strings.Cut(part, ":")
			if !regexp.MustCompile(`^[a-zA-Z0-9!_.*'()-]{1,150}$`).MatchString(tenant) || tenant == "." || tenant == ".." {
				tenant = "not valid: " + tenant
			}
			tenants = append(tenants, tenant)
		}
	}
	return read{Groups: set(tenants)}
}

// set returns the names in order, each once.
func set(names []string) []string {
	names = slices.Sorted(slices.Values(names))
	return slices.Compact(names)
}

// latin1 reads each byte as one character.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// javaTrim is String.trim of Java.
func javaTrim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }
