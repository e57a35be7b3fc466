// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func BenchmarkImpersonation(b *testing.B) {
	path := filepath.Join(b.TempDir(), "token")
	writeToken(b, path, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln\n")
	account := &impersonation.ServiceAccount{Request: func(context.Context) (string, time.Time, error) {
		return "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", time.Now().Add(time.Hour), nil
	}}
	account.Start()
	defer account.Close()
	credentials := map[string]struct {
		credential impersonation.Credential
		age        time.Duration
	}{
		"no_credential":   {},
		"token_file":      {&impersonation.TokenFile{Path: path}, time.Hour},
		"token_file_read": {&impersonation.TokenFile{Path: path}, -time.Hour}, // from the future, so it is not kept
		"service_account": {account, time.Hour},
	}
	for name, test := range credentials {
		b.Run(name, func(b *testing.B) {
			injector := impersonation.Impersonation{Credential: test.credential, UID: true, Extra: []string{"example.com/tenant"}}
			id, header, ctx := alice(), make(http.Header), b.Context()
			age(b, path, test.age)
			b.ReportAllocs()
			for b.Loop() {
				if err := injector.Inject(ctx, id, header); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
