// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Each turns a check of one value into a check of a list.
func Each(check func(string) error) func([]string) error {
	return func(values []string) error {
		for _, value := range values {
			if err := check(value); err != nil {
				return err
			}
		}
		return nil
	}
}

// Unexpanded leaves values with a placeholder out of a check of the Caddyfile: they are
// expanded when the configuration is loaded, and checked then.
func Unexpanded(check func(string) error) func(string) error {
	return func(s string) error {
		if hasPlaceholder(s) {
			return nil
		}
		return check(s)
	}
}

func unexpandedLeftOut(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), hasPlaceholder)
}

// hasPlaceholder leaves out ${url} and the like: the option login has them as its own words.
func hasPlaceholder(s string) bool {
	for i := range len(s) {
		if s[i] == '{' && (i == 0 || s[i-1] != '$') && strings.Contains(s[i:], "}") {
			return true
		}
	}
	return false
}

// NotEmpty refuses the empty string.
func NotEmpty(s string) error {
	if s == "" {
		return errors.New("the value is empty")
	}
	return nil
}

// CheckScheme refuses a URL without a scheme. The error does not show a password.
func CheckScheme(url string) error {
	switch {
	case url == "" || strings.Contains(url, "://"):
		return NotEmpty(url)
	case strings.Contains(url, "@"):
		return errors.New("the URL has no scheme: write https:// before it")
	}
	return fmt.Errorf("%q has no scheme: write 'https://%s'", url, strings.TrimLeft(url, "/"))
}

// CheckSecureURL refuses a URL that is not https, except for a loopback address.
func CheckSecureURL(url string) error {
	if err := CheckScheme(url); err != nil {
		return err
	}
	_, err := fetch.ParseSecureURL(url)
	if err != nil && strings.HasPrefix(url, "http://") {
		return fmt.Errorf("%w: write https://", err)
	}
	return err
}

// OneOf makes a check for one of some words.
func OneOf[W ~string](words []W) func(string) error {
	return func(s string) error {
		if slices.Contains(words, W(s)) {
			return nil
		}
		texts := make([]string, len(words))
		for i, word := range words {
			texts[i] = string(word)
		}
		return notOneOf(s, texts)
	}
}

func notOneOf(s string, words []string) error {
	list := strings.Join(words, ", ")
	if text := productValue(s); text != "" {
		return fmt.Errorf("%q is not one of %s: %s", s, list, text)
	}
	if near := Nearest(s, words); near != nil {
		return fmt.Errorf("%q is not one of %s: did you mean %s?", s, list, Quoted(near))
	}
	return fmt.Errorf("%q is not one of %s", s, list)
}

// CheckFieldName refuses a pattern, and the name of a field that cannot hold an identity or
// a token because it belongs to the message or the connection.
func CheckFieldName(field string) error {
	if strings.HasSuffix(field, "*") {
		return fmt.Errorf("header field %q: this must be a name, not a pattern: write the whole name", field)
	}
	return identity.CheckIdentityField(field)
}

// CheckExtraPrefix refuses what is not the beginning of names that may hold values.
func CheckExtraPrefix(prefix string) error {
	if strings.HasSuffix(prefix, "*") {
		return fmt.Errorf("header field %q: this must be the beginning of a name, without a pattern: leave out the '*'", prefix)
	}
	return identity.CheckIdentityField(prefix + "*")
}

// CheckPrefix refuses a prefix with which no identity could pass the check of names.
func CheckPrefix(prefix string) error {
	if identity.IsReserved(prefix + "x") {
		return fmt.Errorf("prefix %q makes every name a reserved one: write another, such as 'oidc:'", prefix)
	}
	return nil
}

// Union adds to names what it lacks of others, in their order.
func Union(names, others []string) []string {
	for _, name := range others {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
