// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"reflect"
	"strings"
)

// jsonFields returns the names of the fields in the JSON of a configuration struct, with those of
// structs that it embeds, but not of structs in its fields.
func jsonFields(config any) []string {
	var names []string
	eachField(reflect.TypeOf(config), func(name string, _ reflect.StructField) { names = append(names, name) })
	return names
}

func eachField(t reflect.Type, each func(name string, field reflect.StructField)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			eachField(field.Type, each)
		case field.IsExported() && name != "" && name != "-":
			each(name, field)
		}
	}
}
