// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

const (
	kubeReviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	kubeReview  = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`

	kubeTrusted   = "127.0.0.1"
	kubeUntrusted = "127.0.0.2"
)

// kubeAnswer is an answer, and whom the API server took the client for.
type kubeAnswer struct {
	status int
	header http.Header
	body   string
	user   apiserver.AuditUser

	mark string // is in the URI, by which the audit log knows the request
}

// kubeAsk asks the API server, through Caddy and as the trusted peer, whom it takes the
// client for.
func kubeAsk(t *testing.T, c *caddytest.Caddy, fields ...string) kubeAnswer {
	t.Helper()
	return kubeAskFrom(t, c, kubeTrusted, fields, nil)
}

// kubeAskFrom is kubeAsk from a given address and with trailers. Fields and trailers go
// over the wire as they stand.
func kubeAskFrom(t *testing.T, c *caddytest.Caddy, from string, fields, trailers []string) kubeAnswer {
	t.Helper()
	mark := rand.Text()
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", len(kubeReview), kubeReview, kubeLines(trailers))
	fields = append([]string{"Content-Type: application/json", "Transfer-Encoding: chunked"}, fields...)
	answer := kubeSend(t, c.Dial(t, from), "POST "+kubeReviews+"?mark="+mark, fields, chunks)
	answer.mark = mark
	return answer
}

// kubeGet gets a path, through Caddy and as the trusted peer.
func kubeGet(t *testing.T, c *caddytest.Caddy, path string, fields ...string) kubeAnswer {
	t.Helper()
	return kubeSend(t, c.Dial(t, kubeTrusted), "GET "+path, fields, "")
}

func kubeSend(t *testing.T, conn net.Conn, line string, fields []string, body string) kubeAnswer {
	t.Helper()
	if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: kube.example\r\n"+kubeLines(fields)+"\r\n"+body); err != nil {
		t.Fatalf("asking: %v", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	defer conn.Close()
	return kubeRead(t, response)
}

func kubeLines(fields []string) string {
	var lines strings.Builder
	for _, field := range fields {
		lines.WriteString(field + "\r\n")
	}
	return lines.String()
}

// kubeDirect asks the API server itself, without Caddy, whom it takes the client for.
func kubeDirect(t *testing.T, header http.Header) kubeAnswer {
	t.Helper()
	return kubeCall(t, http.MethodPost, kubeReviews, header, kubeReview)
}

// kubeCall asks the API server itself.
func kubeCall(t *testing.T, method, path string, header http.Header, body string) kubeAnswer {
	t.Helper()
	server := kubeServer(t)
	client, err := server.Client("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return kubeRead(t, response)
}

func kubeRead(t *testing.T, response *http.Response) kubeAnswer {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	answer := kubeAnswer{status: response.StatusCode, header: response.Header, body: string(body)}
	var review struct {
		Status struct {
			UserInfo apiserver.AuditUser `json:"userInfo"`
		} `json:"status"`
	}
	if response.StatusCode == http.StatusCreated && json.Unmarshal(body, &review) == nil {
		answer.user = review.Status.UserInfo
	}
	return answer
}

// wantUser compares everything that the API server knows of the user.
func (a kubeAnswer) wantUser(t *testing.T, want apiserver.AuditUser) {
	t.Helper()
	if a.status != http.StatusCreated {
		t.Fatalf("status = %d, want 201\n%s", a.status, a.body)
	}
	if !reflect.DeepEqual(a.user, want) {
		t.Errorf("the API server takes the client for\n%+v, want\n%+v", a.user, want)
	}
}

// wantRefused is for what must not have reached the API server.
func (a kubeAnswer) wantRefused(t *testing.T, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("status = %d, want %d\n%s", a.status, status, a.body)
	}
	if events := a.events(t); len(events) > 0 {
		t.Errorf("the request reached the API server: %+v", events)
	}
}

// events are what the audit log has about the request.
func (a kubeAnswer) events(t *testing.T) []apiserver.AuditEvent {
	t.Helper()
	events, err := kubeServer(t).AuditRequests(t.Context(), a.mark)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// event is the only thing that the audit log has about the request.
func (a kubeAnswer) event(t *testing.T) apiserver.AuditEvent {
	t.Helper()
	events, err := kubeServer(t).Audit(t.Context(), a.header.Get("Audit-Id"))
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 {
		t.Fatalf("%d audit events, want 1: %+v", len(events), events)
	}
	return events[0]
}

// kubeDeveloper is "X-Forwarded-User: alice" with the group developers, as the API server
// has her.
func kubeDeveloper() apiserver.AuditUser {
	return apiserver.AuditUser{Username: "alice", Groups: []string{"developers", "system:authenticated"}}
}
