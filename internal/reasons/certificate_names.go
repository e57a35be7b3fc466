// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var certificateNames = Subject{Title: "Names of certificates", Rows: []Row{
	{
		401,
		texts{"the certificate has no usable name", "the certificate has … values for …"},
		"The certificate has none of the names of `username`, or several where one is needed: to choose one would be a guess.",
		"Look at the certificate's names (`check --cert` shows them), and choose another `username`. `default_user` is for certificates without a name.",
	},
	{
		401,
		texts{"the certificate's alternative names cannot be read", "not a list of names", "not the URIs that x509 has read", "another name without a type"},
		"The extension with the alternative names can be read in two ways.",
		"Ask the administrator of the CA to issue the certificate again.",
	},
	{
		401,
		texts{"a value of … is empty or not text"},
		"An attribute for the username or the groups is empty, or not a text.",
		"Ask the administrator of the CA to issue the certificate again, or choose another attribute.",
	},
	{
		403,
		texts{"the certificate is not in the map"},
		"`map_only`: the certificate is good, and none of its names is in `map`, or another CA has issued it (`issuer`).",
		"Add a `map` line for this certificate. `check --cert` shows its names. Alternative names count; the common name does only if there are none.",
	},
	{
		403,
		texts{"the certificate's name is not among allowed_names"},
		"The certificate is good, and `allowed_names` does not have its name.",
		"Add the name, if its owner may come in. `check --cert` shows it.",
	},
	{
		401,
		texts{"the certificate has … URIs, and not one SPIFFE ID", "the certificate's URI is not a SPIFFE ID: …"},
		"`username spiffe`: a workload's certificate has exactly one URI, which is its SPIFFE ID. The fault follows.",
		"Look which workload sends the certificate, and who issues it: see [SPIFFE](spiffe.md).",
	},
	{
		401,
		texts{"the trust domain … is not known here"},
		"No `trust_domain` of the configuration has this name.",
		"Add `trust_domain` with the bundle of that domain, if you trust its workloads.",
	},
	{
		401,
		texts{"the certificate does not say what its key is for, as that of a workload must", "the certificate's key may sign certificates or revocation lists, as that of a workload must not"},
		"The certificate is not one that the SPIFFE standard allows for a workload.",
		"Let SPIRE, or the CA that has its place, issue it as the standard says.",
	},
	{
		0,
		texts{
			"it is empty", "it has more than … bytes", "it does not begin with spiffe://", "its trust domain: …", "it does not have a path", "a segment of its path is empty", "its path has a segment of dots",
			"its path has a character that is not a letter, a digit, '.', '-' or '_'", "it has a character that is not a lower-case letter, a digit, '.', '-' or '_'",
		},
		"This is what is wrong with the SPIFFE ID.",
		"Let the CA write the ID as `spiffe://trust-domain/path`.",
	},
}}
