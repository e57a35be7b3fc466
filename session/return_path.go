// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// MaxReturn is how long a return path is at most, in bytes.
const MaxReturn = 2 << 10

// ReturnPath returns the path and query of a request target as it came, if a redirect to it
// cannot lead a browser to another site, and if it is not below own, the handler's own path. It
// refuses, and does not repair: a client of a browser's never sends what is refused here. The
// caller still writes scheme and host before it.
//
// Reverse proxies before this one were led astray by two slashes, backslashes, which a browser
// takes for slashes, and by tabs and line ends, which it drops (CVE-2020-5233, CVE-2020-11053,
// CVE-2020-4037, CVE-2021-21291, CVE-2022-23527).
func ReturnPath(target, own string) (string, error) {
	if len(target) > MaxReturn {
		return "", fmt.Errorf("the return path has %d bytes, at most %d are allowed", len(target), MaxReturn)
	}
	if !strings.HasPrefix(target, "/") {
		return "", errors.New("the return path does not begin with a slash")
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>`#", r) }) {
		return "", errors.New("the return path has a character that does not belong there")
	}
	raw, _, _ := strings.Cut(target, "?")
	if strings.ContainsAny(raw, "{}") { // Caddy's placeholders; browsers encode them in a path, not in a query
		return "", errors.New("the return path has a brace")
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return "", errors.New("the return path has a bad escape")
	}
	if err := checkDecoded(decoded); err != nil {
		return "", err
	}
	if isBelow(decoded, own) {
		return "", errors.New("the return path is one of the session's own")
	}
	return target, nil
}

// checkDecoded refuses a decoded path that begins as the name of a host does, has control
// characters, or a segment "." or "..": browsers resolve these themselves, and a proxy on the
// way could resolve "/./" before a second slash.
func checkDecoded(decoded string) error {
	if strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("the return path has an encoded control character")
	}
	if begin := strings.TrimLeft(decoded[1:], " "); strings.HasPrefix(begin, "/") || strings.HasPrefix(begin, `\`) {
		return errors.New("the return path begins like the name of a host")
	}
	for segment := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return errors.New("the return path has a segment of dots")
		}
	}
	return nil
}

// isBelow says whether a decoded path, which has no segments of dots, is own or below it, in any
// case, as Caddy matches paths.
func isBelow(decoded, own string) bool {
	decoded, own = strings.ToLower(decoded), strings.ToLower(path.Clean(own))
	return decoded == own || strings.HasPrefix(decoded, own+"/")
}
