// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"net/url"
	"strings"
	"testing"
)

// Every preset meets what its proxy is documented, or was seen, to write, and what the
// proxy writes when there is no certificate or its own check of it failed.
func TestClientCertFormats(t *testing.T) {
	const (
		ok       = 200
		noCert   = "no credential"
		unproven = "rejected: the proxy does not say that it verified the certificate"
		oneOnly  = "reading the certificate: malformed: more than 0 intermediates"
	)
	root := mintCA(t, nil, "root", nil)
	mid := mintCA(t, root, "between", nil)
	alice, bob := root.holder(t, nil), root.holder(t, named(3, "bob"))
	deep := mid.holder(t, nil) // needs the intermediate, which only the header has
	for !strings.Contains(base64DER(alice), "+") || !strings.Contains(base64DER(alice), "=") {
		alice = root.holder(t, nil) // the characters that formats differ in
	}
	pool := pemFile(t, root)
	var blocks []string
	for _, preset := range []string{
		"aws_alb", "aws_alb_verify", "cloudfront", "nginx", "ingress_nginx", "haproxy", "apache", "traefik", "envoy",
		"rfc9440", "cloudflare", "azure_app_service", "azure_app_gateway", "openshift_router", "kong", "caddy",
	} {
		blocks = append(blocks, certBlock(preset, preset, pool))
	}
	blocks = append(blocks, certBlock("nginx_old", "", pool, "header X-Client-Pem", "encoding pem"))
	is, isDeep := proves(alice, "alice"), proves(deep, "alice")

	runCerts(t, certGuard(t, blocks...), []certCase{
		{"AWS ALB leaves + = / alone", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + albPEM(alice)}, ok, "", is},
		{"AWS ALB as its documentation's example", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + strings.ReplaceAll(albPEM(alice), "=", "%3D")}, ok, "", is},
		{"AWS ALB with the chain up to the root", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + albPEM(deep, mid, root)}, ok, "", isDeep},
		{"AWS ALB with everything escaped", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + escapedPEM(deep, mid)}, ok, "", isDeep},
		{"AWS ALB without a client certificate", "aws_alb", nil, 401, noCert, nil},
		{"a variant spelling of the field is not believed", "aws_alb", []string{"X_Amzn_Mtls_Clientcert: " + albPEM(alice)}, 401, noCert, nil},
		{"the field of another preset is not believed", "aws_alb", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + albPEM(alice)}, 401, noCert, nil},
		{"AWS ALB verify", "aws_alb_verify", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + albPEM(alice), "X-Amzn-Mtls-Clientcert-Subject: CN=mallory"}, ok, "", is},
		{"AWS ALB verify sends no chain", "aws_alb_verify", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + albPEM(deep, mid)}, 400, oneOnly, nil},
		{"CloudFront", "cloudfront", []string{"CloudFront-Viewer-Cert-Pem: " + escapedPEM(alice), "CloudFront-Viewer-Cert-Present: 1"}, ok, "", is},
		{"CloudFront in lower case", "cloudfront", []string{"cloudfront-viewer-cert-pem: " + escapedPEM(alice)}, ok, "", is},

		{"nginx", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: SUCCESS"}, ok, "", is},
		{"nginx without a certificate", "nginx", []string{"ssl-client-verify: NONE"}, 401, noCert, nil},
		{"nginx with an empty field", "nginx", []string{"ssl-client-cert:", "ssl-client-verify: NONE"}, 401, noCert, nil},
		{"nginx with optional_no_ca passes what it could not verify", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: FAILED:unable to verify the first certificate"}, 401, unproven, nil},
		{"nginx says NONE beside a certificate", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: NONE"}, 401, unproven, nil},
		{"nginx says nothing of its check", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice)}, 401, unproven, nil},
		{"nginx says success in another case", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: success"}, 401, unproven, nil},
		{"nginx says more than success", "nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: SUCCESS, NONE"}, 401, unproven, nil},
		{"the check is compared before a bad certificate is read", "nginx", []string{"ssl-client-cert: garbage", "ssl-client-verify: NONE"}, 401, unproven, nil},
		{"old nginx, whose folded lines Go unfolds", "nginx_old", []string{"X-Client-Pem: " + strings.ReplaceAll(strings.TrimSpace(pemOf(alice)), "\n", "\r\n\t")}, ok, "", is},
		{"ingress-nginx", "ingress_nginx", []string{"ssl-client-cert: " + escapedPEM(alice), "ssl-client-verify: SUCCESS", "ssl-client-subject-dn: CN=mallory"}, ok, "", is},

		{"HAProxy", "haproxy", []string{"X-SSL-Client-DER: " + base64DER(alice), "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"HAProxy with its chain in one piece", "haproxy", []string{"X-SSL-Client-DER: " + base64DER(deep), "X-SSL-Client-Chain-DER: " + base64DER(mid, root), "X-SSL-Client-Verify: 0"}, ok, "", isDeep},
		{"HAProxy has no chain after a resumption", "haproxy", []string{"X-SSL-Client-DER: " + base64DER(alice), "X-SSL-Client-Chain-DER:", "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"HAProxy says 0 also without a certificate", "haproxy", []string{"X-SSL-Client-DER:", "X-SSL-Client-Verify: 0"}, 401, noCert, nil},
		{"HAProxy passes what it could not verify", "haproxy", []string{"X-SSL-Client-DER: " + base64DER(alice), "X-SSL-Client-Verify: 20"}, 401, unproven, nil},
		{"HAProxy's leaf field has two certificates in one piece", "haproxy", []string{"X-SSL-Client-DER: " + base64DER(deep, mid), "X-SSL-Client-Verify: 0"}, 400, "reading the certificate: malformed: certificate 1 has …", nil},

		{"Apache folds", "apache", []string{"X-SSL-Client-Cert: " + foldedPEM(alice), "X-SSL-Client-Verify: SUCCESS"}, ok, "", is},
		{"Apache says (null) without a certificate", "apache", []string{"X-SSL-Client-Cert: (null)", "X-SSL-Client-Verify: NONE"}, 401, noCert, nil},
		{"Apache was GENEROUS", "apache", []string{"X-SSL-Client-Cert: " + foldedPEM(alice), "X-SSL-Client-Verify: GENEROUS"}, 401, unproven, nil},

		{"Traefik", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + base64DER(alice)}, ok, "", is},
		{"Traefik with a chain", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + commaList(deep, mid)}, ok, "", isDeep},
		{"Traefik before 2.9.2 escaped", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + url.QueryEscape(commaList(deep, mid))}, ok, "", isDeep},
		{"Traefik's description of a certificate is none", "traefik", []string{`X-Forwarded-Tls-Client-Cert-Info: Subject%3D%22CN%3Dalice%22`}, 401, noCert, nil},

		{"Envoy with quotes in the subject", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(deep, mid)}, ok, "", isDeep},
		{"Envoy with the certificate alone", "envoy", []string{`X-Forwarded-Client-Cert: Cert="` + escapedPEM(alice) + `"`}, ok, "", is},
		{"of two elements the nearest proxy's counts", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(bob) + "," + xfcc(alice)}, ok, "", is},
		{"of two lines the nearest proxy's counts", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(bob), "X-Forwarded-Client-Cert: " + xfcc(alice)}, ok, "", is},
		{"an earlier element with a DNS name, which could end it", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(bob) + ";DNS=a.example," + xfcc(alice)}, 400, "reading the certificate: element 1: malformed: another one after a value without quotes, which may have written it", nil},
		{"a DNS name in the last element", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(bob) + "," + xfcc(alice) + ";DNS=a.example"}, ok, "", is},
		{"no certificate in the last element", "envoy", []string{"X-Forwarded-Client-Cert: " + xfcc(alice) + ",By=spiffe://mesh/ns/edge"}, 401, noCert, nil},
		{"a hash that is another's", "envoy", []string{"X-Forwarded-Client-Cert: " + strings.Replace(xfcc(alice), "Hash=", "Hash=00", 1)}, 400, "reading the certificate: malformed: hash is not that of the certificate", nil},

		{"RFC 9440", "rfc9440", []string{"Client-Cert: " + byteSequences(alice)}, ok, "", is},
		{"RFC 9440 with a chain", "rfc9440", []string{"Client-Cert: " + byteSequences(deep), "Client-Cert-Chain: " + byteSequences(mid, root)}, ok, "", isDeep},
		{"RFC 9440 with a chain in two lines", "rfc9440", []string{"Client-Cert: " + byteSequences(deep), "Client-Cert-Chain: " + byteSequences(mid), "Client-Cert-Chain: " + byteSequences(root)}, ok, "", isDeep},
		{"RFC 9440 forbids a chain alone", "rfc9440", []string{"Client-Cert-Chain: " + byteSequences(alice)}, 400, "malformed: a certificate chain without a certificate", nil},
		{"RFC 9440 forbids a list of leaves", "rfc9440", []string{"Client-Cert: " + byteSequences(alice, bob)}, 400, "reading the certificate: malformed: a list where one item belongs", nil},
		{"RFC 9440 without colons", "rfc9440", []string{"Client-Cert: " + base64DER(alice)}, 400, "reading the certificate: malformed: member 1 is no byte sequence", nil},

		{"Cloudflare", "cloudflare", []string{"Cf-Client-Cert-Der-Base64: " + base64DER(alice)}, ok, "", is},
		{"Azure App Service", "azure_app_service", []string{"X-ARR-ClientCert: " + base64DER(alice)}, ok, "", is},
		{"Azure Application Gateway", "azure_app_gateway", []string{"X-Client-Cert: " + escapedPEM(alice), "X-Client-Cert-Verification: SUCCESS"}, ok, "", is},
		{"Azure Application Gateway in passthrough", "azure_app_gateway", []string{"X-Client-Cert: " + escapedPEM(alice), "X-Client-Cert-Verification: FAILED:certificate has expired"}, 401, unproven, nil},
		{"the OpenShift router puts quotes around it", "openshift_router", []string{`X-SSL-Client-DER: "` + base64DER(alice) + `"`, "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"the OpenShift router puts quotes around nothing", "openshift_router", []string{`X-SSL-Client-DER: ""`, "X-SSL-Client-Verify: 0"}, 401, noCert, nil},
		{"Kong", "kong", []string{"X-Client-Cert: " + escapedPEM(alice), "X-Client-Cert-Subject-DN: CN=mallory"}, ok, "", is},
		{"Kong with a chain", "kong", []string{"X-Client-Cert: " + escapedPEM(deep, mid)}, ok, "", isDeep},
		{"Caddy", "caddy", []string{"X-Client-Cert: " + base64DER(alice)}, ok, "", is},
		{"Caddy writes nothing for no certificate", "caddy", []string{"X-Client-Cert:"}, 401, noCert, nil},
	})
}
