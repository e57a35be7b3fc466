// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// answering is an issuer of which a test says whether it answers.
type answering struct{ up bool }

func (a *answering) RoundTrip(*http.Request) (*http.Response, error) {
	if !a.up {
		return nil, errors.New("down")
	}
	const document = `{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a","token_endpoint":"https://idp.example/t"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(document))}, nil
}

// A pod whose issuer was down at its start got no logins, since it was not ready, and so never
// asked the issuer again.
func TestWhoeverAsksForTheStatusHasTheDocumentFetchedThatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := new(answering)
		p, err := codeflow.New(codeflow.Config{
			Issuer: "https://idp.example", ClientID: "dash", Auth: codeflow.ClientAuth{Method: codeflow.AuthNone}, Transport: issuer,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		p.Warm()
		synctest.Wait()
		if got := p.Status(); got.Usable || !got.Fetched.IsZero() || got.Err == nil {
			t.Errorf("while the issuer is down: %+v", got)
		}
		issuer.up = true
		time.Sleep(time.Hour)
		p.Status()
		synctest.Wait()
		first := time.Now()
		if got := p.Status(); got != (codeflow.Status{Usable: true, Fetched: first}) {
			t.Errorf("when it is up: %+v", got)
		}
		issuer.up = false
		time.Sleep(24 * time.Hour)
		p.Status()
		synctest.Wait()
		if got := p.Status(); got != (codeflow.Status{Usable: true, Fetched: first}) {
			t.Errorf("the status of a document that is known was asked for, which begins no fetch: %+v", got)
		}
		p.Warm() // as a login
		synctest.Wait()
		if got := p.Status(); !got.Usable || got.Fetched != first || got.Err == nil {
			t.Errorf("down again, after a login: %+v", got)
		}
	})
}

func TestConfiguredEndpointsNeedNoDocument(t *testing.T) {
	p, err := codeflow.New(codeflow.Config{
		Issuer: "https://idp.example", ClientID: "dash", Auth: codeflow.ClientAuth{Method: codeflow.AuthNone},
		NoDiscovery: true, AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.Status(); got != (codeflow.Status{Usable: true}) {
		t.Errorf("the status is %+v", got)
	}
}
