// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/x509"
	"time"
)

// AnyTime makes a certificate valid at any time, also in a bubble of testing/synctest, which
// begins in the year 2000.
func AnyTime(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
}
