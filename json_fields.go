// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// UnmarshalJSON reads the configuration as Caddy does, and names the field that may be meant by
// one that does not exist.
func (h *Handler) UnmarshalJSON(raw []byte) error {
	type fields Handler // without this method
	return nearField(caddy.StrictUnmarshalJSON(raw, (*fields)(h)), h)
}

// nearField adds to an error about a field that does not exist those that may be meant.
func nearField(err error, config any) error {
	if err == nil {
		return nil
	}
	_, rest, _ := strings.Cut(err.Error(), `json: unknown field "`)
	name, _, found := strings.Cut(rest, `"`)
	if !found {
		return err
	}
	fields := slices.DeleteFunc(fieldsOf(reflect.TypeOf(config), nil), func(field string) bool {
		return strings.HasPrefix(field, "insecure_") // no advice, even for a word that is like it
	})
	switch near := option.Nearest(name, fields); {
	case name == "inject":
		return fmt.Errorf("%w: write 'injectors', a list", err)
	case name == "preset":
		return fmt.Errorf("%w: a preset is a word of the Caddyfile: write one there, and see by 'caddy adapt' what it is", err)
	case near != nil:
		return fmt.Errorf("%w: did you mean %s?", err, option.Quoted(near))
	}
	return err
}

// fieldsOf adds the names of the fields in the JSON of a configuration struct, and of the structs
// in its fields.
func fieldsOf(t reflect.Type, names []string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	eachField(t, func(name string, field reflect.StructField) {
		if !slices.Contains(names, name) {
			names = fieldsOf(field.Type, append(names, name))
		}
	})
	return names
}

// jsonFields returns the names of the fields in the JSON of a configuration struct, but not of
// structs in its fields.
func jsonFields(config any) (names []string) {
	eachField(reflect.TypeOf(config).Elem(), func(name string, _ reflect.StructField) { names = append(names, name) })
	return names
}

// eachField visits the fields that JSON has, those of embedded structs too.
func eachField(t reflect.Type, visit func(name string, field reflect.StructField)) {
	if t.Kind() != reflect.Struct {
		return
	}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			eachField(field.Type, visit)
		case field.IsExported() && name != "" && name != "-":
			visit(name, field)
		}
	}
}
