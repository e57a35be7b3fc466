// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"fmt"
	"slices"
	"strings"
)

// PlaceholderName returns the name in an option that is exactly one placeholder.
func PlaceholderName(text string) (string, error) {
	name, opened := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !opened || !closed || name == "" || strings.ContainsAny(name, "{}") {
		return "", fmt.Errorf("%q is not exactly one placeholder: write one such as {http.auth.user.id}", text)
	}
	return name, nil
}

// CheckNotTheClients refuses the name of a placeholder whose value the client wrote, whatever
// the operator says: headers, query, cookies and the unverified certificate of
// {http.request.tls.client.*}, the parts that a matcher cut out of these, and the message of
// an error.
func CheckNotTheClients(name string) error {
	clients := []string{"http.request", "http.regexp", "http.matchers", "http.error"}
	if slices.ContainsFunc(clients, func(p string) bool { return name == p || strings.HasPrefix(name, p+".") }) {
		if strings.HasPrefix(name, "http.request.tls.client.") {
			return fmt.Errorf("a client can write {%s}, as Caddy does not verify each certificate that it has there; "+
				"for the client's certificate there is the source 'client_cert tls'", name)
		}
		return fmt.Errorf("a client can write {%s}; "+
			"for a header that a trusted proxy sets there is the source 'forwarded'", name)
	}
	return nil
}

// CheckTrustedPlaceholder refuses what trusted_placeholder cannot declare: it takes exact
// names, without braces, that the client does not write.
func CheckTrustedPlaceholder(name string) error {
	if name == "" || strings.ContainsAny(name, "{}* \t") {
		return fmt.Errorf("%q is not the exact name of one placeholder, without braces", name)
	}
	return CheckNotTheClients(name)
}

// PlaceholderNames parses an option with the names of placeholders, with or without braces.
func PlaceholderNames(names *[]string) Parser {
	return Literals(names, func(args []string) error {
		for i, arg := range args {
			if name, err := PlaceholderName(arg); err == nil {
				args[i] = name
			}
		}
		return Each(CheckTrustedPlaceholder)(args)
	})
}

// errTooLate is the error for a number or a duration that would be known only when the
// configuration is loaded: JSON has a number there.
func errTooLate(text string) error {
	name := strings.TrimPrefix(strings.Trim(text, "{}"), "env.")
	return fmt.Errorf("%q is expanded too late for a number: write '{$%s}', which is expanded in the Caddyfile", text, name)
}
