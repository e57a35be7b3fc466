// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"testing"
)

func TestTheLastLineOfTheAuditLogIsCutOffIfItIsHalfALine(t *testing.T) {
	for content, want := range map[string]string{
		"":             "",
		"{}\n":         "{}\n",
		"{}\n{\"aud":   "{}\n",
		"{\"auditID\"": "",
	} {
		server := &Server{Dir: t.TempDir()}
		if err := os.WriteFile(server.auditFile(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := server.trimAudit(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(server.auditFile()); err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v, want %q", content, got, err, want)
		}
	}
	if err := (&Server{Dir: t.TempDir()}).trimAudit(); err != nil {
		t.Errorf("without a log: %v", err)
	}
}
