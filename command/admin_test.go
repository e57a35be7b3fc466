// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestAnAdminAPIThatIsSilentIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		began := time.Now()
		_, err := within(patience, func() ([]byte, error) { <-end; return nil, nil })
		if err == nil || time.Since(began) != patience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		close(end)
	})
}

func TestAHeaderThatTheServerDoesNotRead(t *testing.T) {
	at := &picked{name: "main", server: &caddyhttp.Server{MaxHeaderBytes: 1 << 14}}
	for size, want := range map[int]bool{1 << 14: true, 1<<14 + 4096: false} {
		r := &http.Request{Method: http.MethodGet, RequestURI: "/", Host: "a", Header: http.Header{"X": {strings.Repeat("x", size)}}}
		if err := at.reads(r); (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestJSONWritesNothingButItselfToATerminal(t *testing.T) {
	got := plainJSON([]byte("{\r\n\t\"a\": \"b\u009b\x7f\u202e\U000e0041\"\n}"))
	if want := fmt.Sprintf("{ \n\t\"a\": \"b%s\"\n}", `\u009b\u007f\u202e\udb40\udc41`); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
