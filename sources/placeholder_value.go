// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"reflect"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// lookUp gets a value, if it says anything, and does not expand it: an identity that holds the
// text of a placeholder, such as {env.SECRET}, would be replaced by what it names
// (CVE-2026-30852).
func lookUp(repl *caddy.Replacer, key string) (string, error) {
	if key == "" {
		return "", nil
	}
	value, _ := repl.Get(key)
	text, err := textOf(key, value)
	if err != nil || identity.IsNothing(text) {
		return "", err
	}
	return text, nil
}

// textOf refuses a list or an object, which Caddy would write as Go does: the one group "a b"
// of a list as "[a b]", in which a separator finds other groups.
func textOf(key string, value any) (string, error) {
	switch value.(type) {
	case nil, fmt.Stringer, error, []byte, []rune:
		return caddy.ToString(value), nil
	}
	if kind := reflect.TypeOf(value).Kind(); kind == reflect.String || reflect.Bool <= kind && kind <= reflect.Float64 {
		return caddy.ToString(value), nil
	}
	return "", fmt.Errorf("%w: the value of {%s} is not text", identity.ErrInternal, key)
}

// lookUpGroups takes a list as it is, so that a group may contain the separator.
func (p *Placeholder) lookUpGroups(repl *caddy.Replacer) ([]string, error) {
	if p.groups == "" {
		return nil, nil
	}
	value, _ := repl.Get(p.groups)
	switch groups := value.(type) {
	case identity.Groups:
		return identity.SplitGroups(groups, ""), nil
	case []string:
		return identity.SplitGroups(groups, ""), nil
	case []any: // of a plugin that has read JSON
		texts := make([]string, len(groups))
		for i, group := range groups {
			var err error
			if texts[i], err = textOf(p.groups, group); err != nil {
				return nil, err
			}
		}
		return identity.SplitGroups(texts, ""), nil
	}
	text, err := textOf(p.groups, value)
	return identity.SplitGroups([]string{text}, p.GroupsSeparator), err
}
