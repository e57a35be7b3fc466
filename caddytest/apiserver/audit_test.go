// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

func TestTheAuditLogFindsRequestsByTheirURI(t *testing.T) {
	for range 2 {
		if _, err := server.Do(t.Context(), http.MethodGet, "/version?asked=twice", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int{"asked=twice": 2, "asked=never": 0} {
		events, err := server.AuditRequests(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != want {
			t.Errorf("%d events for %q, want %d: %+v", len(events), text, want, events)
		}
		for _, event := range events {
			if event.User.Username != "admin" || event.RequestURI != "/version?asked=twice" {
				t.Errorf("the event is of another request: %+v", event)
			}
		}
	}
}

func TestTheServerReadsUserAndGroupsFromAClientCertificate(t *testing.T) {
	certFile, keyFile, err := server.ClientCert("carol", "dev", "ops")
	if err != nil {
		t.Fatal(err)
	}
	got := whoAmI(t, client(t, certFile, keyFile), http.Header{})
	expect(t, got, apiserver.AuditUser{Username: "carol", Groups: []string{"dev", "ops", "system:authenticated"}})
}
