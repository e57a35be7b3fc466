// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// Many sessions are due in the same minute, with 8 requests each at once: one refresh a
// session, and no request is refused.
func TestSessionsThatAreDueAtOnceAreRefreshedOnceEach(t *testing.T) {
	file, jar := newKeyFile(t)
	s := newSite(t, alwaysDue(), siteOptions{session: "key_file " + file})
	one := s.window(t)
	one.login("/")
	place := session.Site{Host: host}
	first, err := jar.Open(t.Context(), []string{"kube_session=" + one.cookies()["kube_session"]}, place, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cookies := make([]string, 200)
	for i := range cookies {
		made := session.New(first.Source, time.Now())
		made.Nonce = "nonce"
		made.IDToken, made.RefreshToken = redeemed(t, s)
		lines, err := jar.Seal(made, place, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cookies[i], _, _ = strings.Cut(lines[0], ";")
	}
	s.tokensLast()
	client := s.window(t).client
	client.Jar = nil
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	work := make(chan string)
	var group sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[int]int)
	for range 64 {
		group.Go(func() {
			for cookie := range work {
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/api", http.NoBody)
				request.Header.Set("Cookie", cookie)
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				mu.Lock()
				statuses[response.StatusCode]++
				mu.Unlock()
			}
		})
	}
	for _, cookie := range cookies {
		for range 8 {
			work <- cookie
		}
	}
	close(work)
	group.Wait()
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); statuses[http.StatusOK] != 8*len(cookies) || n != int64(len(cookies)) || reused != 0 {
		t.Errorf("statuses %v, %d refreshes, %d tokens used twice", statuses, n, reused)
	}
}

// redeemed are the tokens of a login at the issuer, without the proxy.
func redeemed(t *testing.T, s *site) (idToken, refreshToken string) {
	t.Helper()
	// The challenge is of the verifier in RFC 7636, appendix B.
	code := s.issuer.NewCode("alice", url.Values{
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "redirect_uri": {"http://x/"}, "nonce": {"nonce"},
	})
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://x/"},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer.URL+testissuer.TokenPath, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("dash", "dash-secret")
	client := &http.Client{Transport: directly}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		IDToken      string `json:"id_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.RefreshToken == "" {
		t.Fatalf("status %d: %v", response.StatusCode, err)
	}
	return answer.IDToken, answer.RefreshToken
}

// directly is without the tests' proxy.
var directly = &http.Transport{}
