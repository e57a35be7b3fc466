// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

func TestSessionComesBackAsItWas(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	for name, change := range map[string]func(s *session.Session){
		"as usual":                      func(*session.Session) {},
		"without a refresh token":       func(s *session.Session) { s.RefreshToken = "" },
		"a refresh token that is a JWT": func(s *session.Session) { s.RefreshToken = idToken(3) },
		"an ID token of another form":   func(s *session.Session) { s.IDToken = "a.b" },
		"a JWT with padding":            func(s *session.Session) { s.IDToken = "e30=.e30.e30" },
		"a JWT with bits after the end": func(s *session.Session) { s.IDToken = "e31.e30.e30" },
		"a JWT with a line end":         func(s *session.Session) { s.IDToken = "e3\n0.e30.e30" },
		"a JWT of five parts":           func(s *session.Session) { s.IDToken = "e30.e30.e30.e30.e30" },
		"a JWT of empty parts":          func(s *session.Session) { s.IDToken = ".." },
		"no tokens":                     func(s *session.Session) { s.IDToken, s.RefreshToken = "", "" },
		"bytes that are not text":       func(s *session.Session) { s.RefreshToken = "\x00\xff;=\n" },
		"no names":                      func(s *session.Session) { s.SID, s.Nonce, s.Source = "", "", "" },
		"used later":                    func(s *session.Session) { s.Used = s.Created.Add(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			want := newSession(now, 20)
			change(want)
			b := login(t, jar, want, secure, now)
			for range 2 { // opened, and from the cache
				got, err := jar.Open(t.Context(), b.lines(), secure, now)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %#v\nwant %#v", got, want)
				}
			}
		})
	}
}

func TestAttributesOfCookies(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, test := range map[string]struct {
		config                session.JarConfig
		site                  session.Site
		session, login, ended string
	}{
		"over https": {
			session.JarConfig{},
			secure,
			"__Host-kube_session=…; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax",
			"__Host-kube_login=…; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax",
			"__Host-kube_session=…; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
		},
		"for a domain": {
			session.JarConfig{Domain: "example"},
			secure,
			"__Secure-kube_session=…; Path=/; Domain=example; Max-Age=43200; Secure; HttpOnly; SameSite=Lax",
			"__Secure-kube_login=…; Path=/; Domain=example; Max-Age=3600; Secure; HttpOnly; SameSite=Lax",
			"__Secure-kube_session=…; Path=/; Domain=example; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
		},
		"over http": {
			session.JarConfig{FormPost: true},
			plain,
			"kube_session=…; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax",
			"kube_login=…; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax",
			"kube_session=…; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
		},
		"for an answer by form, under another name": {
			session.JarConfig{FormPost: true, Name: "team"},
			secure,
			"__Host-team=…; Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax",
			"__Host-team_login=…; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=None",
			"__Host-team=…; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
		},
	} {
		t.Run(name, func(t *testing.T) {
			jar := newJar(t, test.config)
			lines, err := jar.Seal(newSession(now, 0), test.site, now)
			if err != nil {
				t.Fatal(err)
			}
			binding, err := jar.SealBinding(session.NewBinding(now), test.site, now)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{blank(lines[0]), blank(binding), blank(jar.End(nil, test.site)[0])}
			if want := []string{test.session, test.login, test.ended}; !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if end, want := blank(jar.EndBinding(test.site)), strings.Replace(test.login, "Max-Age=3600", "Max-Age=0", 1); end != want {
				t.Errorf("got  %q\nwant %q", end, want)
			}
		})
	}
}

// blank hides the value of a Set-Cookie line.
func blank(line string) string {
	name, rest, _ := strings.Cut(line, "=")
	_, rest, _ = strings.Cut(rest, ";")
	return name + "=…;" + rest
}

func TestNamesOfCookies(t *testing.T) {
	for name, want := range map[string]string{
		"kube_session":          "",
		"team-a.session":        "",
		"kube session":          "is not a token",
		"kube=session":          "is not a token",
		"kube;":                 "is not a token",
		"kube*":                 "is not a token",
		"käse":                  "is not a token",
		"__Host-kube":           "prefix of its own",
		"__secure-kube":         "prefix of its own",
		"kube_1":                "ends like that of a second cookie",
		"kube1":                 "",
		strings.Repeat("a", 65): "65 bytes",
	} {
		_, err := session.NewJar(session.JarConfig{Keys: fileKeys(t), Limits: hours, Name: name})
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestDomainOfCookies(t *testing.T) {
	for domain, want := range map[string]bool{"": true, "a.example": true, ".a.example": false, "a.example; Path=/x": false, "A.example": false, "*.example": false} {
		if _, err := session.NewJar(session.JarConfig{Keys: fileKeys(t), Limits: hours, Domain: domain}); (err == nil) != want {
			t.Errorf("%q: %v", domain, err)
		}
	}
}

func TestOwnNamesInAllSpellings(t *testing.T) {
	jar := newJar(t, session.JarConfig{})
	for name, want := range map[string]bool{
		"kube_session": true, "__Host-kube_session": true, "__Secure-kube_session": true, "__Host-kube_session_1": true,
		"__host-KUBE_session_2": true, "kube_session_99": true, "kube_login": true, "__Host-kube_login": true,
		"kube_sessions": false, "session": false, "kube": false, "kube_logins": false, "": false,
	} {
		if got := jar.Owns(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
		if patterns := identity.Patterns(jar.Patterns()); strings.ToLower(name) == name && patterns.Match(name) != want {
			t.Errorf("%q and the patterns: %v", name, !want)
		}
	}
}

// Each row changes the cookies of a browser that has a session of three chunks.
func TestCookiesThatAreNotASession(t *testing.T) {
	now := time.Now()
	const name = "__Host-kube_session"
	jar := newJar(t, session.JarConfig{})
	for what, test := range map[string]struct {
		change func(b, other browser) []string
		want   error
	}{
		"as they came": {func(b, _ browser) []string { return b.lines() }, nil},
		"with cookies of others": {func(b, _ browser) []string {
			return append([]string{"theme=dark; =" + name + "=x; kube_session=plain; __Secure-kube_session=x"}, b.lines()...)
		}, nil},
		"in a line each, in another order": {func(b, _ browser) []string {
			return []string{name + "_1=" + b[name+"_1"], " " + name + "=" + b[name] + "\t"}
		}, nil},
		"none": {func(browser, browser) []string { return nil }, session.ErrNoCookie},
		"only other spellings": {func(b, _ browser) []string {
			return []string{"__host-kube_session=" + b[name] + "; kube_session=" + b[name]}
		}, session.ErrNoCookie},
		"the first twice":                     {func(b, _ browser) []string { return append(b.lines(), name+"="+b[name]) }, session.ErrDuplicate},
		"the first twice, once empty":         {func(b, _ browser) []string { return append(b.lines(), name) }, session.ErrDuplicate},
		"the second twice":                    {func(b, _ browser) []string { return append(b.lines(), name+"_1=x") }, session.ErrDuplicate},
		"a fourth twice and the first":        {func(b, _ browser) []string { return append(b.lines(), name+"_3=x; "+name+"="+b[name]) }, session.ErrDuplicate},
		"without the first":                   {func(b, _ browser) []string { delete(b, name); return b.lines() }, session.ErrUnreadable},
		"without the second":                  {func(b, _ browser) []string { delete(b, name+"_1"); return b.lines() }, session.ErrUnreadable},
		"with a third":                        {func(b, _ browser) []string { b[name+"_2"] = b[name+"_1"]; return b.lines() }, session.ErrUnreadable},
		"with a third, empty":                 {func(b, _ browser) []string { b[name+"_2"] = ""; return b.lines() }, session.ErrUnreadable},
		"with a fourth":                       {func(b, _ browser) []string { b[name+"_3"] = b[name+"_1"]; return b.lines() }, session.ErrUnreadable},
		"with a 99th":                         {func(b, _ browser) []string { b[name+"_99"] = "x"; return b.lines() }, session.ErrUnreadable},
		"with another spelling of the second": {func(b, _ browser) []string { b[name+"_01"] = b[name+"_1"]; return b.lines() }, session.ErrUnreadable},
		"the second of another write":         {func(b, o browser) []string { b[name+"_1"] = o[name+"_1"]; return b.lines() }, session.ErrUnreadable},
		"the first of another write":          {func(b, o browser) []string { b[name] = o[name]; return b.lines() }, session.ErrUnreadable},
		"the second under its version":        {func(b, o browser) []string { b[name+"_1"] = b[name][:8] + o[name+"_1"][8:]; return b.lines() }, session.ErrUnreadable},
		"chunks exchanged":                    {func(b, _ browser) []string { b[name], b[name+"_1"] = b[name+"_1"], b[name]; return b.lines() }, session.ErrUnreadable},
		"cut off":                             {func(b, _ browser) []string { b[name+"_1"] = b[name+"_1"][:100]; return b.lines() }, session.ErrUnreadable},
		"the second emptied":                  {func(b, _ browser) []string { b[name+"_1"] = b[name+"_1"][:8]; return b.lines() }, session.ErrUnreadable},
		"longer":                              {func(b, _ browser) []string { b[name+"_1"] += "AAAA"; return b.lines() }, session.ErrUnreadable},
		"with padding":                        {func(b, _ browser) []string { b[name+"_1"] += "="; return b.lines() }, session.ErrUnreadable},
		"in quotes":                           {func(b, _ browser) []string { b[name] = `"` + b[name] + `"`; return b.lines() }, session.ErrUnreadable},
		"a first that says one":               {func(b, _ browser) []string { b[name] = b[name][:8] + "1" + b[name][9:]; return b.lines() }, session.ErrUnreadable},
		"a first that says 9":                 {func(b, _ browser) []string { b[name] = b[name][:8] + "9" + b[name][9:]; return b.lines() }, session.ErrUnreadable},
		"empty":                               {func(browser, browser) []string { return []string{name + "="} }, session.ErrUnreadable},
		"a head alone":                        {func(b, _ browser) []string { return []string{name + "=" + b[name][:8] + "1"} }, session.ErrUnreadable},
		"another version for all": {func(b, _ browser) []string {
			b[name], b[name+"_1"] = "AAAAAAAA"+b[name][8:], "AAAAAAAA"+b[name+"_1"][8:]
			return b.lines()
		}, session.ErrUnreadable},
		"a byte moved from the first to the last": {func(b, _ browser) []string {
			first := b[name]
			b[name] = first[:len(first)-1]
			b[name+"_1"] = b[name+"_1"][:8] + first[len(first)-1:] + b[name+"_1"][8:]
			return b.lines()
		}, session.ErrUnreadable},
	} {
		t.Run(what, func(t *testing.T) {
			b, other := login(t, jar, newSession(now, 450), secure, now), login(t, jar, newSession(now, 450), secure, now)
			if want := []string{name, name + "_1"}; !slices.Equal(b.names(), want) {
				t.Fatalf("the cookies are %q", b.names())
			}
			s, err := jar.Open(t.Context(), test.change(b, other), secure, now)
			if !errors.Is(err, test.want) || (s != nil) != (test.want == nil) {
				t.Errorf("got %v, %v, want %v", s != nil, err, test.want)
			}
			if err != nil && (!errors.Is(err, identity.ErrAbsent) || !identity.IsRefusal(err)) {
				t.Errorf("%v is not an absent credential", err)
			}
		})
	}
}

// A cookie of one bit less or more proves nothing, wherever the bit is.
func TestEveryFlippedBitMakesTheCookieUnreadable(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	b := login(t, jar, newSession(now, 3), secure, now)
	const name = "__Host-kube_session"
	value := []byte(b[name])
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			s, err := jar.Open(t.Context(), []string{name + "=" + string(value)}, secure, now)
			// A bit may make a blank at the end, a ";" or a "=": then the value is another one.
			if s != nil || !errors.Is(err, session.ErrUnreadable) && !errors.Is(err, session.ErrUnknownKey) {
				t.Fatalf("byte %d, bit %d: %v, %v", i, bit, s, err)
			}
			value[i] ^= 1 << bit
		}
	}
	if _, err := jar.Open(t.Context(), b.lines(), secure, now); err != nil {
		t.Error(err)
	}
}

// A cookie, a ticket, a binding and a state are sealed with the same keys. None of them opens as
// another one, at another site, or under another name.
func TestSealedValuesCannotBeSwapped(t *testing.T) {
	now := time.Now()
	keys := fileKeys(t)
	jar := newJar(t, session.JarConfig{Keys: keys})
	store := session.NewStore(jar, newMemory())
	added, err := store.Add(t.Context(), newSession(now, 3))
	if err != nil {
		t.Fatal(err)
	}
	binding := session.NewBinding(now)
	line, err := jar.SealBinding(binding, secure, now)
	if err != nil {
		t.Fatal(err)
	}
	b := browser{}
	b.take(t, []string{line})
	attempt := session.NewAttempt(now)
	state, err := jar.SealState(attempt, binding, secure)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"session": login(t, jar, newSession(now, 3), secure, now)["__Host-kube_session"],
		"ticket":  login(t, store, added, secure, now)["__Host-kube_session"],
		"binding": b["__Host-kube_login"],
		"state":   state,
	}
	opens := map[string]func(value string, jar *session.Jar, site session.Site) bool{
		"session": func(value string, jar *session.Jar, site session.Site) bool {
			_, err := jar.Open(t.Context(), everyName("session", value), site, now)
			return err == nil
		},
		"ticket": func(value string, jar *session.Jar, site session.Site) bool {
			_, err := session.NewStore(jar, newMemory()).Open(t.Context(), everyName("session", value), site, now)
			return errors.Is(err, session.ErrNotStored)
		},
		"binding": func(value string, jar *session.Jar, site session.Site) bool {
			_, err := jar.OpenBinding(t.Context(), everyName("login", value), site, now)
			return err == nil
		},
		"state": func(value string, jar *session.Jar, site session.Site) bool {
			_, verdict, _ := jar.OpenState(t.Context(), value, binding, site, now)
			return verdict != session.StateUnreadable && verdict != session.StateUnknownKey
		},
	}
	jars := map[string]*session.Jar{
		"it":         jar,
		"a domain's": newJar(t, session.JarConfig{Keys: keys, Domain: "a.example"}),
	}
	sites := map[string]session.Site{
		"here": secure, "another host": {Host: "b.example", Secure: true}, "http": {Host: "a.example"},
	}
	for sealed, value := range values {
		for opened, open := range opens {
			for whose, jar := range jars {
				for where, site := range sites {
					want := sealed == opened && whose == "it" && where == "here"
					if got := open(value, jar, site); got != want {
						t.Errorf("a %s opened as a %s with %s jar at %s: %v", sealed, opened, whose, where, got)
					}
				}
			}
			if sealed == opened && open(value, newJar(t, session.JarConfig{Keys: fileKeys(t, secretLine(1))}), secure) {
				t.Errorf("a %s opens with another key", sealed)
			}
		}
	}
	if _, err := jar.Open(t.Context(), everyName("session", values["session"][:9]+values["state"]), secure, now); err == nil {
		t.Error("a state opens behind the head of a session")
	}
}

// What was opened at one site is kept, and does not open at another.
func TestCacheKnowsTheSite(t *testing.T) {
	now := time.Now()
	keys := fileKeys(t)
	jar, domain := newJar(t, session.JarConfig{Keys: keys}), newJar(t, session.JarConfig{Keys: keys, Domain: "a.example"})
	b := login(t, jar, newSession(now, 3), secure, now)
	first, err := jar.Open(t.Context(), b.lines(), secure, now)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := jar.Open(t.Context(), b.lines(), secure, now); err != nil || again != first {
		t.Errorf("it is opened twice: %v", err)
	}
	lines := everyName("session", b["__Host-kube_session"])
	for name, test := range map[string]struct {
		keeper session.Keeper
		site   session.Site
	}{
		"another host":  {jar, session.Site{Host: "b.example", Secure: true}},
		"another port":  {jar, session.Site{Host: "a.example:8443", Secure: true}},
		"http":          {jar, session.Site{Host: "a.example"}},
		"a domain":      {domain, secure},
		"as a ticket":   {session.NewStore(jar, newMemory()), secure},
		"an empty host": {jar, session.Site{Secure: true}},
	} {
		if _, err := test.keeper.Open(t.Context(), lines, test.site, now); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// everyName returns a value under all prefixes.
func everyName(name, value string) []string {
	return []string{"kube_" + name + "=" + value, "__Host-kube_" + name + "=" + value, "__Secure-kube_" + name + "=" + value}
}

func TestKeyThatIsMissingIsToldFromAForgery(t *testing.T) {
	now := time.Now()
	b := login(t, newJar(t, session.JarConfig{}), newSession(now, 3), secure, now)
	_, err := newJar(t, session.JarConfig{Keys: fileKeys(t, secretLine(1))}).Open(t.Context(), b.lines(), secure, now)
	if !errors.Is(err, session.ErrUnknownKey) {
		t.Error(err)
	}
}

// The error page names sizes, and the browser gets no cookie that it would drop.
func TestSizeOfASession(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	for groups, cookies := range map[int]int{0: 1, 100: 1, 300: 1, 450: 2, 2000: 0} {
		s := newSession(now, groups)
		lines, err := jar.Seal(s, secure, now)
		if cookies == 0 {
			var large *session.TooLargeError
			if !errors.As(err, &large) || lines != nil || !errors.Is(err, session.ErrTooLarge) {
				t.Fatalf("%d groups: %d lines, %v", groups, len(lines), err)
			}
			if large.Total <= large.Limit || large.Limit != 8192 || large.IDToken != len(s.IDToken) || large.RefreshToken != len(s.RefreshToken) {
				t.Errorf("%d groups: %+v", groups, large)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b := browser{}
		b.take(t, lines)
		if len(b) != cookies {
			t.Errorf("%d groups: %d cookies of %d bytes", groups, len(b), len(b.lines()[0]))
		}
	}
}

// Tokens that do not compress fill all that there may be, with the binding cookie.
func TestLargestSessionFitsWithEverythingElse(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	largest := 0
	for size := 4000; size < 9000; size += 7 {
		s := newSession(now, 0)
		s.RefreshToken = noise(size)
		lines, err := jar.Seal(s, secure, now)
		if err != nil {
			if !errors.Is(err, session.ErrTooLarge) {
				t.Fatal(err)
			}
			break
		}
		b := browser{}
		b.take(t, lines)
		if got, err := jar.Open(t.Context(), b.lines(), secure, now); err != nil || got.RefreshToken != s.RefreshToken {
			t.Fatalf("%d bytes: %v", size, err)
		}
		binding, err := jar.SealBinding(session.NewBinding(now).WithFinished(now), secure, now)
		if err != nil {
			t.Fatal(err)
		}
		b.take(t, []string{binding})
		largest = len(b.lines()[0])
		if largest > 8192 {
			t.Fatalf("a token of %d bytes: the cookies have %d bytes", size, largest)
		}
	}
	if largest < 8100 {
		t.Errorf("the largest cookies have %d bytes", largest)
	}
}

// noise returns text that does not compress.
func noise(size int) string {
	text, x := make([]byte, size), uint32(1)
	for i := range text {
		x = x*1664525 + 1013904223
		text[i] = byte(x >> 24)
	}
	return string(text)
}

func TestBrowserHasExactlyTheCookiesOfTheLastWrite(t *testing.T) {
	now := time.Now()
	jar := newJar(t, session.JarConfig{})
	b := browser{"other": "x"}
	s := newSession(now, 0)
	for i, size := range []int{5450, 10, 3500, 5450, 3500, 10} {
		s.RefreshToken = noise(size)
		lines, err := jar.Seal(s, secure, now)
		if err != nil {
			t.Fatal(err)
		}
		b.take(t, lines)
		got, err := jar.Open(t.Context(), b.lines(), secure, now)
		if err != nil || got.RefreshToken != s.RefreshToken {
			t.Errorf("write %d: %v", i, err)
		}
	}
	b["__Host-kube_session_7"] = "x"
	b.take(t, jar.End(b.lines(), secure))
	if want := []string{"other"}; !slices.Equal(b.names(), want) {
		t.Errorf("%q are left", b.names())
	}
}

// A client that sends thousands of chunks does not get as many lines back.
func TestEndIsShort(t *testing.T) {
	jar := newJar(t, session.JarConfig{})
	var lines []string
	for n := range 1000 {
		lines = append(lines, fmt.Sprintf("__Host-kube_session_%d=x", n), "__Host-kube_session_"+strings.Repeat("1", n)+"=x")
	}
	ended := jar.End(lines, secure)
	if len(ended) > 12 || len(strings.Join(ended, "")) > 2000 {
		t.Errorf("%d lines", len(ended))
	}
	for _, line := range ended {
		if c, err := http.ParseSetCookie(line); err != nil || c.MaxAge >= 0 || !c.Secure || !jar.Owns(c.Name) {
			t.Errorf("%q, %v", line, err)
		}
	}
}

func TestLimitsOfASession(t *testing.T) {
	began := time.Now().Truncate(time.Second)
	limits := session.Limits{Lifetime: 12 * time.Hour, Idle: 30 * time.Minute}
	jar := newJar(t, session.JarConfig{Limits: limits})
	s := newSession(began, 1)
	for name, test := range map[string]struct {
		used, now time.Duration
		expired   bool
	}{
		"new":                           {0, 0, false},
		"before the idle time is over":  {0, 30*time.Minute - time.Second, false},
		"when it is over":               {0, 30 * time.Minute, true},
		"used since":                    {29 * time.Minute, 31 * time.Minute, false},
		"before the end of its life":    {12*time.Hour - time.Minute, 12*time.Hour - time.Second, false},
		"at the end of its life":        {12*time.Hour - time.Minute, 12 * time.Hour, true},
		"of a clock that is ahead":      {0, -4 * time.Minute, false},
		"of a clock that is far ahead":  {0, -6 * time.Minute, true},
		"used at the end, and long ago": {12 * time.Hour, 24 * time.Hour, true},
	} {
		b := login(t, jar, s.WithUse(began.Add(test.used)), secure, began)
		_, err := jar.Open(t.Context(), b.lines(), secure, began.Add(test.now))
		if (err != nil) != test.expired || err != nil && !errors.Is(err, session.ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for since, want := range map[time.Duration]bool{time.Minute: false, 3*time.Minute - 1: false, 3 * time.Minute: true, time.Hour: true} {
		if limits.UseDue(s, began.Add(since)) != want {
			t.Errorf("after %v: %v", since, !want)
		}
	}
	short := session.Limits{Lifetime: time.Hour, Idle: 2 * time.Minute}
	if short.UseDue(s, began.Add(59*time.Second)) || !short.UseDue(s, began.Add(time.Minute)) || hours.UseDue(s, began.Add(time.Hour)) {
		t.Error("the use is written more often than once a minute, or without an idle time")
	}
}

// A refresh leaves the end of the session and its names where they were.
func TestRefreshedSessionKeepsItsTimes(t *testing.T) {
	now := time.Now()
	s := newSession(now, 1)
	got := s.WithTokens("new", "")
	want := *s
	want.IDToken = "new"
	if !reflect.DeepEqual(got, &want) || s.IDToken == "new" {
		t.Errorf("%+v", got)
	}
	if got = s.WithTokens("", "other"); got.IDToken != s.IDToken || got.RefreshToken != "other" {
		t.Errorf("%+v", got)
	}
}

func TestEachLoginHasAnIDOfItsOwn(t *testing.T) {
	now := time.Now()
	if one, two := session.New("a", now), session.New("a", now); one.ID == two.ID || len(one.ID) != 22 {
		t.Errorf("%q and %q", one.ID, two.ID)
	}
}
