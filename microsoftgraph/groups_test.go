// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package microsoftgraph_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/microsoftgraph"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

const (
	tenant = "11111111-2222-3333-4444-555555555555"
	alice  = "aaaaaaaa-0000-0000-0000-000000000001"
	bob    = "bbbbbbbb-0000-0000-0000-000000000002"
	dev    = "dddddddd-0000-0000-0000-000000000001"
	ops    = "dddddddd-0000-0000-0000-000000000002"

	loginPath  = "/" + tenant + "/oauth2/v2.0/token"
	groupsPath = "/v1.0/users/" + alice + "/getMemberGroups"
	goodGroups = `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)","value":["` + dev + `","` + ops + `"]}`
	goodLogin  = `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"access-1"}`
	kind       = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
)

// response is an answer of a stub.
type response struct {
	status int
	body   string
	header http.Header
}

// microsoft stands in for both hosts, which a test cannot have.
type microsoft struct {
	t     *testing.T
	takes time.Duration

	mu             sync.Mutex
	groups, logins response
	asked, logged  int
	requests       []string
	forms          []url.Values
}

func newMicrosoft(t *testing.T) *microsoft {
	t.Helper()
	return &microsoft{t: t, groups: response{200, goodGroups, nil}, logins: response{200, goodLogin, nil}}
}

func (m *microsoft) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(m.takes)
	m.mu.Lock()
	defer m.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer := m.groups
	if strings.HasPrefix(r.URL.Host, "login.") {
		m.logged++
		answer = m.logins
		form, err := url.ParseQuery(string(body))
		if err != nil {
			m.t.Error(err)
		}
		m.forms = append(m.forms, form)
		body = nil
	} else {
		m.asked++
	}
	m.requests = append(m.requests, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.Header.Get("Authorization"), body)))
	header := http.Header{"Content-Type": {kind}}
	maps.Copy(header, answer.header)
	return &http.Response{StatusCode: answer.status, Header: header, Body: io.NopCloser(strings.NewReader(answer.body)), Request: r}, nil
}

func (m *microsoft) answers(groups, logins response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.groups, m.logins = groups, logins
}

func (m *microsoft) counts() (asked, logged int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked, m.logged
}

func newGroups(t *testing.T, m *microsoft, change func(*microsoftgraph.Config)) *microsoftgraph.Groups {
	t.Helper()
	config := microsoftgraph.Config{
		Tenant: tenant, ClientID: "proxy", Transport: m,
		Auth: codeflow.ClientAuth{Method: codeflow.AuthPost, Secret: func() (string, error) { return "s3cret", nil }},
	}
	if change != nil {
		change(&config)
	}
	groups, err := microsoftgraph.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

func TestGroupsOfAUser(t *testing.T) {
	for cloud, hosts := range map[string][2]string{
		"":                  {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
		"public":            {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
		"us_government":     {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
		"us_government_dod": {"https://dod-graph.microsoft.us", "https://login.microsoftonline.us"},
		"china":             {"https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"},
	} {
		t.Run(cloud, func(t *testing.T) {
			m := newMicrosoft(t)
			groups := newGroups(t, m, func(c *microsoftgraph.Config) { c.Cloud = cloud })
			defer groups.Close()
			got, err := groups.Of(t.Context(), tenant, alice)
			if err != nil || !reflect.DeepEqual(got, []string{dev, ops}) {
				t.Errorf("got %v, %v", got, err)
			}
			want := []string{"POST " + hosts[1] + loginPath, "POST " + hosts[0] + groupsPath + ` Bearer access-1 {"securityEnabledOnly":true}`}
			if !reflect.DeepEqual(m.requests, want) {
				t.Errorf("asked %q, want %q", m.requests, want)
			}
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {hosts[0] + "/.default"}, "client_id": {"proxy"}, "client_secret": {"s3cret"}}
			if !reflect.DeepEqual(m.forms, []url.Values{form}) {
				t.Errorf("logged in with %v, want %v", m.forms, form)
			}
		})
	}
}

func TestGroupsThatAreNotForSecurity(t *testing.T) {
	m := newMicrosoft(t)
	groups := newGroups(t, m, func(c *microsoftgraph.Config) {
		c.AllGroups = true
		c.Auth = codeflow.ClientAuth{Method: codeflow.AuthAssertionFile, Assertion: func() (string, error) { return "projected", nil }}
	})
	defer groups.Close()
	if _, err := groups.Of(t.Context(), tenant, alice); err != nil {
		t.Error(err)
	}
	if last := m.requests[len(m.requests)-1]; !strings.HasSuffix(last, `{"securityEnabledOnly":false}`) || m.forms[0].Get("client_assertion") != "projected" {
		t.Errorf("asked %s, logged in with %v", last, m.forms)
	}
}

// Only an answer about the user decides about the user; a missing one is never "no groups".
func TestAnswersOfGraph(t *testing.T) {
	fault := func(code string) string { return `{"error":{"code":"` + code + `","message":"x"}}` }
	list := func(n int) string {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf(`"dddddddd-0000-0000-0000-%012d"`, i)
		}
		return `{"value":[` + strings.Join(ids, ",") + `]}`
	}
	good, goodIn := response{200, goodGroups, nil}, response{200, goodLogin, nil}
	unavailable := identity.ErrUnavailable
	for name, c := range map[string]struct {
		groups, logins response
		want           error
		reason         string
		count          int
	}{
		"no groups at all":              {response{200, `{"value":[]}`, nil}, goodIn, nil, "", 0},
		"the most groups":               {response{200, list(1000), nil}, goodIn, nil, "", 1000},
		"too many groups":               {response{200, list(1001), nil}, goodIn, identity.ErrForbidden, "the user is in more than 1000 groups", 0},
		"too many groups for Graph":     {response{400, fault("Directory_ResultSizeLimitExceeded"), nil}, goodIn, identity.ErrForbidden, "the user is in more than 1000 groups", 0},
		"another bad request":           {response{400, fault("Request_BadRequest"), nil}, goodIn, unavailable, "status 400", 0},
		"no such user":                  {response{404, fault("Request_ResourceNotFound"), nil}, goodIn, identity.ErrRejected, "the directory has no such user", 0},
		"not found by a proxy":          {response{404, "404", nil}, goodIn, unavailable, "status 404", 0},
		"no right":                      {response{403, fault("Authorization_RequestDenied"), nil}, goodIn, unavailable, "User.Read.All and GroupMember.Read.All", 0},
		"the access token is refused":   {response{401, fault("InvalidAuthenticationToken"), nil}, goodIn, unavailable, "refuses the proxy's own access token", 0},
		"busy":                          {response{429, fault("TooManyRequests"), nil}, goodIn, unavailable, "Graph is busy (status 429)", 0},
		"an error":                      {response{500, goodGroups, nil}, goodIn, unavailable, "status 500", 0},
		"a redirect":                    {response{302, "", http.Header{"Location": {"https://graph.microsoft.com/x"}}}, goodIn, unavailable, "Graph redirects", 0},
		"a page":                        {response{200, goodGroups, http.Header{"Content-Type": {"text/html"}}}, goodIn, unavailable, "it is not application/json", 0},
		"nothing":                       {response{200, "", nil}, goodIn, unavailable, "it is not a JSON object", 0},
		"an empty object":               {response{200, "{}", nil}, goodIn, unavailable, "it has no list of groups", 0},
		"null":                          {response{200, `{"value":null}`, nil}, goodIn, unavailable, "it has no list of groups", 0},
		"two lists":                     {response{200, `{"value":[],"Value":["` + dev + `"]}`, nil}, goodIn, unavailable, "it is not a JSON object", 0},
		"a part of the list":            {response{200, `{"value":["` + dev + `"],"@odata.nextLink":"https://graph.microsoft.com/v1.0/x"}`, nil}, goodIn, unavailable, "it is not whole", 0},
		"a part, with a link elsewhere": {response{200, `{"value":["` + dev + `"],"@odata.nextLink":"https://evil.example/x"}`, nil}, goodIn, unavailable, "it is not whole", 0},
		"an error with status 200":      {response{200, `{"value":[],"error":{"code":"x"}}`, nil}, goodIn, unavailable, "it is an error with status 200", 0},
		"names instead of IDs":          {response{200, `{"value":["system:masters"]}`, nil}, goodIn, unavailable, "a group is not an ID", 0},
		"objects instead of IDs":        {response{200, `{"value":[{"id":"` + dev + `"}]}`, nil}, goodIn, unavailable, "a group is not an ID", 0},
		"too much":                      {response{200, `{"value":["` + strings.Repeat("x", 1<<20) + `"]}`, nil}, goodIn, unavailable, "larger than 1048576 bytes", 0},

		"the client's secret is wrong":   {good, response{401, `{"error":"invalid_client"}`, nil}, unavailable, "the token endpoint refuses the client (status 401)", 0},
		"the client is not there":        {good, response{400, `{"error":"unauthorized_client"}`, nil}, unavailable, "the token endpoint refuses the client (status 400)", 0},
		"the token endpoint is away":     {good, response{502, "", nil}, unavailable, "the token endpoint answers with status 502", 0},
		"the token endpoint is busy":     {good, response{429, "", nil}, unavailable, "the token endpoint is busy", 0},
		"no access token":                {good, response{200, `{"token_type":"Bearer","expires_in":1}`, nil}, unavailable, "the answer has no access token", 0},
		"an access token that is a line": {good, response{200, `{"token_type":"Bearer","expires_in":1,"access_token":"a\r\nX: y"}`, nil}, unavailable, "the answer has no access token", 0},
		"a token of another type":        {good, response{200, `{"token_type":"pop","expires_in":1,"access_token":"a"}`, nil}, unavailable, "token_type is not Bearer", 0},
		"a token without an end":         {good, response{200, `{"token_type":"Bearer","access_token":"a"}`, nil}, unavailable, "how long the token is good", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMicrosoft(t)
			m.answers(c.groups, c.logins)
			groups := newGroups(t, m, nil)
			defer groups.Close()
			got, err := groups.Of(t.Context(), tenant, alice)
			switch {
			case c.want == nil && (err != nil || len(got) != c.count):
				t.Errorf("got %d groups, %v", len(got), err)
			case c.want != nil && (!errors.Is(err, c.want) || !identity.IsRefusal(err) || !strings.Contains(err.Error(), c.reason) || got != nil):
				t.Errorf("got %v, %v, want %v: %s", got, err, c.want, c.reason)
			case err != nil && (strings.Contains(err.Error(), "access-1") || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// Neither another tenant's user nor a path in the claim is asked about.
func TestUserThatIsNotAskedAbout(t *testing.T) {
	m := newMicrosoft(t)
	groups := newGroups(t, m, nil)
	defer groups.Close()
	for _, c := range [][2]string{
		{"", alice},
		{bob, alice},
		{tenant, ""},
		{tenant, "alice@example.com"},
		{tenant, "../groups/" + alice[:26]},
		{tenant, strings.ToUpper(alice)},
		{tenant, alice + "/"},
		{tenant, alice[:35] + "\n"},
	} {
		if got, err := groups.Of(t.Context(), c[0], c[1]); !errors.Is(err, identity.ErrForbidden) || got != nil {
			t.Errorf("%q: %v, %v", c, got, err)
		}
	}
	if asked, logged := m.counts(); asked+logged != 0 {
		t.Errorf("asked %d times, logged in %d times", asked, logged)
	}
}

func TestAnswerCountsForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMicrosoft(t)
		m.takes = time.Second
		groups := newGroups(t, m, nil)
		defer groups.Close()
		var together sync.WaitGroup
		for range 30 {
			together.Go(func() {
				if got, err := groups.Of(t.Context(), tenant, alice); err != nil || len(got) != 2 {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		together.Wait()
		want := func(asked, logged int, when string) {
			t.Helper()
			if a, l := m.counts(); a != asked || l != logged {
				t.Errorf("%s: asked %d times, logged in %d times; want %d, %d", when, a, l, asked, logged)
			}
		}
		of := func() error { _, err := groups.Of(t.Context(), tenant, alice); return err }
		want(1, 1, "by many requests at once")
		time.Sleep(5*time.Minute - 1)
		_ = of()
		want(1, 1, "within five minutes")
		m.answers(response{500, "", nil}, response{200, goodLogin, nil})
		time.Sleep(time.Nanosecond)
		if err := of(); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("after five minutes, while Graph is away: %v", err)
		}
		want(2, 1, "after five minutes")
		m.answers(response{200, goodGroups, nil}, response{200, goodLogin, nil})
		if err := of(); err != nil {
			t.Error(err)
		}
		want(3, 1, "at once, when Graph is back")
		groups.Flush()
		_ = of()
		want(4, 1, "after a flush")
		time.Sleep(time.Hour)
		_ = of()
		want(5, 2, "after the end of the access token")
	})
}

func TestThrottlingIsHonoured(t *testing.T) {
	for header, wait := range map[string]time.Duration{
		"30": 30 * time.Second, "": 10 * time.Second, "0": time.Second, "-1": 10 * time.Second, "9999999": 5 * time.Minute,
		"x": 10 * time.Second, "Sat, 01 Jan 2000 00:01:00 GMT": time.Minute, "Sat, 01 Jan 1999 00:01:00 GMT": time.Second,
	} {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMicrosoft(t)
				m.answers(response{429, "", http.Header{"Retry-After": {header}}}, response{200, goodLogin, nil})
				groups := newGroups(t, m, nil)
				defer groups.Close()
				for _, user := range []string{alice, bob, alice} {
					if _, err := groups.Of(t.Context(), tenant, user); !errors.Is(err, identity.ErrUnavailable) {
						t.Error(err)
					}
				}
				if asked, _ := m.counts(); asked != 1 {
					t.Errorf("asked %d times", asked)
				}
				m.answers(response{200, goodGroups, nil}, response{200, goodLogin, nil})
				time.Sleep(wait - 1)
				if _, err := groups.Of(t.Context(), tenant, bob); err == nil {
					t.Error("it was asked too early")
				}
				time.Sleep(time.Nanosecond)
				if _, err := groups.Of(t.Context(), tenant, bob); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An access token that Graph refuses, since the client's rights have changed, is not used again.
func TestAccessTokenThatIsRefusedIsForgotten(t *testing.T) {
	m := newMicrosoft(t)
	groups := newGroups(t, m, nil)
	defer groups.Close()
	m.answers(response{401, "{}", nil}, response{200, goodLogin, nil})
	_, _ = groups.Of(t.Context(), tenant, alice)
	m.answers(response{200, goodGroups, nil}, response{200, goodLogin, nil})
	if _, err := groups.Of(t.Context(), tenant, alice); err != nil {
		t.Error(err)
	}
	if asked, logged := m.counts(); asked != 2 || logged != 2 {
		t.Errorf("asked %d times, logged in %d times", asked, logged)
	}
}

func TestConfigThatCannotBeUsed(t *testing.T) {
	for want, change := range map[string]func(*microsoftgraph.Config){
		`cloud "germany" is not one of`: func(c *microsoftgraph.Config) { c.Cloud = "germany" },
		`tenant "example.com" is not`:   func(c *microsoftgraph.Config) { c.Tenant = "example.com" },
		`tenant "" is not`:              func(c *microsoftgraph.Config) { c.Tenant = "" },
		`client id "" is empty`:         func(c *microsoftgraph.Config) { c.ClientID = "" },
		"without a proof":               func(c *microsoftgraph.Config) { c.Auth = codeflow.ClientAuth{Method: codeflow.AuthNone} },
		"needs a secret":                func(c *microsoftgraph.Config) { c.Auth.Secret = nil },
	} {
		config := microsoftgraph.Config{Tenant: tenant, ClientID: "x", Auth: codeflow.ClientAuth{Method: codeflow.AuthPost, Secret: func() (string, error) { return "x", nil }}}
		change(&config)
		if _, err := microsoftgraph.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
