// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc/authenticationconfig"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestParseRefuses(t *testing.T) {
	for _, tt := range invalidFiles {
		t.Run(tt.name, func(t *testing.T) {
			config, err := authenticationconfig.Parse([]byte(tt.content))
			if err == nil {
				t.Fatalf("took %+v", config)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q\nwant %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("a password or more than one line: %q", err)
			}
		})
	}
}

func TestParseTakes(t *testing.T) {
	for _, tt := range validFiles {
		t.Run(tt.name, func(t *testing.T) {
			config, err := authenticationconfig.Parse([]byte(tt.content))
			if err != nil {
				t.Fatal(err)
			}
			if len(config.Authenticators) == 0 || config.Authenticators[0].Mapper == nil {
				t.Errorf("got %+v", config)
			}
		})
	}
}

// A file without issuers says that there are none, as it does to the API server: it is not a
// file that cannot be read.
func TestParseTakesNoIssuers(t *testing.T) {
	for _, content := range []string{header, header + "jwt: []\n", header + "jwt:\n"} {
		config, err := authenticationconfig.Parse([]byte(content))
		if err != nil || len(config.Authenticators) != 0 {
			t.Errorf("%q: %+v, %v", content, config, err)
		}
	}
}

// certificate makes an untrusted certificate, also in PEM.
func certificate(t *testing.T) (certificate *x509.Certificate, text string) {
	t.Helper()
	ca := testpki.NewCA(t, nil, "issuers", nil)
	return ca.Cert, testpki.PEM(ca)
}

func TestParseKeepsTheValuesOfTheFile(t *testing.T) {
	ca, text := certificate(t)
	key := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	config, err := authenticationconfig.Parse([]byte(file(
		entry("url: https://a.example, discoveryURL: https://d.example/x, audiences: [a, b], audienceMatchPolicy: MatchAny, certificateAuthority: "+
			`"`+strings.ReplaceAll(key+text, "\n", `\n`)+`"`, username),
		entry("url: https://b.example, audiences: [c]", username),
	)))
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Authenticators) != 2 {
		t.Fatalf("got %d authenticators", len(config.Authenticators))
	}
	first, second := config.Authenticators[0], config.Authenticators[1]
	if first.IssuerURL != "https://a.example" || first.DiscoveryURL != "https://d.example/x" ||
		strings.Join(first.Audiences, " ") != "a b" {
		t.Errorf("first: %+v", first)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	if first.CertificateAuthority == nil || !first.CertificateAuthority.Equal(pool) {
		t.Error("first: another pool")
	}
	if second.IssuerURL != "https://b.example" || second.DiscoveryURL != "" || second.CertificateAuthority != nil {
		t.Errorf("second: %+v", second)
	}
}

// An operator who saw only the first error would have to start the server once per error.
func TestParseNamesEveryError(t *testing.T) {
	content := file(
		entry("url: http://a.example", "username: {claim: sub}, groups: {expression: x}", "claimValidationRules: [{}]"),
		entry(usual+", egressSelectorType: cluster", username, `userValidationRules: [{expression: "user.x"}]`),
	)
	_, err := authenticationconfig.Parse([]byte(content))
	if err == nil {
		t.Fatal("took it")
	}
	for _, want := range []string{
		"jwt[0].issuer.url: ", "jwt[0].issuer.audiences: ", "jwt[0].claimValidationRules[0]: ",
		"jwt[0].claimMappings.username.prefix: ", "jwt[0].claimMappings.groups.expression: ",
		"jwt[1].issuer.egressSelectorType: ", "jwt[1].userValidationRules[0].expression: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range invalidFiles {
		if len(tt.content) < 1<<12 {
			f.Add([]byte(tt.content))
		}
	}
	for _, tt := range validFiles {
		if len(tt.content) < 1<<12 {
			f.Add([]byte(tt.content))
		}
	}
	f.Add([]byte(header + "jwt: []\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		config, err := authenticationconfig.Parse(content)
		if err != nil {
			return
		}
		for _, a := range config.Authenticators {
			if !strings.HasPrefix(strings.ToLower(a.IssuerURL), "https://") || len(a.Audiences) == 0 || a.Mapper == nil {
				t.Errorf("took %+v", a)
			}
		}
	})
}
