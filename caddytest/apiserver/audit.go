// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// AuditUser is an identity in the audit log.
type AuditUser struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

// AuditEvent is the part of an audit event that says who asked for what.
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

// Audit returns the events of one request: its number is in the Audit-Id field
// of each answer. There is one of stage ResponseComplete, and before it one of
// stage ResponseStarted for watches and upgrades. Audit waits up to five
// seconds for the first, because an answer can overtake its event.
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

func (s *Server) auditEvents(auditID string) ([]AuditEvent, error) {
	content, err := os.ReadFile(s.auditFile())
	if err != nil {
		return nil, err
	}
	var found []AuditEvent
	for line := range bytes.Lines(content) {
		// The last line may be half written; the next look will find it whole.
		if !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(line, []byte(auditID)) {
			continue
		}
		var event AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		if event.AuditID == auditID {
			found = append(found, event)
		}
	}
	return found, nil
}
