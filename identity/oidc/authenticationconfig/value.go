// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// object is the value of the variables claims and user. Only its fields are ever read:
// compile refuses everything else. Their names may be escaped, and an invalid escape finds
// nothing (k8s.io/apiserver, pkg/cel/lazy).
type object struct{ traits.Mapper }

func newObject(fields map[string]any) *object {
	return &object{types.NewStringInterfaceMap(types.DefaultTypeAdapter, fields)}
}

// Find implements traits.Mapper.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.NoSuchOverloadErr(), true
	}
	unescaped, ok := unescape(string(name))
	if !ok {
		return nil, false
	}
	value, found := o.Mapper.Find(types.String(unescaped))
	return wrap(value), found
}

// wrap makes escaped names work in all maps of a value. It accepts any value, and nil.
func wrap(value ref.Val) ref.Val {
	switch value := value.(type) {
	case traits.Mapper:
		return &escapedMap{value}
	case traits.Lister:
		return &escapedList{value}
	default:
		return value
	}
}

// escapedMap is a map in which a name such as example__dot__com finds example.com.
type escapedMap struct{ traits.Mapper }

func (m *escapedMap) Find(key ref.Val) (ref.Val, bool) {
	if name, ok := key.(types.String); ok {
		if unescaped, ok := unescape(string(name)); ok {
			key = types.String(unescaped)
		}
	}
	value, found := m.Mapper.Find(key)
	return wrap(value), found
}

// escapedList is a list whose elements are wrapped when they are read by index, as in the
// API server; in a macro they are not.
type escapedList struct{ traits.Lister }

func (l *escapedList) Get(index ref.Val) ref.Val { return wrap(l.Lister.Get(index)) }

// unescape undoes the escapes for names that are not CEL identifiers (k8s.io/apiserver,
// pkg/cel/escaping.go). It returns false for an invalid escape.
func unescape(escaped string) (string, bool) {
	if !strings.Contains(escaped, "__") {
		return escaped, true
	}
	var name strings.Builder
	for rest := escaped; rest != ""; {
		word, ok := cutEscape(rest)
		if !ok {
			name.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		rest = rest[len(word)+4:]
		switch word {
		case "underscores":
			name.WriteString("__")
		case "dot":
			name.WriteByte('.')
		case "dash":
			name.WriteByte('-')
		case "slash":
			name.WriteByte('/')
		default:
			if !isKeyword(word) || len(word)+4 != len(escaped) {
				return "", false
			}
			name.WriteString(word)
		}
	}
	return name.String(), true
}

// cutEscape returns the word of "__word__" at the beginning of s.
func cutEscape(s string) (word string, ok bool) {
	rest, ok := strings.CutPrefix(s, "__")
	if !ok {
		return "", false
	}
	end := strings.IndexByte(rest, '_')
	if end < 1 || !strings.HasPrefix(rest[end:], "__") {
		return "", false
	}
	return rest[:end], true
}

// isKeyword says whether a word is reserved in CEL, and so is written as __word__.
func isKeyword(word string) bool {
	switch word {
	case "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
		"import", "let", "loop", "package", "namespace", "return", "var", "void", "while":
		return true
	default:
		return false
	}
}
