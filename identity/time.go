// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

// MaxUnixTime is the last second of the year 9999, in seconds since 1970. A later time has
// no date in RFC 3339, and no credential is meant to last that long.
const MaxUnixTime = 253402300799
