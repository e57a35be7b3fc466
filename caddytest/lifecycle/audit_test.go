// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// audited is a site with an audit in a file of its own, and another one in the same log. Its
// access log is filtered by the lines of filter.
func audited(t *testing.T, audit, filter string) (c *testhandler.Caddy, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "audit.log")
	return testhandler.Start(t, fmt.Sprintf(`
	log audit {
		output file %q {
			roll_disabled
		}
		include http.handlers.kube_identity.audit
		format json
	}
	servers {
		trusted_proxies static 127.0.0.1
	}`, file), fmt.Sprintf(`
http://:0 {
	log {
		output file %q {
			roll_disabled
		}
		format filter {
			wrap json
			%s
		}
	}
	header X-Request-Id {http.request.uuid}
	kube_identity {
		trusted_proxies static 127.0.0.1
		forwarded {
			user X-Forwarded-User
			groups X-Forwarded-Groups ,
		}
		deny_groups banned
		inject headers {
			user X-User
		}
		%s
	}
	respond "reached"
}`, file+".access", filter, audit)), file
}

// lines returns the objects of a log.
func lines(t *testing.T, file string) []map[string]any {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var objects []map[string]any
	for line := range strings.Lines(string(content)) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// An audit answers who asked for what, from where, and why not, and never shows a secret.
func TestAnAuditSaysWhoWhatWhereAndWhy(t *testing.T) {
	requests := []http.Header{
		{"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"dev,ops"}},
		{"X-Forwarded-User": {"mallory"}, "X-Forwarded-Groups": {"dev,banned"}},
		{"Authorization": {"Bearer canary-token"}, "Cookie": {"session=canary-cookie"}, "X-Other": {"canary-value"}},
	}
	allowed := map[string]any{
		"level": "info", "logger": "http.handlers.kube_identity.audit", "msg": "allowed", "source": "forwarded",
		"user": "alice", "groups": []any{"dev", "ops"},
	}
	denied := map[string]any{
		"level": "info", "logger": "http.handlers.kube_identity.audit", "msg": "refused", "source": "forwarded",
		"status": 403.0, "reason": `forbidden: group "banned" is denied`, "user": "mallory", "groups": []any{"dev", "banned"},
	}
	unproven := map[string]any{
		"level": "info", "logger": "http.handlers.kube_identity.audit", "msg": "refused", "source": "none",
		"status": 401.0, "reason": "no credential",
	}
	for audit, want := range map[string][]map[string]any{
		"":              {denied, unproven},
		"audit refused": {denied, unproven},
		"audit all":     {allowed, denied, unproven},
		"audit off":     nil,
	} {
		t.Run("with "+audit, func(t *testing.T) {
			c, file := audited(t, audit, "")
			for _, header := range requests {
				header = header.Clone()
				header.Set("X-Forwarded-For", "192.0.2.7")
				get(t, c, "/canary%20path?token=canary-query", header)
			}
			got := lines(t, file)
			for _, line := range got {
				if id, ok := line["uuid"].(string); !ok || len(id) != 36 {
					t.Errorf("the id of the request is %v", line["uuid"])
				}
				if host, ok := line["host"].(string); !ok || host != c.Addr {
					t.Errorf("the host is %v", line["host"])
				}
				delete(line, "uuid")
				delete(line, "host")
				delete(line, "ts")
			}
			for n := range want {
				want[n] = maps.Clone(want[n])
				maps.Copy(want[n], map[string]any{
					"peer": "127.0.0.1", "client_ip": "192.0.2.7", "method": "GET", "path": "/canary%20path",
				})
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the audit has\n%v, want\n%v", got, want)
			}
			content, _ := os.ReadFile(file)
			for _, secret := range []string{"canary-token", "canary-cookie", "canary-value", "canary-query"} {
				if strings.Contains(string(content), secret) {
					t.Errorf("%s is in the audit", secret)
				}
			}
			if len(c.Refusals(t)) != 2 {
				t.Errorf("the handler's own log has %d refusals", len(c.Refusals(t)))
			}
		})
	}
}

// The log of a site must not grow with what a client sends, and a query holds tokens.
func TestALongPathIsShortenedInTheLog(t *testing.T) {
	c, file := audited(t, "", "")
	get(t, c, "/"+strings.Repeat("a", 5000)+"?"+strings.Repeat("b", 3000), http.Header{})
	got := lines(t, file)
	if len(got) != 1 || got[0]["path"] != "/"+strings.Repeat("a", 255)+"… (5001 bytes)" {
		t.Errorf("the audit has %v", got)
	}
}

// What an attacker sends must not change how an operator reads the line, nor fill the disk.
func TestARefusedRequestCannotForgeOrFloodTheLog(t *testing.T) {
	crowd := make([]string, 400)
	for n := range crowd {
		crowd[n] = fmt.Sprint("g", n)
	}
	first := make([]any, 0, 257)
	for _, group := range crowd[:256] {
		first = append(first, group)
	}
	for name, test := range map[string]struct {
		path   string
		header http.Header
		want   map[string]any
	}{
		"a path of lines, escapes and marks of direction": {
			"/%0a%1b[31m%e2%80%ae%00",
			http.Header{"X-Forwarded-User": {"a"}, "X-Forwarded-Groups": {"banned"}},
			map[string]any{"path": "/%0a%1b[31m%e2%80%ae%00", "user": "a", "groups": []any{"banned"}},
		},
		"a path that is another one when it is decoded": {
			"/a%2Fb",
			http.Header{"X-Forwarded-User": {"a"}, "X-Forwarded-Groups": {"banned"}},
			map[string]any{"path": "/a%2Fb", "user": "a", "groups": []any{"banned"}},
		},
		"names with marks of direction": {
			"/",
			http.Header{"X-Forwarded-User": {"a\u202eb"}, "X-Forwarded-Groups": {"c\u2066d"}},
			map[string]any{"path": "/", "user": `"a\u202eb"`, "groups": []any{`"c\u2066d"`}},
		},
		"a name that is not UTF-8": {
			"/",
			http.Header{"X-Forwarded-User": {"a\xff"}},
			map[string]any{"path": "/", "user": `"a\xff"`, "groups": []any{}},
		},
		"a long name": {
			"/",
			http.Header{"X-Forwarded-User": {strings.Repeat("u", 9000)}, "X-Forwarded-Groups": {"banned"}},
			map[string]any{"path": "/", "user": strings.Repeat("u", 256) + "… (9000 bytes)", "groups": []any{"banned"}},
		},
		"more groups than may be": {
			"/",
			http.Header{"X-Forwarded-User": {"a"}, "X-Forwarded-Groups": {strings.Join(crowd, ",")}},
			map[string]any{"path": "/", "user": "a", "groups": append(first, "… (400 groups)")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, file := audited(t, "", "")
			if status, _, _ := get(t, c, test.path, test.header); status != http.StatusForbidden {
				t.Errorf("status %d", status)
			}
			all := lines(t, file)
			if len(all) != 1 {
				t.Fatalf("the audit has %v", all)
			}
			got := make(map[string]any)
			for name := range test.want {
				got[name] = all[0][name]
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("the audit has\n%v, want\n%v", got, test.want)
			}
			delete(test.want, "path")
			object, _ := lines(t, file+".access")[0]["kube_identity"].(map[string]any)
			for name, want := range test.want {
				if !reflect.DeepEqual(object[name], want) {
					t.Errorf("the access log has %s %v, want %v", name, object[name], want)
				}
			}
		})
	}
}

// accessObject makes one request and returns the handler's object in the access log.
func accessObject(t *testing.T, filter string, header http.Header) map[string]any {
	t.Helper()
	c, file := audited(t, "audit off", filter)
	get(t, c, "/", header)
	access := lines(t, file+".access")
	if len(access) != 1 {
		t.Fatalf("the access log has %d lines", len(access))
	}
	object, _ := access[0]["kube_identity"].(map[string]any)
	for name := range access[0] {
		if slices.Contains([]string{"source", "peer", "user", "groups", "reason"}, name) {
			t.Errorf("the access log has %s outside of the object", name)
		}
	}
	return object
}

func TestTheAccessLogHasOneObject(t *testing.T) {
	alice := http.Header{"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"dev,ops"}}
	for name, test := range map[string]struct {
		filter string
		header http.Header
		want   map[string]any
	}{
		"an allowed request": {
			"", alice, map[string]any{"source": "forwarded", "peer": "127.0.0.1", "user": "alice", "groups": []any{"dev", "ops"}},
		},
		"one that the policy refused": {
			"",
			http.Header{"X-Forwarded-User": {"mallory"}, "X-Forwarded-Groups": {"banned"}},
			map[string]any{
				"source": "forwarded", "peer": "127.0.0.1", "user": "mallory", "groups": []any{"banned"},
				"reason": `forbidden: group "banned" is denied`,
			},
		},
		"one without a credential": {
			"", http.Header{}, map[string]any{"source": "none", "peer": "127.0.0.1", "reason": "no credential"},
		},
		"names that are hashed": {
			"kube_identity>user hash\nkube_identity>groups hash", alice,
			map[string]any{"source": "forwarded", "peer": "127.0.0.1", "user": "2bd806c9", "groups": []any{"ef260e9a", "a92c36e6"}},
		},
		"groups that are deleted": {
			"kube_identity>groups delete", alice, map[string]any{"source": "forwarded", "peer": "127.0.0.1", "user": "alice"},
		},
		"groups that are replaced": {
			"kube_identity>groups replace hidden", alice,
			map[string]any{"source": "forwarded", "peer": "127.0.0.1", "user": "alice", "groups": "hidden"},
		},
		"the object that is deleted": {"kube_identity delete", alice, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := accessObject(t, test.filter, test.header); !reflect.DeepEqual(got, test.want) {
				t.Errorf("the access log has %v, want %v", got, test.want)
			}
		})
	}
}

// What an operator calls uuid is not Caddy's id: the handler must not write over it.
func TestAnOperatorsOwnVariableIsNotTheRequestsID(t *testing.T) {
	c := testhandler.Start(t, "", `
http://:0 {
	vars uuid mine
	kube_identity {
		anonymous guest
		deny_users guest
		inject headers {
			user X-User
		}
	}
	respond "reached"
	handle_errors {
		respond "{vars.uuid}"
	}
}`)
	if status, _, body := get(t, c, "/", http.Header{}); status != http.StatusForbidden || body != "mine" {
		t.Errorf("%d %q", status, body)
	}
	for _, line := range c.Refusals(t) {
		if strings.Contains(line.Raw, `"uuid"`) {
			t.Errorf("the log has an id: %s", line.Raw)
		}
	}
}
