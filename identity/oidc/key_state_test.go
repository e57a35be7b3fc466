// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"net/http"
	"testing"
	"time"
)

func TestLifetimes(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		age   string
		want  time.Duration
	}{
		"nothing said":              {nil, "", time.Hour},
		"nothing said, and an age":  {nil, "3000", time.Hour},
		"other words":               {[]string{"public, must-revalidate, s-maxage=5, x-max-age=5"}, "", time.Hour},
		"Google's":                  {[]string{"public, max-age=19852, must-revalidate, no-transform"}, "", 19852 * time.Second},
		"Google's, in a cache":      {[]string{"public, max-age=19852, must-revalidate, no-transform"}, "9852", 10000 * time.Second},
		"upper case and blanks":     {[]string{"Public,  MAX-AGE=600 "}, "", 10 * time.Minute},
		"quoted":                    {[]string{`max-age="600"`}, "", 10 * time.Minute},
		"on the second line":        {[]string{"public", "max-age=600"}, "", 10 * time.Minute},
		"leading zeros":             {[]string{"max-age=00000000000600"}, "", 10 * time.Minute},
		"1 s":                       {[]string{"max-age=1"}, "", time.Minute},
		"0 s":                       {[]string{"max-age=0"}, "", time.Minute},
		"a week":                    {[]string{"max-age=604800"}, "", 24 * time.Hour},
		"beyond all numbers":        {[]string{"max-age=99999999999999999999999999"}, "", 24 * time.Hour},
		"older than it may be":      {[]string{"max-age=600"}, "1200", time.Minute},
		"an age beyond all numbers": {[]string{"max-age=86400"}, "99999999999999999999999999", time.Minute},
		"an invalid age":            {[]string{"max-age=600"}, "-5", 10 * time.Minute},
		"no-store":                  {[]string{"no-store"}, "", time.Minute},
		"no-cache after max-age":    {[]string{"max-age=600, no-cache"}, "", time.Minute},
		"no-cache for a field":      {[]string{`max-age=600, no-cache="Set-Cookie"`}, "", time.Minute},
		"NO-STORE on another line":  {[]string{"max-age=600", "NO-STORE"}, "", time.Minute},
		"max-age twice, the same":   {[]string{"max-age=600, max-age=600"}, "", 10 * time.Minute},
		"max-age twice, another":    {[]string{"max-age=600, max-age=86400"}, "", time.Minute},
		"negative":                  {[]string{"max-age=-600"}, "", time.Minute},
		"a fraction":                {[]string{"max-age=600.5"}, "", time.Minute},
		"without a number":          {[]string{"max-age"}, "", time.Minute},
	} {
		header := http.Header{"Cache-Control": test.lines}
		if test.age != "" {
			header.Set("Age", test.age)
		}
		if got := lifetime(header); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if lifetime(nil) != time.Hour {
		t.Error("no header")
	}
}

// The same keys are not tried once more for a token that they did not verify.
func TestEqualKeysAreNotReplaced(t *testing.T) {
	now := time.Now()
	before := new(keyState).succeeded(mustParseKeySet(t, "ed25519-1", "p256-1"), time.Minute, now)
	if after := before.succeeded(mustParseKeySet(t, "p256-1", "ed25519-1"), time.Minute, now); after.set != before.set {
		t.Error("the same keys replaced themselves")
	}
	if after := before.succeeded(mustParseKeySet(t, "p256-1"), time.Minute, now); after.set == before.set {
		t.Error("other keys did not replace them")
	}
}
