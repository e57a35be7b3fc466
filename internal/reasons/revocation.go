// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var revocation = Subject{
	Title: "Revocation of certificates",
	About: "These follow `no answer on revocation`, or stand in the log's line about a list. What is about the connection is among the [causes about issuers](#cause-keys-of-an-issuer).",
	Rows: []Row{
		{
			401,
			texts{"certificate is revoked", "authority … above the certificate is revoked"},
			"The certificate, or the CA that is so many places above it, is on a list of revoked certificates, or its responder says so. A certificate on hold counts as revoked.",
			"Give the client a new certificate. If it is not meant to be revoked, ask the administrator of the CA.",
		},
		{
			401,
			texts{"ocsp responder does not know the certificate"},
			"`strict`: the responder answers `unknown`, and does not vouch for the certificate.",
			"Look whether the responder is that of the certificate's CA. A new certificate may not have arrived there yet.",
		},
		{
			503,
			texts{"no answer on revocation: …"},
			"`strict`: the responders and lists are out of reach or out of date; the cause follows.",
			"Read the cause. `caddy kube-identity state` shows the lists with their next update. `soft_fail` lets certificates pass without an answer, revoked ones too.",
		},
		{
			503,
			texts{"request ended before the answer: …"},
			"The responder is slow, or the client gave up.",
			"Look at the responder, and at `timeout` of `revocation`.",
		},
		{
			503,
			texts{"revocation is not started", "no issuer in the verified chain"},
			"Revocation cannot be checked for this chain. With `allow_partial_chain` the leaf itself may be in the pool: then its issuer, who signs the answers, is not known.",
			"Put the issuer into the `trust_pool`, and not the leaf.",
		},
		{
			0,
			texts{"no ocsp responder: the certificate names none and none is configured", "ocsp responder in the certificate: …", "host … is not in allowed_hosts"},
			"The certificate names no responder, or one that is not asked: its URL is the client's word, and leads to public addresses or to `allowed_hosts` only.",
			"Write the responder's URL behind `ocsp`, or its host into `allowed_hosts`.",
		},
		{
			0,
			texts{"making ocsp request: …", "fetching ocsp answer: …", "fetching ocsp answer: … was unreachable a moment ago"},
			"The responder did not answer; the cause follows.",
			"Look whether this machine reaches the responder: `openssl ocsp -url`.",
		},
		{
			0,
			texts{
				"parsing ocsp answer: …", "ocsp answer: about another certificate", "ocsp answer: about a certificate of another issuer", "ocsp answer: signature is not the issuer's",
				"ocsp answer: signed with a broken hash", "ocsp answer: not yet valid", "ocsp answer: no longer valid", "ocsp answer: responder's certificate is not of the same issuer",
				"ocsp answer: responder's certificate is not for signing answers", "ocsp answer: responder's certificate is not valid now",
				"ocsp answer: responder's certificate has an unknown critical extension", "ocsp answer: responder's certificate is revoked",
			},
			"The responder's answer does not count: it is about another certificate, out of date, or not signed by the issuer or by a responder that the issuer has named.",
			"Ask the administrator of the responder. Compare this machine's clock.",
		},
		{
			0,
			texts{"no crl of the issuer", "crl of another issuer"},
			"None of the lists of `crl` is of the CA that has issued the certificate.",
			"Add the list of that CA to `crl`. A URL's list is missing until it has been fetched.",
		},
		{
			0,
			texts{"crl: not yet valid", "crl: no longer valid", "not yet valid", "no longer valid", "crl has no next update"},
			"The list is out of date, or does not say until when it is good.",
			"Let the CA publish a new list, and look whether the file or URL has it. Compare this machine's clock.",
		},
		{
			0,
			texts{"crl: signature is not the issuer's", "signature is not the issuer's", "crl: signed with a broken hash", "signed with a broken hash"},
			"The list is not signed by the CA, or with SHA-1.",
			"Let the CA sign the list with SHA-256.",
		},
		{
			0,
			texts{
				"crl is a delta, which is not supported", "crl is indirect, which is not supported", "crl has an issuing distribution point, which is not supported",
				"crl has the unknown critical extension …", "crl has an entry with the unknown critical extension …",
			},
			"The list is of a kind that does not say everything about its CA's certificates.",
			"Let the CA publish a complete list, which covers all of its certificates.",
		},
		{
			0,
			texts{
				"parsing crl: …", "parsing crl: trailing data", "pem block is not a crl", "pem block cannot be read", "larger than … bytes", "reading crl: …", "reading crl …: …", "fetching crl: …",
			},
			"The file or the URL does not have a list; the cause follows. A good list that was read before counts until its next update.",
			"Look at it with `openssl crl -noout -text`.",
		},
		{
			0,
			texts{
				"parsing crl: panic: …", "fetching crl: panic: …", "checking the signature of a crl: panic: …", "asking about a certificate: panic: …", "reading ocsp answer: panic: …",
			},
			"A mistake in this module, or in Go, that the list or the answer triggers.",
			"Please report it, with the list or the answer, which are public.",
		},
	},
}
