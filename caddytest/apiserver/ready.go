// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// waitForIssuers waits until the server has keys of each issuer in its configuration: the
// server fetches the discovery documents in the background, and /readyz does not wait for
// that. asked is the result of keyRequests before the start.
func (s *Server) waitForIssuers(ctx context.Context, asked map[*Issuer]int) error {
	for _, authentication := range s.authentications {
		issuer := s.issuerOf(authentication)
		if issuer == nil || len(authentication.Issuer.Audiences) == 0 {
			continue
		}
		if err := s.waitForIssuer(ctx, authentication, issuer, asked[issuer]); err != nil {
			return fmt.Errorf("waiting until the server has keys of %s: %w", issuer.URL, err)
		}
	}
	return nil
}

// waitForIssuer sends the server a token with the right issuer and audience: to verify
// it, the server needs the keys. It does not matter whether the server accepts the
// claims.
func (s *Server) waitForIssuer(ctx context.Context, authentication authentication, issuer *Issuer, asked int) error {
	token, err := issuer.Sign("ES256", map[string]any{
		"iss": authentication.Issuer.URL, "aud": authentication.Issuer.Audiences[0], "sub": "readiness",
	})
	if err != nil {
		return err
	}
	for {
		header := http.Header{"Authorization": {"Bearer " + token}}
		if _, _, err := s.send(ctx, s.anonymous, http.MethodGet, "/version", header, nil); err != nil {
			return err
		}
		if _, keys := issuer.Requests(); keys > asked {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// issuerOf returns the issuer that the server asks for the keys, or nil if it is not one
// of this package, or is down.
func (s *Server) issuerOf(authentication authentication) *Issuer {
	source := authentication.Issuer.DiscoveryURL
	if source == "" {
		source = authentication.Issuer.URL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, issuer := range s.issuers {
		if strings.HasPrefix(source+"/", issuer.URL+"/") && issuer.up() {
			return issuer
		}
	}
	return nil
}

// keyRequests returns how often each issuer has been asked for its keys so far.
func (s *Server) keyRequests() map[*Issuer]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := make(map[*Issuer]int, len(s.issuers))
	for _, issuer := range s.issuers {
		_, asked[issuer] = issuer.Requests()
	}
	return asked
}
