// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "encoding/binary"

// AppendFramed appends the parts to text, each after its length, so that the bytes can be
// read back in only one way. It is for hashes of several texts: without the lengths "ab",
// "c" and "a", "bc" would have the same hash, and a cache would give one user the verdict on
// another (CVE-2026-71326).
func AppendFramed(text []byte, parts ...string) []byte {
	for _, part := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}
