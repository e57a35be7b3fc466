// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// AuditUser is an identity in the audit log.
type AuditUser = UserInfo

// AuditEvent is the part of an audit event that has the user and the request.
type AuditEvent struct {
	AuditID          string     `json:"auditID"`
	Stage            string     `json:"stage"`
	RequestURI       string     `json:"requestURI"`
	Verb             string     `json:"verb"`
	SourceIPs        []string   `json:"sourceIPs"`
	UserAgent        string     `json:"userAgent"`
	User             AuditUser  `json:"user"`
	ImpersonatedUser *AuditUser `json:"impersonatedUser"`
	ResponseStatus   struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// Audit returns the events of one request: its number is in the Audit-Id field of each
// answer. There is one of stage ResponseComplete, and before it one of stage
// ResponseStarted for watches and upgrades. Audit waits up to five seconds for the first,
// because an answer can arrive before its event is written.
func (s *Server) Audit(ctx context.Context, auditID string) ([]AuditEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		events, err := s.auditEvents(auditID)
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for audit event %q: %w", auditID, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// AuditRequests returns the events of all requests so far whose URI contains text. To
// know that the log is complete it sends a request, and waits until that request is in
// the log, which is written in the order in which requests end.
func (s *Server) AuditRequests(ctx context.Context, text string) ([]AuditEvent, error) {
	mark := "/version?mark=" + rand.Text()
	if _, err := s.Do(ctx, http.MethodGet, mark, nil, nil); err != nil {
		return nil, fmt.Errorf("marking the audit log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		marks, err := s.auditLines(mark, func(event AuditEvent) bool { return event.RequestURI == mark })
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if len(marks) > 0 {
			return s.auditLines(text, func(event AuditEvent) bool { return strings.Contains(event.RequestURI, text) })
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the mark in the audit log: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) auditEvents(auditID string) ([]AuditEvent, error) {
	return s.auditLines(auditID, func(event AuditEvent) bool { return event.AuditID == auditID })
}

// auditLines returns the events that match; all of them contain text.
func (s *Server) auditLines(text string, match func(AuditEvent) bool) ([]AuditEvent, error) {
	content, err := os.ReadFile(s.auditFile())
	if err != nil {
		return nil, err
	}
	var found []AuditEvent
	for line := range bytes.Lines(content) {
		// The last line may be half written; the next look finds all of it.
		if !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(line, []byte(text)) {
			continue
		}
		var event AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		if match(event) {
			found = append(found, event)
		}
	}
	return found, nil
}
