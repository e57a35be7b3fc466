// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/ipsource"
)

// The page has the grammar of the comment, and each field.
func TestThePageHasTheGrammarAndTheJSON(t *testing.T) {
	page, err := os.ReadFile("../docs/trusted-proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("kubernetes_service.go")
	if err != nil {
		t.Fatal(err)
	}
	grammar := regexp.MustCompile(`(?s)Syntax:\n//\n(.*?)func `).FindStringSubmatch(string(code))
	if grammar == nil {
		t.Fatal("there is no grammar")
	}
	want := strings.ReplaceAll(grammar[1], "//\t", "")
	if !strings.Contains(string(page), "```text\n"+want+"```\n") {
		t.Errorf("the page does not have\n%s", want)
	}
	for field := range reflect.TypeFor[ipsource.KubernetesService]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && !strings.Contains(string(page), `"`+name+`": `) {
			t.Errorf("the page's JSON does not have %s", name)
		}
	}
}
