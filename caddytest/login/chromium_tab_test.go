// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// tab is a page of a profile.
type tab struct {
	t       *testing.T
	profile *profile
	session string // of the protocol
}

// tab opens an empty page.
func (p *profile) tab() *tab {
	p.t.Helper()
	var made struct {
		TargetID string `json:"targetId"`
	}
	p.do("", "Target.createTarget", p.in(object{"url": "about:blank"}), &made)
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	p.do("", "Target.attachToTarget", object{"targetId": made.TargetID, "flatten": true}, &attached)
	return &tab{p.t, p, attached.SessionID}
}

// open navigates as from the address bar, and does not wait for the page.
func (b *tab) open(target string) {
	b.t.Helper()
	b.profile.do(b.session, "Page.navigate", object{"url": target}, nil)
}

// try evaluates a script in the page, and waits for its promise. A page that is being replaced
// has no answer.
func (b *tab) try(script string, result any) error {
	var got struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := b.profile.browser.call(b.session, "Runtime.evaluate",
		object{"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true}, &got)
	switch {
	case err != nil:
		return err
	case got.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s", got.ExceptionDetails.Text, got.ExceptionDetails.Exception.Description)
	case result == nil || len(got.Result.Value) == 0:
		return nil
	}
	return json.Unmarshal(got.Result.Value, result)
}

// run evaluates a script, and returns its value.
func (b *tab) run(script string) (value any) {
	b.t.Helper()
	if err := b.try(script, &value); err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// text is run for a string.
func (b *tab) text(script string) string {
	b.t.Helper()
	value, _ := b.run(script).(string)
	return value
}

// want waits until a script has a value.
func (b *tab) want(script string, want any) {
	b.t.Helper()
	var got any
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got = nil
		if err = b.try(script, &got); err == nil && reflect.DeepEqual(got, want) {
			return
		}
	}
	var page string
	_ = b.try("document.readyState + ' ' + location.href + '\\n' + (document.body ? document.body.innerText.slice(0, 600) : '')", &page)
	b.t.Fatalf("%s is %v (%v), want %v, in the page %s", script, got, err, want, page)
}

// wantAt waits until the tab shows the page of a URL.
func (b *tab) wantAt(target string) {
	b.t.Helper()
	b.want("document.readyState === 'complete' ? location.href : ''", target)
}

// wantIssuer waits for the login form of the issuer.
func (b *tab) wantIssuer(s *site) {
	b.t.Helper()
	b.want("document.readyState === 'complete' && location.href.startsWith("+quote(s.issuer.URL)+") && document.getElementById('user') !== null", true)
}

// submit fills in the login form of the issuer, and presses its button.
func (b *tab) submit(user string) {
	b.t.Helper()
	b.run("document.getElementById('user').value = " + quote(user) + ", document.getElementById('password').value = " + quote(user+"-password"))
	b.click("#submit")
}

// click presses what a selector finds.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.run("document.querySelector(" + quote(selector) + ").click()")
}

// heading is the page's own, for pages of ours.
func (b *tab) wantHeading(want string) {
	b.t.Helper()
	b.want("document.querySelector('h1') ? document.querySelector('h1').innerText : ''", want)
}

// entry is one page of a tab's history.
type entry struct {
	ID  int    `json:"id"`
	URL string `json:"url"`
}

// history is that of the tab, without the empty page at its begin.
func (b *tab) history() (current int, entries []entry) {
	b.t.Helper()
	var got struct {
		CurrentIndex int     `json:"currentIndex"`
		Entries      []entry `json:"entries"`
	}
	b.profile.do(b.session, "Page.getNavigationHistory", object{}, &got)
	return got.CurrentIndex, got.Entries
}

// goTo goes to an entry of the history, as the back button does.
func (b *tab) goTo(id int) {
	b.t.Helper()
	b.profile.do(b.session, "Page.navigateToHistoryEntry", object{"entryId": id}, nil)
}

// quote writes a string of JavaScript.
func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// visited are the URLs of a history.
func visited(entries []entry) []string {
	var urls []string
	for _, e := range entries {
		if !strings.HasPrefix(e.URL, "about:") {
			urls = append(urls, e.URL)
		}
	}
	return urls
}
