// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"encoding/base64"
	"errors"
	"strings"
)

// errNotPath does not have the value: it may be the secret, and errors are logged.
var errNotPath = errors.New("expected a path to a file, with a / or a . in it; " +
	"if this is the secret itself, write it to a file, and the file's path here")

// CheckSecretFile refuses what is a secret rather than the path of the file that has it: later the
// error of a file that is not there would show it.
func CheckSecretFile(path string) error {
	switch {
	case path == "":
		return NotEmpty(path)
	case !strings.ContainsAny(path, `/.\`), isKey(path):
		return errNotPath
	}
	return nil
}

// isKey says whether s is the base64 of 32 bytes, whose letters may have a /.
func isKey(s string) bool {
	if s[0] == '/' || strings.Contains(s, ".") {
		return false
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		if key, err := encoding.DecodeString(s); err == nil && len(key) == 32 {
			return true
		}
	}
	return false
}
