// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Expand replaces the placeholders in every text of a configuration struct, once, as Caddy's
// own modules do when they are provisioned: {env.*}, {file.*}, {system.*} and {time.now.*}
// have a value then. A placeholder that has none is an error, so a list of denied users
// cannot lose its only entry because a variable is not set. A value is not expanded
// again. "\{" is a brace, and a brace that is not closed is an error too.
//
// A field with the tag placeholders:"request" is left alone: it names placeholders of
// a request. In a field with placeholders:"own", unknown ones stay, since the option has
// words in that form, such as ${url}, and judges them itself.
func Expand(config any) error {
	return expand(caddy.NewReplacer(), reflect.ValueOf(config).Elem(), "")
}

func expand(repl *caddy.Replacer, v reflect.Value, kind string) error {
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		text, err := expandText(repl, v.String(), kind)
		if err == nil {
			v.SetString(text)
		}
		return err
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return expand(repl, v.Elem(), kind)
	case reflect.Struct:
		return expandFields(repl, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil // a guest's JSON: that guest expands its own
		}
		for i := range v.Len() {
			if err := expand(repl, v.Index(i), kind); err != nil {
				return err
			}
		}
	case reflect.Map:
		return expandMap(repl, v, kind)
	}
	return nil
}

// expandFields names the option in an error.
func expandFields(repl *caddy.Replacer, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		kind := field.Tag.Get("placeholders")
		if !field.IsExported() || kind == "request" {
			continue
		}
		if err := expand(repl, v.Field(i), kind); err != nil {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				return fmt.Errorf("%s: %w", name, err)
			}
			return err
		}
	}
	return nil
}

func expandMap(repl *caddy.Replacer, v reflect.Value, kind string) error {
	if v.IsNil() {
		return nil
	}
	expanded := reflect.MakeMapWithSize(v.Type(), v.Len())
	for entries := v.MapRange(); entries.Next(); {
		var pair [2]reflect.Value
		for i, part := range []reflect.Value{entries.Key(), entries.Value()} {
			pair[i] = reflect.New(part.Type()).Elem()
			pair[i].Set(part)
			if err := expand(repl, pair[i], kind); err != nil {
				return err
			}
		}
		if expanded.MapIndex(pair[0]).IsValid() {
			return fmt.Errorf("%v is there twice", pair[0])
		}
		expanded.SetMapIndex(pair[0], pair[1])
	}
	v.Set(expanded)
	return nil
}

func expandText(repl *caddy.Replacer, text, kind string) (string, error) {
	if !strings.Contains(text, "{") {
		return text, nil
	}
	if kind != "own" && unclosed(text) {
		return "", fmt.Errorf("%q has a { without a }; a brace that is meant is written \\{", text)
	}
	return repl.ReplaceFunc(text, func(name string, value any) (any, error) {
		if _, known := repl.Get(name); !known {
			if kind == "own" {
				return "{" + name + "}", nil
			}
			return nil, fmt.Errorf("{%s} has no value when the configuration is loaded; a brace that is meant is written \\{", name)
		}
		if caddy.ToString(value) == "" {
			return nil, fmt.Errorf("{%s} is empty, not set or cannot be read", name)
		}
		return value, nil
	})
}

// unclosed says whether a placeholder begins and does not end: Caddy leaves one as it is, and
// "{env.DENIED" would become the name of a user.
func unclosed(text string) bool {
	text = strings.NewReplacer(`\{`, "", `\}`, "").Replace(text)
	return strings.LastIndexByte(text, '{') > strings.LastIndexByte(text, '}')
}
