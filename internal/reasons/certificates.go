// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var certificates = Subject{Title: "Client certificates", Rows: []Row{
	{
		401,
		texts{"the certificate is not issued by a trusted CA"},
		"No chain leads from the certificate to a CA of the `trust_pool`.",
		"Put the root *and the intermediates* into the `trust_pool`: most proxies pass on the leaf alone. Or set `allow_partial_chain`, if the pool has the issuer and not the root.",
	},
	{
		401,
		texts{"a certificate of the chain has expired or is not yet valid"},
		"The dates of the certificate, or of a CA above it, do not fit now.",
		"Look at the dates with `openssl x509 -noout -dates`, of the CAs too, and at this machine's clock. Renew what has expired.",
	},
	{
		401,
		texts{"the certificate is not for … authentication"},
		"The certificate has extended key usages, and this one is not among them: it is a server's, say.",
		"Let the CA issue a certificate with `clientAuth` (for a server: `serverAuth`).",
	},
	{
		401,
		texts{"the certificate is a CA certificate", "the certificate's key is not for signatures"},
		"The certificate is not a client's: it may issue others, or its key usage lacks `digitalSignature`.",
		"Let the CA issue a certificate for the client.",
	},
	{
		401,
		texts{"an issuer in the chain is not a CA"},
		"A certificate of the pool is of X.509 version 1, or does not say that it is a CA.",
		"Give the CA a certificate of version 3 with `CA:TRUE`.",
	},
	{
		401,
		texts{"the chain ends at a certificate that is not self-signed"},
		"The pool has an intermediate CA, and not the root.",
		"Put the root into the pool, or set `allow_partial_chain`.",
	},
	{
		401,
		texts{"too many intermediates for a CA of the chain", "a CA of the chain may not issue this certificate"},
		"The path length or the name constraints of a CA forbid this certificate.",
		"Ask the administrator of the CA.",
	},
	{
		401,
		texts{"the certificate has a critical extension that is not understood", "the certificate is invalid (x509 reason …)"},
		"Go's verifier refuses the certificate.",
		"Ask the administrator of the CA to issue one without the extension. The number is that of Go's `x509.InvalidReason`.",
	},
	{
		401,
		texts{"… certificates, more than …", "the certificates are longer than … bytes", "… intermediate certificates, more than …"},
		"The client sends more certificates than are looked at.",
		"Let the client send its leaf and the intermediates only, or raise `max_intermediates`.",
	},
	{
		401,
		texts{"an RSA key of … bits, more than …", "an ECDSA key of … bits, fewer than …", "a key of a kind that is not accepted"},
		"A key of the chain is too weak, takes too long to verify with, or is neither RSA, ECDSA nor Ed25519.",
		"Let the CA use RSA of 2048 to 8192 bits, ECDSA of at least 256, or Ed25519.",
	},
	{
		500,
		texts{"no roots to verify the certificate with"},
		"The `trust_pool` has no CA at the moment.",
		"Look at the files of the pool. A pool of another module than this one's may be empty without an error.",
	},
	{
		401,
		texts{"no certificate to verify"},
		"The client showed none.",
		"Let the client show a certificate, and let Caddy ask for one (`tls client_auth`).",
	},
	{
		401,
		texts{"the proxy does not say that it verified the certificate"},
		"The field of `verify_header` has another value than the configured one, or is missing.",
		"Let the proxy write its verdict into the field for each request. Look at the value: nginx writes `SUCCESS` or `FAILED:…`, HAProxy `0`.",
	},
	{
		401,
		texts{"the last element has no Cert or Chain: set cert or chain in set_current_client_cert_details (Envoy) or proxyHeaders.setCurrentClientCertDetails (Istio)"},
		"Envoy passes names on, and not the certificate. Names prove nothing here.",
		"Set `cert: true` or `chain: true` there.",
	},
}}

//nolint:gochecknoglobals // a table
var certificateFields = Subject{Title: "Fields with a certificate", Rows: []Row{
	{
		400,
		texts{"reading the certificate: …", "reading the certificate chain: …", "cert: …", "chain: …", "element …: …"},
		"The field that the proxy wrote cannot be read; the fault follows, after `malformed`. No part of the value is in the log.",
		"Compare `encoding` with what the proxy writes: the table of presets has the encoding of each proxy.",
	},
	{
		400,
		texts{"certificate … does not parse", "certificate … is not a certificate", "certificate … is not DER, or cut off", "certificate … has … bytes after it"},
		"The field has something else than a certificate, or only a part of one.",
		"Look whether a proxy in between shortens long fields, and whether the client sends the field itself.",
	},
	{
		400,
		texts{"reading a certificate: panic: …"},
		"A mistake in this module, or in Go, that this certificate triggers.",
		"Please report it with the `stack` of the line, and with the certificate, which is public.",
	},
	{
		400,
		texts{"… lines where a proxy writes one"},
		"The field is there twice: one of the lines is likely to be the client's.",
		"Let the proxy overwrite the field, and not append to it.",
	},
	{
		400,
		texts{"a field of its own, beside an encoding that has the chain inside", "a certificate chain without a certificate"},
		"The field of `chain_header` does not fit: `xfcc` has the chain inside, or the leaf is missing.",
		"Leave out `chain_header`, or let the proxy write the leaf.",
	},
	{
		400,
		texts{"more than … intermediates", "a list instead of one item"},
		"The field has more certificates than the configuration allows. With `leaf_only` it has one: a list's first member could be the client's.",
		"Let the proxy overwrite the field. If it writes the chain, leave out `leaf_only`, or raise `max_intermediates`.",
	},
	{
		400,
		texts{"a private key in the header"},
		"The field has a private key beside the certificate.",
		"Treat the key as known to others: let the CA revoke the certificate. Then correct what writes the field.",
	},
	{
		400,
		texts{"… bytes are more than …", "certificate … is larger than … bytes", "member … is larger than … bytes", "block … is larger than … bytes"},
		"The field, or a certificate in it, is longer than one can be.",
		"Let the proxy pass on the leaf alone, and put the intermediates into the `trust_pool`.",
	},
	{
		400,
		texts{
			"one quote, not two", "PEM instead of base64", "base64 that is escaped in one place and not in another", "member … is empty or has a line break", "member … is not base64",
			"member … is not a byte sequence",
		},
		"`base64_der` or `rfc9440`: the value has another form.",
		"PEM takes `url_pem` or `pem`; base64 between colons takes `rfc9440`; base64 takes `base64_der`.",
	},
	{
		400,
		texts{
			"a bad percent escape", "percent-encoded twice", "percent-encoded, which this encoding does not allow", "block … does not start with the marker of a certificate",
			"block … does not end with the marker of a certificate", "no PEM block", "block … is not base64",
		},
		"`url_pem` or `pem`: the value has another form, or two proxies have escaped it.",
		"Percent-encoded PEM takes `url_pem` (nginx: `$ssl_client_escaped_cert`); PEM with blanks takes `pem` (Apache). Let one proxy alone escape it.",
	},
	{
		400,
		texts{
			"an element follows a name that Envoy does not quote: it may be forged", "a pair follows a name that Envoy does not quote: it may be forged", "a key appears twice",
			"a semicolon in quotes without a backslash", "a quote is not closed", "no pair of key and value", "unexpected text between a value and its separator",
		},
		"`xfcc`: the owner of a certificate could have written this, since Envoy copies names without quotes.",
		"Set `uri: false` and `dns: false` in `set_current_client_cert_details`: the names are read from the certificate. Set `SANITIZE_SET` on the Envoy to which clients connect.",
	},
	{
		400,
		texts{"the JSON format is not supported"},
		"`xfcc`: Envoy writes the field as JSON.",
		"Let Envoy write the text format, which is its default.",
	},
	{
		400,
		texts{"cert: … certificates instead of one", "cert is not the first of chain", "hash is not that of the certificate"},
		"`xfcc`: `Cert`, `Chain` and `Hash` are about different certificates.",
		"Let each Envoy overwrite the field (`SANITIZE_SET`): two have written into one element.",
	},
	{
		500,
		texts{"no encoding is called …"},
		"The configuration has an encoding that does not exist, and was not checked.",
		"Please report it.",
	},
}}
