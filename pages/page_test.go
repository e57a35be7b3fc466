// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// Names are whatever an issuer allows; the page and the JSON must show them as texts.
func hostile() *guest.Passed {
	return &guest.Passed{
		User: identity.User{
			Username: `<script>alert(1)</script>`, UID: `" onload="x`, Groups: []string{"</li><img src=x>", "{{.}}"}, Name: "</style>", Email: "a&b@example.com",
			Extra: map[string][]string{"<b>": {"<i>", "x"}},
		},
		Source: "oidc", Expires: now.Add(90*time.Minute + 30*time.Second), Session: now.Add(30 * time.Second),
		LeftOut: []string{"<u>"}, Stripped: []string{"Authorization"},
		Injected: []guest.Injected{{Field: "Authorization", Lines: 1, Credential: true}, {Field: "X-User", Lines: 1}},
	}
}

func TestNamesAreTextsOnThePage(t *testing.T) {
	body, err := page(hostile(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "<u>", "<i>", `onload="x"`} {
		if strings.Contains(string(body), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if strings.Count(string(body), "</style>") != 1 {
		t.Error("the style ends in another place")
	}
	for _, want := range []string{
		"&lt;script&gt;alert(1)&lt;/script&gt;", "{{.}}", "<dd>a&amp;b@example.com</dd>", "2026-11-28T13:30:30Z", "(in 1h30m)", "(in less than a minute)",
		"a credential: yes", "<td>1 line</td>", "<td>&lt;i&gt;, x</td>",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

// Nothing is shown where nothing is known.
func TestAPageAboutLittle(t *testing.T) {
	body, err := page(&guest.Passed{User: identity.User{Username: "alice"}, Source: "anonymous"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"until", "Email", "UID", "<dt>Name", "Left out", "Extra"} {
		if strings.Contains(string(body), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, want := range []string{"None.", "Nothing about you.", "Nothing.</p>"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

func TestTheReviewHasTimesAndLists(t *testing.T) {
	body, err := review(hostile(), now)
	if err != nil {
		t.Fatal(err)
	}
	var got selfSubjectReview
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	notes := got.Metadata.Annotations
	for name, want := range map[string]string{
		expiresAnnotation: "2026-11-28T13:30:30Z", sessionAnnotation: "2026-11-28T12:00:30Z", strippedAnnotation: `["Authorization"]`,
		injectedAnnotation: `{"Authorization":"credential: yes","X-User":"identity"}`, nameAnnotation: "</style>",
	} {
		if notes[name] != want {
			t.Errorf("%s is %q, want %q", name, notes[name], want)
		}
	}
	if got.Status.UserInfo.Username != hostile().User.Username || got.Metadata.CreationTimestamp != "2026-11-28T12:00:00Z" {
		t.Errorf("the review is %+v", got)
	}
}

func TestWithin(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Second: "", 0: "in less than a minute", 59 * time.Second: "in less than a minute", time.Minute: "in 1m", 25*time.Hour + time.Second: "in 25h0m",
	} {
		if got := within(now.Add(left), now); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
	if got := within(time.Time{}, now); got != "" {
		t.Errorf("the zero time: %q", got)
	}
}
