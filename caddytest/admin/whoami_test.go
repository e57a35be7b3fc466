// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func whoami(t *testing.T) *operated {
	t.Helper()
	return start(t, "", fmt.Sprintf(`	kube_identity {
		trusted_proxies static 127.0.0.1
		forwarded {
			user X-Forwarded-User
			groups X-Forwarded-Groups ,
			email X-Forwarded-Email
			extra X-Forwarded-Extra-
		}
		allow_groups dev ops
		inject impersonation {
			token_file %s
			extra scopes
		}
	}
	kube_identity_whoami /whoami
	handle {
		respond "{http.auth.user.id}"
	}`, testhandler.TokenFile(t)))
}

var fromAlice = []string{
	"X-Forwarded-User: alice", "X-Forwarded-Groups: dev,ops,secret-<b>", "X-Forwarded-Email: alice@example.com",
	"X-Forwarded-Extra-Scopes: read", "Authorization: Bearer of-the-client", "Impersonate-User: admin", "Remote-User: mallory",
}

func TestWhoamiAsJSON(t *testing.T) {
	o := whoami(t)
	status, body := o.get(t, "/whoami", append(fromAlice, "Accept: application/json")...)
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", status, body)
	}
	metadata := got["metadata"].(map[string]any)
	if metadata["creationTimestamp"] == "" {
		t.Error("there is no creationTimestamp")
	}
	delete(metadata, "creationTimestamp")
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "apiVersion": "authentication.k8s.io/v1",
  "kind": "SelfSubjectReview",
  "metadata": {
    "annotations": {
      "caddy-kube-identity/email": "alice@example.com",
      "caddy-kube-identity/groups-left-out": "[\"secret-\\u003cb\\u003e\"]",
      "caddy-kube-identity/injected": "{\"Authorization\":\"credential: yes\",\"Impersonate-Extra-Scopes\":\"identity\",\"Impersonate-Group\":\"identity\",\"Impersonate-User\":\"identity\"}",
      "caddy-kube-identity/source": "forwarded",
      "caddy-kube-identity/stripped": "[\"Authorization\",\"Impersonate-User\",\"Remote-User\",\"X-Forwarded-Email\",\"X-Forwarded-Extra-Scopes\",\"X-Forwarded-Groups\",\"X-Forwarded-User\"]"
    }
  },
  "status": {
    "userInfo": {
      "extra": {
        "scopes": [
          "read"
        ]
      },
      "groups": [
        "dev",
        "ops"
      ],
      "username": "alice"
    }
  }
}`
	if string(text) != want {
		t.Errorf("the answer is\n%s", text)
	}
}

func TestWhoamiAsAPage(t *testing.T) {
	o := whoami(t)
	status, body := o.get(t, "/whoami", append(fromAlice, "Accept: text/html")...)
	for _, want := range []string{
		`<strong class="name">alice</strong>`, "<li>dev</li>", "<li>secret-&lt;b&gt;</li>", "<dd>forwarded</dd>", "a credential: yes", "<li>Remote-User</li>",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	if status != http.StatusOK || strings.Contains(body, testhandler.OwnToken) || strings.Contains(body, "of-the-client") || strings.Contains(body, "mallory") {
		t.Errorf("%d %s", status, body)
	}
	// a browser that sees neither the user nor the page from another user's cache
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+o.site+"/whoami", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-User", "alice")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "Access-Control-Allow-Origin": "",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.HasSuffix(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestWhoamiRefuses(t *testing.T) {
	o := whoami(t)
	for name, test := range map[string]struct {
		method string
		fields []string
		status int
	}{
		"a request without an identity": {"GET", nil, http.StatusUnauthorized},
		"POST":                          {"POST", fromAlice, http.StatusMethodNotAllowed},
		"OPTIONS":                       {"OPTIONS", fromAlice, http.StatusMethodNotAllowed},
	} {
		if status, body := ask(t, test.method, "http://"+o.site+"/whoami", "", test.fields...); status != test.status || strings.Contains(body, "alice") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := o.get(t, "/other", fromAlice...); status != http.StatusOK || body != "alice" {
		t.Errorf("another path: %d %s", status, body)
	}
}

// Without a kube_identity nothing is known, and headers must not be believed instead.
func TestWhoamiWithoutAnIdentityBeforeIt(t *testing.T) {
	config := testhandler.Adapt(t, "{\n\tadmin off\n}\nhttp://:1 {\n\tkube_identity_whoami\n}\n")
	if err := validate(config); err == nil || !strings.Contains(err.Error(), "this server has no kube_identity before it") {
		t.Errorf("error %v", err)
	}
	o := start(t, "", "\t@guarded path /guarded\n"+strings.Replace(impersonating(toHeaders), "kube_identity {", "kube_identity @guarded {", 1))
	if status, _ := o.get(t, "/whoami", fromAlice...); status != http.StatusInternalServerError {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(o.LogText(t), "the request did not pass a kube_identity") {
		t.Error("the log does not say why")
	}
}

// Such a site loaded, and its page answered each request with 500.
func TestWhoamiThatNoRequestReachesThroughAnIdentity(t *testing.T) {
	const guard = "kube_identity {\nanonymous\ninject headers {\nuser X-User\n}\n}\n"
	for name, test := range map[string]struct {
		sites string
		loads bool
	}{
		"on another site of the server":     {"http://a.example:1 {\n" + guard + "}\nhttp://b.example:1 {\nkube_identity_whoami\n}\n", false},
		"in another handle":                 {"http://:1 {\nhandle /applications* {\n" + guard + "}\nhandle /who {\nkube_identity_whoami\n}\n}\n", false},
		"in a handle that takes the others": {"http://:1 {\nhandle /a* {\n" + guard + "}\nhandle {\nkube_identity_whoami\n}\n}\n", false},
		"before it in a route":              {"http://:1 {\nroute {\nkube_identity_whoami /who\n" + guard + "}\n}\n", false},

		"after it":                          {"http://:1 {\n" + guard + "kube_identity_whoami /who\n}\n", true},
		"after it, in a handle":             {"http://:1 {\n" + guard + "handle /who {\nkube_identity_whoami\n}\n}\n", true},
		"with it in a handle":               {"http://:1 {\nhandle /a* {\n" + guard + "kube_identity_whoami /a/who\n}\nrespond x\n}\n", true},
		"after it, with matchers":           {"http://:1 {\n" + strings.Replace(guard, "{", "/who* {", 1) + "kube_identity_whoami /who/am/i\n}\n", true},
		"on two sites, each with a guard":   {"http://a.example:1 {\n" + guard + "kube_identity_whoami /who\n}\nhttp://b.example:1 {\n" + guard + "kube_identity_whoami /who\n}\n", true},
		"after an import in a route":        {"(guard) {\n" + guard + "}\nhttp://:1 {\nroute /who {\nimport guard\nkube_identity_whoami\n}\n}\n", true},
		"in error routes, beside the guard": {"http://:1 {\n" + guard + "kube_identity_whoami /who\nhandle_errors {\nrespond x\n}\n}\n", true},
	} {
		err := validate(testhandler.Adapt(t, "{\n\tadmin off\n}\n"+test.sites))
		alone := err != nil && (strings.Contains(err.Error(), "no request that comes to it") || strings.Contains(err.Error(), "has no kube_identity before it"))
		if test.loads && err != nil || !test.loads && !alone {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// caddy validate sets a configuration up, and must leave nothing that runs or is kept.
func TestAConfigurationThatIsOnlyValidated(t *testing.T) {
	config := testhandler.Adapt(t, "{\n\tadmin off\n}\nhttp://:1 {\n"+impersonating(toHeaders)+"\n}\n")
	if err := validate(config); err != nil {
		t.Fatal(err)
	}
	if left := guest.Inspect(time.Now(), false).Handlers; len(left) > 0 {
		t.Errorf("there is still %v", left)
	}
	testhandler.WantNothingLeft(t)
}

func validate(config []byte) error {
	parsed := new(caddy.Config)
	if err := json.Unmarshal(config, parsed); err != nil {
		return err
	}
	return caddy.Validate(parsed)
}
