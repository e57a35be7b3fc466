// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// readable refuses what net/http answers itself, before any handler: check would say that such a
// request is forwarded.
func readable(r *http.Request) error {
	if strings.ContainsFunc(r.Host, func(c rune) bool { return !inHost(c) }) {
		return fmt.Errorf("the host %q has a character that no host has: a server answers 400", r.Host)
	}
	for _, value := range r.Header["Expect"] {
		if !strings.EqualFold(value, "100-continue") {
			return errors.New("-H: Expect is not 100-continue: a server answers 417")
		}
	}
	if coding, ok := r.Header["Transfer-Encoding"]; ok {
		if len(coding) != 1 || !strings.EqualFold(coding[0], "chunked") {
			return errors.New("-H: Transfer-Encoding is not chunked: a server answers 501")
		}
		r.TransferEncoding = []string{"chunked"}
		delete(r.Header, "Transfer-Encoding") // as net/http does
	}
	for n, value := range r.Header["Content-Length"] {
		if _, err := strconv.ParseUint(value, 10, 63); err != nil || n > 0 && value != r.Header["Content-Length"][0] {
			return errors.New("-H: Content-Length is not one number: a server answers 400")
		}
	}
	return nil
}

// inHost says whether a host may have a character (RFC 3986, section 3.2.2).
func inHost(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!$%&'()*+,-.:;=[]_~", c)
}
