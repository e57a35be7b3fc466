// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// Answer is an answer, with the user that the API server saw.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	User   apiserver.AuditUser

	Mark string // part of the URI, which identifies the request in the audit log
}

// Read reads an answer, and closes it.
func Read(tb testing.TB, response *http.Response) Answer {
	tb.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatalf("reading the answer: %v", err)
	}
	answer := Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	var review struct {
		Status struct {
			UserInfo apiserver.AuditUser `json:"userInfo"`
		} `json:"status"`
	}
	if response.StatusCode == http.StatusCreated && json.Unmarshal(body, &review) == nil {
		answer.User = review.Status.UserInfo
	}
	return answer
}

// WantUser compares everything that the API server knows about the user.
func (a Answer) WantUser(tb testing.TB, want apiserver.AuditUser) {
	tb.Helper()
	if a.Status != http.StatusCreated {
		tb.Fatalf("status = %d, want 201\n%s", a.Status, a.Body)
	}
	if !reflect.DeepEqual(a.User, want) {
		tb.Errorf("the API server sees the client as\n%+v, want\n%+v", a.User, want)
	}
}

// WantRefused asserts that the request did not reach the API server.
func (a Answer) WantRefused(tb testing.TB, status int) {
	tb.Helper()
	if a.Status != status {
		tb.Errorf("status = %d, want %d\n%s", a.Status, status, a.Body)
	}
	if events := a.Events(tb); len(events) > 0 {
		tb.Errorf("the request reached the API server: %+v", events)
	}
}

// Events are the audit log's events about the request.
func (a Answer) Events(tb testing.TB) []apiserver.AuditEvent {
	tb.Helper()
	events, err := Server(tb).AuditRequests(tb.Context(), a.Mark)
	if err != nil {
		tb.Fatal(err)
	}
	return events
}

// AwaitEvents waits for the events, which for a stream come at its end.
func (a Answer) AwaitEvents(tb testing.TB) []apiserver.AuditEvent {
	tb.Helper()
	var events []apiserver.AuditEvent
	WaitFor(tb, "the audit event of the request", func() bool {
		events = a.Events(tb)
		return len(events) > 0
	})
	return events
}

// Event is the audit log's only event about the request.
func (a Answer) Event(tb testing.TB) apiserver.AuditEvent {
	tb.Helper()
	events, err := Server(tb).Audit(tb.Context(), a.Header.Get("Audit-Id"))
	if err != nil {
		tb.Fatal(err)
	}
	if len(events) != 1 {
		tb.Fatalf("%d audit events, want 1: %+v", len(events), events)
	}
	return events[0]
}

// Subject is the user in whose name the client asked.
func Subject(event apiserver.AuditEvent) string {
	if event.ImpersonatedUser == nil {
		return ""
	}
	return event.ImpersonatedUser.Username
}

// WantAsked asserts what the API server saw: the client's own user, the user in whose
// name it asked, and with which groups.
func (a Answer) WantAsked(tb testing.TB, asks, subject string, groups []string) {
	tb.Helper()
	if a.Status != http.StatusCreated {
		tb.Fatalf("status = %d, want 201\n%s", a.Status, a.Body)
	}
	event := a.Event(tb)
	if got := Subject(event); event.User.Username != asks || got != subject {
		tb.Errorf("the API server was asked by %q for %q, want %q for %q", event.User.Username, got, asks, subject)
	}
	if subject == "" {
		subject = asks
	}
	if a.User.Username != subject || !reflect.DeepEqual(a.User.Groups, groups) {
		tb.Errorf("the API server sees the client as %+v, want %s with %q", a.User, subject, groups)
	}
}

// WantImpersonated asserts that the API server saw one request, by and for these users.
func (a Answer) WantImpersonated(tb testing.TB, by, user string, groups ...string) {
	tb.Helper()
	events := a.Events(tb)
	if len(events) != 1 {
		tb.Fatalf("%d audit events, want 1: %+v", len(events), events)
	}
	event := events[0]
	if event.User.Username != by || event.ImpersonatedUser == nil {
		tb.Fatalf("the API server was asked by %+v as %+v, want %s as %s", event.User, event.ImpersonatedUser, by, user)
	}
	want := apiserver.AuditUser{Username: user, Groups: append(slices.Clone(groups), "system:authenticated")}
	if got := *event.ImpersonatedUser; got.Username != user || !slices.Equal(got.Groups, want.Groups) {
		tb.Errorf("the API server was asked for %+v, want %+v", got, want)
	}
}
