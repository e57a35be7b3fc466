// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// A preset gets the fields that its proxy writes, by its documentation or as
// observed, and those that the proxy writes without a certificate or after a failed
// check.
func TestClientCertFormats(t *testing.T) {
	const (
		ok       = 200
		noCert   = "no credential"
		unproven = "rejected: the proxy does not say that it verified the certificate"
		forged   = "reading the certificate: element 1: malformed: an element follows a name that Envoy does not quote: it may be forged"
		oneOnly  = "reading the certificate: malformed: more than 0 intermediates"
	)
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	alice, bob := root.Leaf(t, nil), root.Leaf(t, testpki.Named(3, "bob"))
	deep := mid.Leaf(t, nil) // needs the intermediate, which only the header has
	for !strings.Contains(testpki.Base64DER(alice), "+") || !strings.Contains(testpki.Base64DER(alice), "=") {
		alice = root.Leaf(t, nil) // formats differ in these characters
	}
	pool := testpki.PEMFile(t, root)
	var blocks []string
	for _, preset := range []string{
		"aws_alb", "aws_alb_verify", "cloudfront", "nginx", "ingress_nginx", "haproxy", "apache", "traefik", "envoy",
		"rfc9440", "cloudflare", "azure_app_service", "azure_app_gateway", "openshift_router", "kong", "caddy",
	} {
		blocks = append(blocks, certBlock(preset, preset, pool))
	}
	blocks = append(blocks, certBlock("nginx_old", "", pool, "header X-Client-Pem", "encoding pem"))
	is, isDeep := testhandler.Proves(alice, "alice"), testhandler.Proves(deep, "alice")

	runCerts(t, certGuard(t, blocks...), []certCase{
		{"AWS ALB leaves + = / alone", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(alice)}, ok, "", is},
		{"AWS ALB as its documentation's example", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + strings.ReplaceAll(testpki.ALBPEM(alice), "=", "%3D")}, ok, "", is},
		{"AWS ALB with the chain up to the root", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(deep, mid, root)}, ok, "", isDeep},
		{"AWS ALB with everything escaped", "aws_alb", []string{"X-Amzn-Mtls-Clientcert: " + testpki.EscapedPEM(deep, mid)}, ok, "", isDeep},
		{"AWS ALB without a client certificate", "aws_alb", nil, 401, noCert, nil},
		{"a variant spelling of the field is not believed", "aws_alb", []string{"X_Amzn_Mtls_Clientcert: " + testpki.ALBPEM(alice)}, 401, noCert, nil},
		{"the field of another preset is not believed", "aws_alb", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + testpki.ALBPEM(alice)}, 401, noCert, nil},
		{"AWS ALB verify", "aws_alb_verify", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + testpki.ALBPEM(alice), "X-Amzn-Mtls-Clientcert-Subject: CN=mallory"}, ok, "", is},
		{"AWS ALB verify sends no chain", "aws_alb_verify", []string{"X-Amzn-Mtls-Clientcert-Leaf: " + testpki.ALBPEM(deep, mid)}, 400, oneOnly, nil},
		{"CloudFront", "cloudfront", []string{"CloudFront-Viewer-Cert-Pem: " + testpki.EscapedPEM(alice), "CloudFront-Viewer-Cert-Present: 1"}, ok, "", is},
		{"CloudFront in lower case", "cloudfront", []string{"cloudfront-viewer-cert-pem: " + testpki.EscapedPEM(alice)}, ok, "", is},

		{"nginx", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: SUCCESS"}, ok, "", is},
		{"nginx without a certificate", "nginx", []string{"ssl-client-verify: NONE"}, 401, noCert, nil},
		{"nginx with an empty field", "nginx", []string{"ssl-client-cert:", "ssl-client-verify: NONE"}, 401, noCert, nil},
		{"nginx with optional_no_ca passes what it could not verify", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: FAILED:unable to verify the first certificate"}, 401, unproven, nil},
		{"nginx says NONE beside a certificate", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: NONE"}, 401, unproven, nil},
		{"nginx does not send the result of its check", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice)}, 401, unproven, nil},
		{"nginx says success in another case", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: success"}, 401, unproven, nil},
		{"nginx says more than success", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: SUCCESS, NONE"}, 401, unproven, nil},
		{"the check is compared before a bad certificate is read", "nginx", []string{"ssl-client-cert: garbage", "ssl-client-verify: NONE"}, 401, unproven, nil},
		{"old nginx with folded lines, which Go unfolds", "nginx_old", []string{"X-Client-Pem: " + strings.ReplaceAll(strings.TrimSpace(testpki.PEM(alice)), "\n", "\r\n\t")}, ok, "", is},
		{"ingress-nginx", "ingress_nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(alice), "ssl-client-verify: SUCCESS", "ssl-client-subject-dn: CN=mallory"}, ok, "", is},

		{"HAProxy", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(alice), "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"HAProxy with its chain in one piece", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(deep), "X-SSL-Client-Chain-DER: " + testpki.Base64DER(mid, root), "X-SSL-Client-Verify: 0"}, ok, "", isDeep},
		{"HAProxy has no chain after a resumption", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(alice), "X-SSL-Client-Chain-DER:", "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"HAProxy says 0 also without a certificate", "haproxy", []string{"X-SSL-Client-DER:", "X-SSL-Client-Verify: 0"}, 401, noCert, nil},
		{"HAProxy passes what it could not verify", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(alice), "X-SSL-Client-Verify: 20"}, 401, unproven, nil},
		{"HAProxy's leaf field has two certificates in one piece", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(deep, mid), "X-SSL-Client-Verify: 0"}, 400, "reading the certificate: malformed: certificate 1 has …", nil},

		{"Apache folds", "apache", []string{"X-SSL-Client-Cert: " + testpki.FoldedPEM(alice), "X-SSL-Client-Verify: SUCCESS"}, ok, "", is},
		{"Apache says (null) without a certificate", "apache", []string{"X-SSL-Client-Cert: (null)", "X-SSL-Client-Verify: NONE"}, 401, noCert, nil},
		{"Apache was GENEROUS", "apache", []string{"X-SSL-Client-Cert: " + testpki.FoldedPEM(alice), "X-SSL-Client-Verify: GENEROUS"}, 401, unproven, nil},

		{"Traefik", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + testpki.Base64DER(alice)}, ok, "", is},
		{"Traefik with a chain", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + testpki.CommaList(deep, mid)}, ok, "", isDeep},
		{"Traefik before 2.9.2 escaped", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + url.QueryEscape(testpki.CommaList(deep, mid))}, ok, "", isDeep},
		{"Traefik's description of a certificate is not a certificate", "traefik", []string{`X-Forwarded-Tls-Client-Cert-Info: Subject%3D%22CN%3Dalice%22`}, 401, noCert, nil},

		{"Envoy with quotes in the subject", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(deep, mid)}, ok, "", isDeep},
		{"Envoy with the certificate alone", "envoy", []string{`X-Forwarded-Client-Cert: Cert="` + testpki.EscapedPEM(alice) + `"`}, ok, "", is},
		{"two elements: the nearest proxy's counts", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(bob) + "," + testpki.XFCC(alice)}, ok, "", is},
		{"two lines: the nearest proxy's counts", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(bob), "X-Forwarded-Client-Cert: " + testpki.XFCC(alice)}, ok, "", is},
		{"an earlier element with a DNS name, which could end it", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(bob) + ";DNS=a.example," + testpki.XFCC(alice)}, 400, forged, nil},
		{"an earlier element whose certificate has no URI", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(bob) + ";URI=," + testpki.XFCC(alice)}, 400, forged, nil},
		{"a DNS name in the last element", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(bob) + "," + testpki.XFCC(alice) + ";DNS=a.example"}, ok, "", is},
		{"no certificate in the last element", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(alice) + ",By=spiffe://mesh/ns/edge;Hash=00"}, 401, "reading the certificate: rejected: the last element has no Cert or Chain: …", nil},
		{"Istio's default has names and no certificate", "envoy", []string{`X-Forwarded-Client-Cert: By=spiffe://mesh/ns/edge;Hash=00;Subject="CN=alice";URI=spiffe://mesh/ns/alice`}, 401, "reading the certificate: rejected: the last element has no Cert or Chain: …", nil},
		{"the hash of another certificate", "envoy", []string{"X-Forwarded-Client-Cert: " + strings.Replace(testpki.XFCC(alice), "Hash=", "Hash=00", 1)}, 400, "reading the certificate: malformed: hash is not that of the certificate", nil},

		{"RFC 9440", "rfc9440", []string{"Client-Cert: " + testpki.ByteSequences(alice)}, ok, "", is},
		{"RFC 9440 with a chain", "rfc9440", []string{"Client-Cert: " + testpki.ByteSequences(deep), "Client-Cert-Chain: " + testpki.ByteSequences(mid, root)}, ok, "", isDeep},
		{"RFC 9440 with a chain in two lines", "rfc9440", []string{"Client-Cert: " + testpki.ByteSequences(deep), "Client-Cert-Chain: " + testpki.ByteSequences(mid), "Client-Cert-Chain: " + testpki.ByteSequences(root)}, ok, "", isDeep},
		{"RFC 9440 forbids a chain alone", "rfc9440", []string{"Client-Cert-Chain: " + testpki.ByteSequences(alice)}, 400, "malformed: a certificate chain without a certificate", nil},
		{"RFC 9440 forbids a list of leaves", "rfc9440", []string{"Client-Cert: " + testpki.ByteSequences(alice, bob)}, 400, "reading the certificate: malformed: a list instead of one item", nil},
		{"RFC 9440 without colons", "rfc9440", []string{"Client-Cert: " + testpki.Base64DER(alice)}, 400, "reading the certificate: malformed: member 1 is not a byte sequence", nil},

		{"Cloudflare", "cloudflare", []string{"Cf-Client-Cert-Der-Base64: " + testpki.Base64DER(alice)}, ok, "", is},
		{"Azure App Service", "azure_app_service", []string{"X-ARR-ClientCert: " + testpki.Base64DER(alice)}, ok, "", is},
		{"Azure Application Gateway", "azure_app_gateway", []string{"X-Client-Cert: " + testpki.EscapedPEM(alice), "X-Client-Cert-Verification: SUCCESS"}, ok, "", is},
		{"Azure Application Gateway in passthrough", "azure_app_gateway", []string{"X-Client-Cert: " + testpki.EscapedPEM(alice), "X-Client-Cert-Verification: FAILED:certificate has expired"}, 401, unproven, nil},
		{"the OpenShift router puts quotes around it", "openshift_router", []string{`X-SSL-Client-DER: "` + testpki.Base64DER(alice) + `"`, "X-SSL-Client-Verify: 0"}, ok, "", is},
		{"the OpenShift router puts quotes around nothing", "openshift_router", []string{`X-SSL-Client-DER: ""`, "X-SSL-Client-Verify: 0"}, 401, noCert, nil},
		{"Kong", "kong", []string{"X-Client-Cert: " + testpki.EscapedPEM(alice), "X-Client-Cert-Subject-DN: CN=mallory"}, ok, "", is},
		{"Kong with a chain", "kong", []string{"X-Client-Cert: " + testpki.EscapedPEM(deep, mid)}, ok, "", isDeep},
		{"Caddy", "caddy", []string{"X-Client-Cert: " + testpki.Base64DER(alice)}, ok, "", is},
		{"Caddy writes nothing for no certificate", "caddy", []string{"X-Client-Cert:"}, 401, noCert, nil},
	})
}

// What proxies write about a certificate beside it is not believed, with or without the
// certificate: they do not quote what the certificate's owner chose, or not so that it can be
// read in one way. Each of these lets bob say that he is alice.
func TestDescriptionsOfACertificateAreNotBelieved(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	bob := root.Leaf(t, testpki.Named(testpki.CommonName, `bob",O="system:masters`))
	pool := testpki.PEMFile(t, root)
	descriptions := []string{
		`X-Forwarded-Tls-Client-Cert-Info: Subject%3D%22CN%3Dbob%22%2CSubject%3D%22CN%3Dalice%22%3BSAN%3D%22bob%2Calice%22`,
		`ssl-client-subject-dn: CN=bob,CN=alice`, `ssl-client-issuer-dn: CN=root`, `X-SSL-Client-S-DN: /CN=bob/CN=alice`,
		`X-SSL-Client-DN: "/CN=bob",/CN=alice"`, `X-SSL-Client-CN: "bob","alice"`,
		`X-Amzn-Mtls-Clientcert-Subject: CN=alice`, `X-Amzn-Mtls-Clientcert-Serial-Number: 01`,
		`CloudFront-Viewer-Cert-Subject: CN=alice`, `X-Client-Cert-Subject-DN: CN=alice`, `X-Client-Cert-Dn: CN=alice`,
		`X-Client-Cert-San: alice`, `Cf-Client-Cert-Subject-Dn: CN=alice`,
	}
	var blocks []string
	var cases []certCase
	is := testhandler.Proves(bob, `bob",O="system:masters`)
	for preset, fields := range map[string][]string{
		"aws_alb":           {"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(bob)},
		"aws_alb_verify":    {"X-Amzn-Mtls-Clientcert-Leaf: " + testpki.ALBPEM(bob)},
		"cloudfront":        {"CloudFront-Viewer-Cert-Pem: " + testpki.EscapedPEM(bob)},
		"nginx":             {"ssl-client-cert: " + testpki.EscapedPEM(bob), "ssl-client-verify: SUCCESS"},
		"ingress_nginx":     {"ssl-client-cert: " + testpki.EscapedPEM(bob), "ssl-client-verify: SUCCESS"},
		"haproxy":           {"X-SSL-Client-DER: " + testpki.Base64DER(bob), "X-SSL-Client-Verify: 0"},
		"apache":            {"X-SSL-Client-Cert: " + testpki.FoldedPEM(bob), "X-SSL-Client-Verify: SUCCESS"},
		"traefik":           {"X-Forwarded-Tls-Client-Cert: " + testpki.Base64DER(bob)},
		"envoy":             {"X-Forwarded-Client-Cert: " + testpki.XFCC(bob)},
		"rfc9440":           {"Client-Cert: " + testpki.ByteSequences(bob)},
		"cloudflare":        {"Cf-Client-Cert-Der-Base64: " + testpki.Base64DER(bob)},
		"azure_app_service": {"X-ARR-ClientCert: " + testpki.Base64DER(bob)},
		"azure_app_gateway": {"X-Client-Cert: " + testpki.EscapedPEM(bob), "X-Client-Cert-Verification: SUCCESS"},
		"openshift_router":  {`X-SSL-Client-DER: "` + testpki.Base64DER(bob) + `"`, "X-SSL-Client-Verify: 0"},
		"kong":              {"X-Client-Cert: " + testpki.EscapedPEM(bob)},
		"caddy":             {"X-Client-Cert: " + testpki.Base64DER(bob)},
	} {
		blocks = append(blocks, certBlock(preset, preset, pool))
		cases = append(
			cases,
			certCase{preset + ", beside the certificate", preset, append(fields, descriptions...), 200, "", is},
			certCase{preset + ", without it", preset, descriptions, 401, "no credential", nil},
		)
	}
	runCerts(t, certGuard(t, blocks...), cases)
}
