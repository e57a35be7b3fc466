// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

type expandInner struct {
	Names []string `json:"names,omitempty"`
}

type expandConfig struct {
	Text    string            `json:"text,omitempty"`
	List    []string          `json:"list,omitempty"`
	Map     map[string]string `json:"map,omitempty"`
	Inner   *expandInner      `json:"inner,omitempty"`
	Inners  []expandInner     `json:"inners,omitempty"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Timeout caddy.Duration    `json:"timeout,omitempty"`
	Request string            `json:"request,omitempty" placeholders:"request"`
	Login   string            `json:"login,omitempty" placeholders:"own"`

	hidden string
}

func TestExpand(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KI_NAME", "alice")
	t.Setenv("KI_BRACES", "{env.KI_NAME}")
	config := &expandConfig{
		Text:    "a {env.KI_NAME} and {file." + secret + "}",
		List:    []string{"{env.KI_NAME}", `\{plain\}`, `\{open`, "{env.KI_BRACES}"},
		Map:     map[string]string{"{env.KI_NAME}": "is {env.KI_NAME}"},
		Inner:   &expandInner{Names: []string{"{env.KI_NAME}"}},
		Inners:  []expandInner{{Names: []string{"{env.KI_NAME}"}}},
		Raw:     json.RawMessage(`"{env.KI_NAME}"`),
		Timeout: 5,
		Request: "{http.auth.user.id}",
		Login:   "https://{env.KI_NAME}/?rd=${url}&${other}",
		hidden:  "{env.KI_NAME}",
	}
	want := &expandConfig{
		Text:    "a alice and from the file",
		List:    []string{"alice", "{plain}", "{open", "{env.KI_NAME}"},
		Map:     map[string]string{"alice": "is alice"},
		Inner:   &expandInner{Names: []string{"alice"}},
		Inners:  []expandInner{{Names: []string{"alice"}}},
		Raw:     json.RawMessage(`"{env.KI_NAME}"`),
		Timeout: 5,
		Request: "{http.auth.user.id}",
		Login:   "https://alice/?rd=${url}&${other}",
		hidden:  "{env.KI_NAME}",
	}
	if err := guest.Expand(config); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("got %+v, want %+v", config, want)
	}
}

// An operator writes a placeholder that has no value when the configuration is loaded.
func TestExpandRefuses(t *testing.T) {
	t.Setenv("KI_EMPTY", "")
	t.Setenv("KI_ONE", "same")
	t.Setenv("KI_TWO", "same")
	for _, test := range []struct {
		name   string
		config expandConfig
		want   string
	}{
		{"a variable that is not set", expandConfig{Text: "{env.KI_UNSET}"}, "text: {env.KI_UNSET} is empty"},
		{"a variable that is empty", expandConfig{List: []string{"x", "{env.KI_EMPTY}"}}, "list: {env.KI_EMPTY} is empty"},
		{"a file that is not there", expandConfig{Map: map[string]string{"x": "{file./missing}"}}, "map: {file./missing} is empty"},
		{"a placeholder of a request", expandConfig{Inner: &expandInner{Names: []string{"{http.request.host}"}}}, "inner: names: {http.request.host} has no value"},
		{"a placeholder that is not closed", expandConfig{List: []string{"{env.KI_ONE"}}, `list: "{env.KI_ONE" has a { without a }`},
		{"a second one that is not closed", expandConfig{Text: "{env.KI_ONE} {env.KI_TWO"}, `text: "{env.KI_ONE} {env.KI_TWO" has a { without a }`},
		{"one that only a brace that is meant closes", expandConfig{Text: `{env.KI_ONE\}`}, `text: "{env.KI_ONE\\}" has a { without a }`},
		{"one that is not closed before a brace that is meant", expandConfig{Text: `{env.KI_ONE \{x`}, `text: "{env.KI_ONE \\{x" has a { without a }`},
		{"a word of another option", expandConfig{Text: "${url}"}, "text: {url} has no value"},
		{"an unset variable beside the option's words", expandConfig{Login: "{env.KI_UNSET}?${url}"}, "login: {env.KI_UNSET} is empty"},
		{"two keys that become one", expandConfig{Map: map[string]string{"{env.KI_ONE}": "a", "{env.KI_TWO}": "b"}}, "map: same is there twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := guest.Expand(&test.config); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// An operator's text may hold any bytes: without a brace it is as before, and with one it
// is never expanded twice.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"plain", "{env.KI_FUZZ}", `\{env.KI_FUZZ\}`, "{{env.KI_FUZZ}}", "a{b", "}{", "${url}", "{env.KI_FUZZ"} {
		f.Add(seed)
	}
	f.Setenv("KI_FUZZ", "{env.HOME}")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file.") || strings.Contains(text, "HOME") {
			return // the value would be the machine's own
		}
		config := &expandConfig{Text: text}
		if err := guest.Expand(config); err != nil {
			return
		}
		if !strings.ContainsAny(text, "{}") && config.Text != text {
			t.Errorf("%q became %q", text, config.Text)
		}
		if home := os.Getenv("HOME"); home != "" && len(home) > 3 && strings.Contains(config.Text, home) && !strings.Contains(text, home) {
			t.Errorf("%q was expanded twice, to %q", text, config.Text)
		}
	})
}
