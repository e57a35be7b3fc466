// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

type object = testhandler.Object

// authenticationConfig returns the API server's file for these issuers.
func authenticationConfig(t *testing.T, issuers ...*testissuer.Issuer) string {
	t.Helper()
	var jwt []any
	for _, issuer := range issuers {
		jwt = append(jwt, object{
			"issuer": object{
				"url": issuer.URL, "audiences": []string{"dash"}, "certificateAuthority": testpki.PEM(issuer.CA),
			},
			"claimMappings": object{"username": object{"claim": "sub", "prefix": ""}},
		})
	}
	text, err := json.Marshal(object{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func authenticationFile(t *testing.T, issuers ...*testissuer.Issuer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authentication.json")
	testhandler.Write(t, path, authenticationConfig(t, issuers...))
	return path
}

// ago returns the time that many seconds ago, as a claim.
func ago(seconds int64) int64 { return time.Now().Unix() - seconds }
