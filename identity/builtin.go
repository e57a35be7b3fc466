// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "sync"

// BuiltinNames are [BuiltinFields] as a set.
var BuiltinNames = sync.OnceValue(func() *Names { //nolint:gochecknoglobals // a table
	names, err := NewNames(BuiltinFields()...)
	if err != nil {
		panic(err) // a test would have found it
	}
	return names
})

// BuiltinFields are stripped off every request, whatever is configured: the fields in
// which the proxies, load balancers and upstreams that this project knows carry an
// identity or a credential. Fields that an injector can write are among them, since the
// upstream may read such a field even if no injector is configured to write it. So are the
// fields of every preset, even where the site does not use the preset.
func BuiltinFields() []string {
	return []string{
		"Authorization", "Proxy-Authorization",
		"Impersonate-*", "X-Remote-*", // k8s.io/apiserver: impersonation, and --requestheader-*
		"Remote-*", // Authelia; REMOTE_USER of CGI
		"X-Forwarded-User", "X-Forwarded-Group", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Forwarded-Id-Token",
		"X-Forwarded-Access-Token", "X-Forwarded-Preferred-Username", "X-Forwarded-Mail", "X-Forwarded-DisplayName",
		"X-Forwarded-Login",                                                                          // oauth2-proxy, OpenShift's oauth-proxy, Headlamp's -proxy-auth, Jenkins
		"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", // Envoy, Traefik
		"X-Auth-Request-*", "X-Authentik-*",
		"X-WEBAUTH-*", "X-JWT-Assertion", // Grafana: auth.proxy, and auth.jwt in its documentation
		"X-Goog-IAP-*", "X-Goog-Authenticated-User-*", "Cf-Access-*", "X-Pomerium-*", "X-Amzn-Oidc-*",
		"X-Amzn-Mtls-*", "Client-Cert", "Client-Cert-Chain", // AWS; RFC 9440
		"Ssl-Client-*", "X-SSL-*", "X-Client-Cert*", "X-ARR-ClientCert", // nginx, HAProxy, OpenShift's router, Kong, Azure
		"Cf-Client-Cert-*", "CloudFront-Viewer-Cert-*",
		"X-Scope-OrgID",                                  // Mimir, Loki, Tempo, Cortex (dskit, user/http.go)
		"Kubeflow-*",                                     // Kubeflow: USERID_HEADER
		"X-Proxy-User", "X-Proxy-Roles", "X-Proxy-Ext-*", // OpenSearch: proxy and extended-proxy
		"Kiali-User",                       // Kiali: its audit log
		"KUBECONFIG", "X-HEADLAMP-USER-ID", // Headlamp: another server, and whose servers
		"Grpc-Metadata-*", "Grpcgateway-*", // grpc-gateway, runtime/context.go: a second spelling of every field
		"X-Consumer-*", "X-Credential-*", "X-Anonymous-Consumer", "X-Authenticated-*", // Kong
		"X-Userinfo", "X-Access-Token", "X-Id-Token", // openid-connect of APISIX and Kong; Grafana's extended JWT
		"OIDC-*",                                 // mod_auth_openidc: OIDC_CLAIM_*, OIDC_access_token
		"Tailscale-*",                            // Tailscale Serve: Tailscale-User-Login
		"X-Token-*",                              // caddy-security: X-Token-User-Email
		"X-Vouch-*",                              // Vouch Proxy: X-Vouch-User
		"Teleport-Jwt-Assertion",                 // Teleport application access
		"X-MS-Client-Principal*", "X-MS-Token-*", // Azure App Service and Container Apps
		"X-Endpoint-API-UserInfo", "X-Apigateway-Api-Userinfo", // Google's ESPv2 and API Gateway
		"X-Auth-User*", "X-Auth-Group*", "X-Auth-Role*", "X-Auth-Email", "X-Auth-Name", "X-Auth-Subject", "X-Auth-Token",
		// Louketo (Keycloak Gatekeeper), and the example of Traefik's ForwardAuth
	}
}
