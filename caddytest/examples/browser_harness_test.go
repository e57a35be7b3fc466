// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// exampleBrowser opens pages as a browser does, with cookies, and follows redirects.
type exampleBrowser struct {
	t       *testing.T
	client  *http.Client
	visited []string // the paths of all answers, with their ports
}

func newExampleBrowser(t *testing.T) *exampleBrowser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &exampleBrowser{t: t, client: &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// examplePage is where a browser comes to.
type examplePage struct {
	quickstartAnswer
	url string
}

// open follows a URL that the user typed.
func (b *exampleBrowser) open(target string) examplePage {
	b.t.Helper()
	return b.follow(target, b.ask(http.MethodGet, target, nil, "Sec-Fetch-Site: none"))
}

// openOnceReady opens a page again while the issuer is not known yet: where it is in the same
// process, it begins to listen only after the site has asked for it first.
func (b *exampleBrowser) openOnceReady(target string) examplePage {
	b.t.Helper()
	page := b.open(target)
	for deadline := time.Now().Add(20 * time.Second); page.status == http.StatusServiceUnavailable && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		page = b.open(target)
	}
	return page
}

// submit posts a form of a page to the page's own URL.
func (b *exampleBrowser) submit(page examplePage, form url.Values) examplePage {
	b.t.Helper()
	at, err := url.Parse(page.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.follow(page.url, b.ask(http.MethodPost, page.url, form, "Sec-Fetch-Site: same-origin", "Origin: "+at.Scheme+"://"+at.Host))
}

func (b *exampleBrowser) follow(at string, answer quickstartAnswer) examplePage {
	b.t.Helper()
	for range 10 {
		here, err := url.Parse(at)
		if err != nil {
			b.t.Fatal(err)
		}
		b.visited = append(b.visited, here.Port()+here.Path)
		if answer.status != http.StatusSeeOther && answer.status != http.StatusFound {
			return examplePage{answer, at}
		}
		next, err := here.Parse(answer.header.Get("Location"))
		if err != nil {
			b.t.Fatal(err)
		}
		at = next.String()
		answer = b.ask(http.MethodGet, at, nil, "Sec-Fetch-Site: cross-site")
	}
	b.t.Fatalf("the browser is redirected without an end: %v", b.visited)
	return examplePage{}
}

// ask sends one request. A nil form is none.
func (b *exampleBrowser) ask(method, target string, form url.Values, fields ...string) quickstartAnswer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, field := range slices.Concat([]string{
		"Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1",
	}, fields) {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return quickstartAnswer{response.StatusCode, response.Header, string(body)}
}

// fetch is a request of the site's own page, or of a program with fields of its own.
func (b *exampleBrowser) fetch(target string, fields ...string) quickstartAnswer {
	b.t.Helper()
	return b.ask(http.MethodGet, target, nil, slices.Concat([]string{
		"Accept: */*", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin",
	}, fields)...)
}
