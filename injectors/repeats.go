// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

// Repeats returns the fields that may have several lines: groups without a separator, and extra
// attributes.
func (i *Headers) Repeats() []string {
	var fields []string
	if i.Groups != "" && i.GroupsSeparator == "" {
		fields = append(fields, i.headers.Groups)
	}
	if i.Extra != "" {
		fields = append(fields, i.headers.Extra+"*")
	}
	return fields
}

// Repeats returns the fields that may have several lines.
func (*FrontProxy) Repeats() []string { return []string{"X-Remote-Group", "X-Remote-Extra-*"} }

// Repeats returns the fields that may have several lines.
func (*Impersonation) Repeats() []string { return []string{"Impersonate-Group", "Impersonate-Extra-*"} }

// Repeats returns nothing: the token has one line.
func (*Token) Repeats() []string { return nil }
