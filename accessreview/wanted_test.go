// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview_test

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/accessreview"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// wish is a client's fields as the handler strips them: by their canonical names.
func wish(lines ...string) identity.Stripped {
	header := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	var stripped identity.Stripped
	for name, values := range header {
		stripped = append(stripped, identity.StrippedField{Name: name, Values: values})
	}
	slices.SortFunc(stripped, func(a, b identity.StrippedField) int { return strings.Compare(a.Name, b.Name) })
	return stripped
}

func repeated(line string, n int) []string { return slices.Repeat([]string{line}, n) }

func TestWanted(t *testing.T) {
	for name, test := range map[string]struct {
		fields []string
		want   identity.User
	}{
		"kubectl --as": {[]string{"Impersonate-User: bob"}, identity.User{Username: "bob"}},
		"groups, one a line and not split": {
			[]string{"Impersonate-User: bob", "Impersonate-Group: ops", "Impersonate-Group: dev,qa"},
			identity.User{Username: "bob", Groups: []string{"ops", "dev,qa"}},
		},
		"a uid": {[]string{"Impersonate-User: bob", "Impersonate-Uid: u-1"}, identity.User{Username: "bob", UID: "u-1"}},
		"extra keys, escaped as client-go does": {
			[]string{"Impersonate-User: bob", "Impersonate-Extra-Example.com%2ftenant: acme", "Impersonate-Extra-Example.com%2ftenant: globex", "Impersonate-Extra-Scopes: view"},
			identity.User{Username: "bob", Extra: map[string][]string{"example.com/tenant": {"acme", "globex"}, "scopes": {"view"}}},
		},
		"as many values as there may be": {
			append(repeated("Impersonate-Group: dev", accessreview.MaxValues-1), "Impersonate-User: bob"),
			identity.User{Username: "bob", Groups: repeated("dev", accessreview.MaxValues-1)},
		},
		"other stripped fields": {
			[]string{"Impersonate-User: bob", "Authorization: Bearer x", "X-Remote-User: eve", "Impersonation: x"},
			identity.User{Username: "bob"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := accessreview.Wanted(wish(test.fields...))
			if err != nil || !reflect.DeepEqual(*got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestAWishThatIsRefused(t *testing.T) {
	const user = "Impersonate-User: bob"
	for name, test := range map[string]struct {
		fields   []string
		sentinel error
		reason   string
	}{
		"a group alone":                     {[]string{"Impersonate-Group: ops"}, identity.ErrMalformed, "without naming a user"},
		"a uid alone":                       {[]string{"Impersonate-Uid: 1"}, identity.ErrMalformed, "without naming a user"},
		"an extra alone":                    {[]string{"Impersonate-Extra-Scopes: a"}, identity.ErrMalformed, "without naming a user"},
		"an empty user":                     {[]string{"Impersonate-User: "}, identity.ErrMalformed, `"Impersonate-User" is empty`},
		"a user of blanks":                  {[]string{"Impersonate-User:  \t "}, identity.ErrMalformed, `"Impersonate-User" is empty`},
		"an empty user and a group":         {[]string{"Impersonate-User: ", "Impersonate-Group: ops"}, identity.ErrMalformed, `"Impersonate-User" is empty`},
		"two users":                         {[]string{user, "Impersonate-User: admin"}, identity.ErrMalformed, "2 lines of Impersonate-User"},
		"an empty user and another":         {[]string{"Impersonate-User: ", user}, identity.ErrMalformed, `"Impersonate-User" is empty`},
		"two uids":                          {[]string{user, "Impersonate-Uid: 1", "Impersonate-Uid: 2"}, identity.ErrMalformed, "2 lines of Impersonate-Uid"},
		"an empty uid":                      {[]string{user, "Impersonate-Uid: "}, identity.ErrMalformed, `"Impersonate-Uid" is empty`},
		"an empty group":                    {[]string{user, "Impersonate-Group: ops", "Impersonate-Group: "}, identity.ErrMalformed, `"Impersonate-Group" is empty`},
		"an empty extra":                    {[]string{user, "Impersonate-Extra-Scopes: "}, identity.ErrMalformed, "is empty"},
		"an extra key that is not escaped":  {[]string{user, "Impersonate-Extra-Example.com%zzt: a"}, identity.ErrMalformed, "cannot be read"},
		"an extra key that ends early":      {[]string{user, "Impersonate-Extra-T%2: a"}, identity.ErrMalformed, "cannot be read"},
		"an empty extra key":                {[]string{user, "Impersonate-Extra-: a"}, identity.ErrMalformed, "cannot be read"},
		"an upper-case letter, escaped":     {[]string{user, "Impersonate-Extra-%41cme: a"}, identity.ErrMalformed, "cannot be read"},
		"an extra key in two spellings":     {[]string{user, "Impersonate-Extra-Acme: a", "Impersonate-Extra-%61cme: b"}, identity.ErrMalformed, `two fields for the extra key "acme"`},
		"a field that is not known":         {[]string{user, "Impersonate-Scope: a"}, identity.ErrMalformed, "is not a field of impersonation"},
		"a field like that, and no user":    {[]string{"Impersonate-Anything: a"}, identity.ErrMalformed, "is not a field of impersonation"},
		"the user in another spelling":      {[]string{"Impersonate_user: admin"}, identity.ErrMalformed, `"Impersonate_user" is not a field of impersonation`},
		"another spelling beside the right": {[]string{user, "impersonate~user: admin"}, identity.ErrMalformed, "is not a field of impersonation"},
		"the group that may do everything":  {[]string{user, "Impersonate-Group: ops", "Impersonate-Group: system:masters"}, identity.ErrForbidden, `the group "system:masters"`},
		"that group in another case":        {[]string{user, "Impersonate-Group: System:Masters"}, identity.ErrForbidden, `the group "System:Masters"`},
		"the original user is someone else": {[]string{user, "Impersonate-Extra-Kube-identity.caddyserver.com%2foriginal-user: root"}, identity.ErrForbidden, "which only the proxy sets"},
		"one value too many":                {append(repeated("Impersonate-Group: dev", accessreview.MaxValues), user), identity.ErrForbidden, "more than 64 values"},
		"too many values of extras":         {append(repeated("Impersonate-Extra-A: 1", 40), append(repeated("Impersonate-Extra-B: 1", 40), user)...), identity.ErrForbidden, "more than 64 values"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := accessreview.Wanted(wish(test.fields...))
			if !errors.Is(err, test.sentinel) || !identity.IsRefusal(err) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %+v, %v, want %v, %s", got, err, test.sentinel, test.reason)
			}
		})
	}
}

// Whatever a client sends, either it is refused, or the user is what the API server would read from
// the same fields, with at most MaxValues questions.
func FuzzWanted(f *testing.F) {
	f.Add("Impersonate-User", "bob", "Impersonate-Extra-Example.com%2ftenant", "acme")
	f.Add("Impersonate-User", "", "Impersonate-Group", "system:masters")
	f.Add("impersonate_user", "a", "Impersonate-Uid", " ")
	f.Fuzz(func(t *testing.T, name, value, other, more string) {
		stripped := identity.Stripped{{Name: http.CanonicalHeaderKey(name), Values: []string{value}}, {Name: http.CanonicalHeaderKey(other), Values: []string{more, more}}}
		user, err := accessreview.Wanted(stripped)
		if err != nil {
			if !identity.IsRefusal(err) {
				t.Errorf("%v wraps no sentinel", err)
			}
			return
		}
		if user.Username == "" || stripped.Lines("Impersonate-User")[0] != user.Username {
			t.Errorf("the user %q from %q", user.Username, stripped)
		}
		for _, what := range accessreview.AttributesOf(user) {
			if what.Verb != "impersonate" || what.Resource == "" || strings.TrimSpace(what.Name) == "" {
				t.Errorf("the question %+v", what)
			}
		}
		for key := range user.Extra {
			if key != strings.ToLower(key) || key == "" || key == identity.OriginalUserKey {
				t.Errorf("the extra key %q", key)
			}
		}
	})
}
