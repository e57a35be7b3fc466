// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/sources"
)

func TestFieldsOfJSONThatDoNotExist(t *testing.T) {
	for field, want := range map[string]string{
		"allow_group":        "did you mean 'allow_groups'?",
		"inject":             "write 'injectors'",
		"preset":             "a preset is a word of the Caddyfile",
		"pass_authorisation": `unknown field "pass_authorisation"`,
	} {
		if err := new(Handler).UnmarshalJSON([]byte(`{"` + field + `": 1}`)); err == nil || !strings.HasSuffix(err.Error(), want) && !strings.Contains(err.Error(), want+", a") && !strings.Contains(err.Error(), want+":") {
			t.Errorf("%s: got %v, want %s", field, err, want)
		}
	}
	for field, want := range map[string]string{"group_claim": "'groups_claim'", "scope": "'scopes'"} {
		source := new(sources.OIDC)
		if err := nearField(caddy.StrictUnmarshalJSON([]byte(`{"`+field+`": 1}`), source), source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", field, err, want)
		}
	}
}
