// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package reasons is the table behind docs/troubleshooting.md: every text with which the code
// refuses a request, what it means, and what to do. It is for tests and for the page alone, so
// that no server carries it. Its own test reads the code, and fails for a text that is not in
// the table, and for a row that the code does not have.
package reasons

// Row is what the page says of one or several texts.
type Row struct {
	// Status is that of the refusal. 0 is for a cause, which comes after the reason, or in a
	// line of the log that is not about a request.
	Status int

	// Texts are those of the code, without the word of the sentinel, and with … for each part
	// that varies.
	Texts []string

	// Means says what has happened, and Do what the reader can do about it.
	Means, Do string
}

// Subject is a table of the page: what belongs together for an operator.
type Subject struct {
	// Title is that of the page's section, and the end of its anchor.
	Title string

	// Line is the message of the line of the log, if that is not "refused".
	Line string

	// About is above the table of causes, or of another line.
	About string

	Rows []Row
}

// Subjects returns the whole table, in the order of the page.
func Subjects() []Subject {
	return []Subject{
		requests, original, tokens, tokenReading, tokenClaims, authenticationConfig, bound,
		issuers, keySets, reviews, introspection, graph,
		certificates, certificateFields, certificateNames, revocation,
		policy, upstreams, clientImpersonation, origins,
		proxies, apiServer, credentials,
		sessions, tokenEndpoint, clientAuth, sessionKeys, logins, logouts, streams, mistakes,
	}
}

// texts makes the rows short.
type texts = []string
