// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A proxy in front passes its client's certificate on in a header field. The certificate
// is decoded, verified against the operator's CAs and mapped to a user.
func ExampleAuthenticator_Header() {
	der, err := base64.StdEncoding.DecodeString(exampleCA)
	if err != nil {
		fmt.Println(err)
		return
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		fmt.Println(err)
		return
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	authenticator := certauth.Authenticator{
		Encoding: certauth.Base64DER,
		Trust:    func() certauth.Trust { return certauth.Trust{Roots: roots} },
		Mapping: certauth.Mapping{
			Username:    []certauth.Attribute{certauth.CommonName},
			Groups:      []certauth.Attribute{certauth.Organization},
			GroupPrefix: "cert:",
		},
	}
	for _, now := range []time.Time{
		time.Date(2026, time.July, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2027, time.July, 1, 0, 0, 0, 0, time.UTC),
	} {
		verdict, err := authenticator.Header(context.Background(), []string{exampleLeaf}, nil, now)
		fmt.Println(now.Year(), verdict.User.Username, verdict.User.Groups, errors.Is(err, identity.ErrRejected))
	}
	// Output:
	// 2026 alice [cert:developers] false
	// 2027  [] true
}

// The operator chooses the user that a certificate is mapped to.
func ExampleMapping_User() {
	der, err := base64.StdEncoding.DecodeString(exampleLeaf)
	if err != nil {
		fmt.Println(err)
		return
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		fmt.Println(err)
		return
	}
	mapping := certauth.Mapping{
		Map:     []certauth.Entry{{Name: "alice", User: "alice@example.com", Groups: []string{"admins"}}},
		MapOnly: true,
	}
	user, err := mapping.User([]*x509.Certificate{leaf})
	fmt.Println(user.Username, user.Groups, err)
	// Output: alice@example.com [admins] <nil>
}

// A CA certificate, and a certificate of alice that it issued. Both are valid in the year
// 2026.
const (
	exampleCA = "MIIBUTCB+aADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMTBnBlb3BsZTAeFw0yNjAxMDEwMDAwMDBaFw0yNzAxMDEwMDAw" +
		"MDBaMBExDzANBgNVBAMTBnBlb3BsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEjfSsY8BtrikeC9tRGksVTjcvQ7rsMYUn+f" +
		"FuEpTNp3dyGYnwwx5CX/0gev8utyC3ev2QiX3aBilEsXCaVF2JyjQjBAMA4GA1UdDwEB/wQEAwICBDAPBgNVHRMBAf8EBTADAQH/" +
		"MB0GA1UdDgQWBBTb9HKLgcbHtLFlBH8z1f4ZZi8WUTAKBggqhkjOPQQDAgNHADBEAiB0MtpF8FScRvk7Ru0OotIZ/9Th4nd4ONaS" +
		"d8PiAD4gEAIgSL67YOdVS1NQqTqC+el26s/eb4jq4KgmCL0bwoSvk6Y="
	exampleLeaf = "MIIBbjCCAROgAwIBAgIBAjAKBggqhkjOPQQDAjARMQ8wDQYDVQQDEwZwZW9wbGUwHhcNMjYwMTAxMDAwMDAwWhcNMjcwMTAxMDAw" +
		"MDAwWjAlMRMwEQYDVQQKEwpkZXZlbG9wZXJzMQ4wDAYDVQQDEwVhbGljZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN2vdzR1" +
		"N8XdPQUt9/RHcMmGn7l1/Ut5OMod2cHejzYIMcRiAjfYGA9fbPcFrcV1XcwJFzFxh5hqHskz+gSu4p6jSDBGMA4GA1UdDwEB/wQE" +
		"AwIHgDATBgNVHSUEDDAKBggrBgEFBQcDAjAfBgNVHSMEGDAWgBTb9HKLgcbHtLFlBH8z1f4ZZi8WUTAKBggqhkjOPQQDAgNJADBG" +
		"AiEA4lsWbyuxSPwxygHUswxnPSPlE5yvpPPqaFocsyvo1Z8CIQCTtRZmV9oSs0pDkd/19uhxL6eLgHi6ZEkET16FMoLKEg=="
)
