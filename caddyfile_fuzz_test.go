// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzUnmarshalCaddyfile puts any text into the block. The text must adapt to JSON without
// unknown fields, or give an error that tells where.
func FuzzUnmarshalCaddyfile(f *testing.F) {
	paths, err := filepath.Glob("testdata/caddyfile/*/*.caddyfiletest")
	if err != nil {
		f.Fatal(err)
	}
	if len(paths) == 0 {
		f.Error("no golden files are found to begin with")
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		config, _, _ := strings.Cut(string(content), "----------")
		if _, block, found := strings.Cut(config, "kube_identity {\n"); found {
			block, _, _ = strings.Cut(block, "\n\t}\n")
			f.Add(block)
		}
	}
	f.Add("")
	f.Add("{")
	f.Add("inject\ninject \"\"")
	f.Add("trusted_proxies static\ntrusted_proxy_cert")
	f.Add("forwarded {\n\tgroups ,\n}\nplaceholder {\n\tgroups {http.auth.user.id} \" \"\n}")
	f.Add("anonymous `a\nb` {\n\tgroups \"\\\"\"\n}")
	adapter := caddyconfig.GetAdapter("caddyfile")
	where := regexp.MustCompile(`Caddyfile:\d+`)
	f.Fuzz(func(t *testing.T, text string) {
		config := []byte(":8080 {\n\tkube_identity {\n" + text + "\n\t}\n}\n")
		if !staysInside(config, text) {
			return
		}
		adapted, _, err := adapter.Adapt(config, map[string]any{"filename": "Caddyfile"})
		if err != nil {
			if !where.MatchString(err.Error()) {
				t.Errorf("%q does not tell where", err)
			}
			return
		}
		strictly(t, string(adapted))
	})
}

// staysInside says whether the text stays within the block of one directive: it does not end
// the block, and does not make Caddy's parser read files or refuse the text before the plugin
// sees it.
func staysInside(config []byte, text string) bool {
	if strings.Contains(text, "import") {
		return false
	}
	blocks, err := caddyfile.Parse("Caddyfile", config)
	if err != nil || len(blocks) != 1 || len(blocks[0].Segments) != 1 {
		return false
	}
	segment := blocks[0].Segments[0]
	return segment[0].Text == "kube_identity" && segment[len(segment)-1].Text == "}"
}
