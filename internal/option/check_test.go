// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// check is a value and a part of the error that it gives; want is empty for a value that passes.
type check struct{ value, want string }

func runChecks(t *testing.T, validate func(string) error, checks map[string]check) {
	t.Helper()
	for name, test := range checks {
		t.Run(name, func(t *testing.T) {
			err := validate(test.value)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %v, want %q", test.value, err, test.want)
			}
		})
	}
}

func TestCheckFieldName(t *testing.T) {
	runChecks(t, option.CheckFieldName, map[string]check{
		"a name":                           {"X-Forwarded-User", ""},
		"a name in lower case":             {"x-user", ""},
		"a pattern":                        {"X-User-*", "this must be a name, not a pattern"},
		"a star alone":                     {"*", "this must be a name, not a pattern"},
		"an empty name":                    {"", "empty"},
		"a blank in a name":                {"X User", "no field name may have"},
		"a field of the connection":        {"Connection", "cannot carry an identity"},
		"a field of credentials":           {"Authorization", "cannot carry an identity"},
		"such a field in another spelling": {"authorization", "cannot carry an identity"},
		"the cookies":                      {"Cookie", "cannot carry an identity"},
	})
}

func TestCheckExtraPrefix(t *testing.T) {
	runChecks(t, option.CheckExtraPrefix, map[string]check{
		"a prefix":                     {"X-Extra-", ""},
		"a pattern":                    {"X-Extra-*", "without a pattern"},
		"a prefix of Authorization":    {"Auth", "cannot carry an identity"},
		"a prefix of many field names": {"", "at least one character"},
	})
}

func TestCheckPrefix(t *testing.T) {
	runChecks(t, option.CheckPrefix, map[string]check{
		"none":                                      {"", ""},
		"a prefix":                                  {"oidc:", ""},
		"the beginning of the reserved prefix":      {"system", ""},
		"the reserved prefix":                       {"system:", "makes every name a reserved one"},
		"the prefix of a distribution":              {"kubeadm:", "makes every name a reserved one"},
		"a reserved name, as a prefix":              {"clusterAdmin", ""},
		"a longer reserved prefix, in another case": {"SYSTEM:node:", "makes every name a reserved one"},
	})
}

func TestCheckSeparator(t *testing.T) {
	const refused = "a separator is one character"
	runChecks(t, option.CheckSeparator, map[string]check{
		"none":           {"", ""},
		"a comma":        {",", ""},
		"a blank":        {" ", ""},
		"two characters": {",,", refused},
		"a blank behind": {", ", "write ',', since blanks"},
		"a letter":       {"a", refused},
		"a digit":        {"0", refused},
		"a control":      {"\t", refused},
		"DEL":            {"\x7f", refused},
		"not ASCII":      {"·", refused},
	})
}

func TestNotEmpty(t *testing.T) {
	runChecks(t, option.NotEmpty, map[string]check{"a value": {"a", ""}, "a blank": {" ", ""}, "nothing": {"", "the value is empty"}})
}

func TestOneOf(t *testing.T) {
	type word string
	runChecks(t, option.OneOf([]word{"off", "strict"}), map[string]check{
		"the first":       {"off", ""},
		"the last":        {"strict", ""},
		"another":         {"soft", `"soft"`},
		"in another case": {"Off", `"Off"`},
		"nothing":         {"", `""`},
	})
}

func TestEachStopsAtTheFirst(t *testing.T) {
	var asked []string
	bad := errors.New("bad")
	err := option.Each(func(value string) error {
		asked = append(asked, value)
		if value == "b" {
			return bad
		}
		return nil
	})([]string{"a", "b", "c"})
	if !errors.Is(err, bad) || !reflect.DeepEqual(asked, []string{"a", "b"}) {
		t.Errorf("asked for %v: %v", asked, err)
	}
	if err := option.Each(notBad)(nil); err != nil {
		t.Errorf("an empty list: %v", err)
	}
}

func TestUnion(t *testing.T) {
	for name, test := range map[string]struct{ names, others, want []string }{
		"nothing":                     {nil, nil, nil},
		"without a first list":        {nil, []string{"a", "b"}, []string{"a", "b"}},
		"without a second list":       {[]string{"b", "a"}, nil, []string{"b", "a"}},
		"the first list stays first":  {[]string{"b", "a"}, []string{"a", "c", "b"}, []string{"b", "a", "c"}},
		"a value that is there twice": {nil, []string{"a", "a"}, []string{"a"}},
	} {
		if got := option.Union(test.names, test.others); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
