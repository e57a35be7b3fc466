// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// canaryExample is an example with tokens in it.
type canaryExample struct {
	env     map[string]string
	replace []string // pairs, for what an example does not take from the environment
	fields  []string // the request's credential
	arrives string
	secrets []string
	api     *testreview.API // whose tokens are secrets too
	dial    func(address string) (net.Conn, error)
	host    string

	// fieldsToo: a token comes or goes in another field than Authorization, which the log's
	// filter hides. Wherever a bearer token is believed, it may come among WebSocket protocols.
	fieldsToo bool
}

// start runs the example, changed by edit.
func (e *canaryExample) start(t *testing.T, file string, ways []canaryWay, config *tls.Config, edit func(string) string) *canary {
	t.Helper()
	c := &canary{upstream: newCanaryUpstream(t, ways, config), fields: e.fields, arrives: e.arrives, secrets: e.secrets, host: e.host, api: e.api}
	content, err := os.ReadFile("../../examples/" + file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	if block := regexp.MustCompile(`(?m)^  Caddyfile: \|\n((?:    .*\n|\n)+)`).FindStringSubmatch(text); block != nil {
		text = regexp.MustCompile(`(?m)^    `).ReplaceAllString(block[1], "")
	}
	port := freeport.Ports(t, 1)[0]
	for pair := range slices.Chunk(e.replace, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("%s has no %q", file, pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], strings.NewReplacer("PORT", port, "UPSTREAM", c.upstream.addr).Replace(pair[1]))
	}
	path := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(path, []byte(edit(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"ADDRESS": "http://:" + port, "BIND": "127.0.0.1", "UPSTREAM": c.upstream.addr, "DASHBOARD": c.upstream.addr,
		"TRUSTED_PROXIES": "127.0.0.1/32", "SERVER_ADDRESS": "https://localhost:" + port, "LOGIN_ADDRESS": "http://127.0.0.1:" + freeport.Ports(t, 1)[0],
		"KUBE_API": "https://" + c.upstream.addr,
	}
	maps.Copy(env, e.env)
	address := "127.0.0.1:" + port
	c.run = quickstartRun(t, program.Path(t), []string{"run", "--config", path}, env, address)
	c.dial = func() (net.Conn, error) {
		if e.dial != nil {
			return e.dial(address)
		}
		return (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	}
	return c
}

func unchanged(text string) string { return text }

// withoutFilter removes the filter of the log.
func withoutFilter(text string) string {
	return regexp.MustCompile(`(?m)^\s*request>headers>.*\n`).ReplaceAllString(text, "")
}

// canaryExamples are the examples and manifests that hold a token, each with the peer and the
// credential that it needs. Not among them: kong.caddyfile and kube-front-proxy.caddyfile, in
// which there is no token, and the quick start, whose upstream is a part of it.
func canaryExamples(t *testing.T) map[string]*canaryExample {
	t.Helper()
	examples := make(map[string]*canaryExample)
	maps.Copy(examples, canaryByCertificate(t))
	maps.Copy(examples, canaryByProxy(t))
	maps.Copy(examples, canaryByToken(t))
	maps.Copy(examples, canaryManifests(t))
	return examples
}

// canaryByCertificate are those whose users have certificates: the token is the proxy's own.
func canaryByCertificate(t *testing.T) map[string]*canaryExample {
	t.Helper()
	ca := testpki.NewCA(t, nil, "ca", nil)
	alice := ca.Leaf(t, func(c *x509.Certificate) {
		c.EmailAddresses, c.Subject.OrganizationalUnit = []string{"alice@example.com"}, []string{"developers"}
	})
	token, file := canaryToken(t)
	env := map[string]string{"CLIENT_CA": testpki.PEMFile(t, ca), "KUBE_TOKEN": file}
	own := func(fields ...string) *canaryExample {
		return &canaryExample{env: env, fields: fields, arrives: "Authorization: Bearer " + token, secrets: []string{token}}
	}
	openshift, dir := own("X-Remote-User: alice"), t.TempDir()
	exampleCertificates(t, dir)
	openshift.env = map[string]string{
		"KUBE_TOKEN": file, "PROXY_CERT": filepath.Join(dir, "proxy.pem"), "PROXY_KEY": filepath.Join(dir, "proxy-key.pem"),
		"PROXY_CA": filepath.Join(dir, "ca.pem"), "SERVER_CERT": filepath.Join(dir, "server.pem"),
		"SERVER_KEY": filepath.Join(dir, "server-key.pem"), "OAUTH_CA": filepath.Join(dir, "ca.pem"),
	}
	openshift.host = "localhost"
	openshift.dial = func(address string) (net.Conn, error) {
		proxy, err := tls.LoadX509KeyPair(openshift.env["PROXY_CERT"], openshift.env["PROXY_KEY"])
		if err != nil {
			return nil, err
		}
		config := &tls.Config{Certificates: []tls.Certificate{proxy}, ServerName: "localhost", InsecureSkipVerify: true}
		return (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
	}
	return map[string]*canaryExample{
		"aws-alb.caddyfile":           own("X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(alice)),
		"envoy.caddyfile":             own("X-Forwarded-Client-Cert: " + testpki.XFCC(alice, ca)),
		"nginx-client-cert.caddyfile": own("Ssl-Client-Cert: "+testpki.EscapedPEM(ca.Leaf(t, nil)), "Ssl-Client-Verify: SUCCESS"),

		"openshift-request-header.caddyfile": openshift,
	}
}

// canaryByProxy are those whose users another proxy names.
func canaryByProxy(t *testing.T) map[string]*canaryExample {
	t.Helper()
	token, file := canaryToken(t)
	env := map[string]string{"KUBE_TOKEN": file}
	arrives := "Authorization: Bearer " + token
	const session, renewed = "canary-of-a-session", "canary-of-a-renewed-session"
	oauth2 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "_oauth2_proxy="+renewed)
		w.Header().Set("X-Auth-Request-User", "alice")
		w.Header().Set("X-Auth-Request-Access-Token", renewed)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(oauth2.Close)
	server := testpki.NewCA(t, nil, "ca", nil)
	return map[string]*canaryExample{
		"traefik.caddyfile": {
			env: env, fields: []string{"X-Auth-Request-User: alice", "Cookie: _oauth2_proxy=" + session}, arrives: arrives,
			secrets: []string{token, session},
		},
		"oauth2-proxy.caddyfile": {
			env:    map[string]string{"KUBE_TOKEN": file, "OAUTH2_PROXY": oauth2.Listener.Addr().String()},
			fields: []string{"Cookie: _oauth2_proxy=" + session}, arrives: arrives, secrets: []string{token, session, renewed},
		},
		"kube-apiserver.caddyfile": {
			env:    map[string]string{"KUBE_TOKEN": file, "KUBE_CA": testpki.PEMFile(t, server)},
			fields: []string{"X-Forwarded-User: alice"}, arrives: arrives, secrets: []string{token},
		},
	}
}

// canaryByToken are those whose users have tokens.
func canaryByToken(t *testing.T) map[string]*canaryExample {
	t.Helper()
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	clusters := testissuer.New(t)
	token, file := canaryToken(t)
	user := issuer.Token(t, map[string]any{"preferred_username": "alice"})
	iap := issuer.TokenBy(t, issuer.Key(1), map[string]any{
		"iss": "https://cloud.google.com/iap", "aud": "/projects/123456789012/global/backendServices/4567890123456789012",
		"sub": "accounts.google.com:1", "email": "alice@example.com", "hd": "example.com",
	})
	opaque := api.Login(testreview.User{Username: "system:serviceaccount:ci:reporter", Audiences: []string{"dashboards"}})
	clusterUser := clusters.Token(t, nil)
	server := testintrospection.NewBy(t, nil)
	introspected := server.Login(nil)
	env := tokenExample(t, issuer, api)
	mixed := maps.Clone(env)
	mixed["AUTHENTICATION_CONFIG"] = testreview.JSONFile(t, map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer":        map[string]any{"url": clusters.URL, "audiences": []string{"dash"}, "certificateAuthority": testpki.PEM(clusters.CA)},
			"claimMappings": map[string]any{"username": map[string]any{"claim": "sub", "prefix": ""}},
		}},
	})
	alb := maps.Clone(env)
	alb["KUBE_TOKEN"] = file
	return map[string]*canaryExample{
		"oidc-kiali.caddyfile":        {api: api, env: env, fields: []string{testhandler.Bearer(user)}, arrives: "Impersonate-User: sso:alice", secrets: []string{user}, fieldsToo: true},
		"openunison.caddyfile":        {api: api, env: env, fields: []string{testhandler.Bearer(user)}, arrives: "Impersonate-User: sso:alice", secrets: []string{user}, fieldsToo: true},
		"mixed-tokens.caddyfile":      {api: api, env: mixed, fields: []string{testhandler.Bearer(clusterUser)}, arrives: "Authorization: Bearer " + clusterUser, secrets: []string{clusterUser}, fieldsToo: true},
		"kubernetes-tokens.caddyfile": {api: api, env: env, fields: []string{testhandler.Bearer(opaque)}, arrives: "X-Webauth-User: system:serviceaccount:ci:reporter", secrets: []string{opaque}, fieldsToo: true},
		"introspection.caddyfile":     {env: introspectionExample(t, server), fields: []string{testhandler.Bearer(introspected)}, arrives: "X-Webauth-User: sso:alice", secrets: []string{introspected, testintrospection.Secret}, fieldsToo: true},
		"aws-alb-oidc.caddyfile": {
			env: alb, fields: []string{"X-Amzn-Oidc-Accesstoken: " + user, "X-Amzn-Oidc-Data: " + user}, arrives: "Authorization: Bearer " + token,
			secrets: []string{user, token}, fieldsToo: true,
		},
		"google-iap.caddyfile": {
			api: api, env: env, replace: []string{"preset google_iap\n", "preset google_iap\njwks_url " + issuer.URL + "/keys\n"},
			fields: []string{"X-Goog-IAP-JWT-Assertion: " + iap}, arrives: "Impersonate-User: alice@example.com", secrets: []string{iap}, fieldsToo: true,
		},
	}
}

// canaryManifests are the Caddyfiles of the manifests.
func canaryManifests(t *testing.T) map[string]*canaryExample {
	t.Helper()
	issuer := testissuer.NewBy(t, nil)
	token, file := canaryToken(t)
	claims := map[string]any{"email": "alice@example.com", "email_verified": true}
	user := issuer.Token(t, claims)
	manifest := func(upstream string, more ...string) []string {
		return append(more, "https://issuer.example.com", issuer.URL, "http://:8080 {", "http://:PORT {\nbind 127.0.0.1",
			"http://:9090 {", "http://:0 {\nbind 127.0.0.2", upstream, "UPSTREAM")
	}
	return map[string]*canaryExample{
		"kubernetes/kiali.yaml": {
			replace: manifest("kiali.istio-system.svc:20001", "audience kiali", "audience dash", "/var/run/secrets/kube-identity/token", file),
			fields:  []string{"X-Forwarded-Id-Token: " + user}, arrives: "Authorization: Bearer " + token, secrets: []string{user, token}, fieldsToo: true,
		},
		"kubernetes/headlamp.yaml": {
			replace: manifest("headlamp.headlamp.svc:80", "audience kubernetes", "audience dash"),
			fields:  []string{"X-Forwarded-Id-Token: " + user}, arrives: "Authorization: Bearer " + user, secrets: []string{user}, fieldsToo: true,
		},
	}
}

// reverse_proxy logs the header that it sent when a response breaks off, and the server the
// header that came when a request fails. Caddy hides Authorization and cookies in these lines,
// at the default level and without any option; the examples hide the rest.
func TestNoTokenOfAnExampleIsInTheLogHoweverAResponseBreaksOff(t *testing.T) {
	for file, example := range canaryExamples(t) {
		t.Run(file, func(t *testing.T) {
			ways := canaryWays()
			if example.fieldsToo {
				ways = append(ways, canaryWay{
					name: "a WebSocket with the token among its protocols", upstream: says(), client: leaves, logs: "error",
					alone:  strings.HasPrefix(example.fields[0], "Authorization: "),
					fields: append(canaryWebsocket(), "Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io."+testissuer.Base64([]byte(example.secrets[0]))),
				})
			}
			example.start(t, file, ways, canaryTLS(t, example), unchanged).wantNoLeak(t)
			if example.fieldsToo {
				t.Run("and the filter is needed", func(t *testing.T) {
					c := example.start(t, file, ways, nil, withoutFilter)
					c.askAll(t)
					if secret, _ := c.leaks(t); secret == "" {
						t.Error("without the filter there is no token in the log either")
					}
				})
			}
		})
	}
}

// canaryTLS is the certificate of an upstream that the example reaches by https.
func canaryTLS(t *testing.T, example *canaryExample) *tls.Config {
	t.Helper()
	file := example.env["KUBE_CA"]
	if file == "" {
		return nil
	}
	ca := testpki.NewCA(t, nil, "api ca", nil)
	if err := os.WriteFile(file, []byte(testpki.PEM(ca)), 0o600); err != nil {
		t.Fatal(err)
	}
	leaf := ca.Leaf(t, func(c *x509.Certificate) {
		c.IPAddresses, c.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Cert.Raw}, PrivateKey: leaf.Key}}}
}
