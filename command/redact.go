// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// shown replaces credentials by a short hash, which is enough to see whether two are
// equal. A field that this project does not know is treated as a credential if its name
// suggests one, or its value has the form of one.
func (r *Report) shown(name, value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	switch {
	case found && isScheme(scheme):
		return scheme + " " + hashed(rest)
	case secret(name), r.Token != "" && strings.Contains(value, r.Token), strings.Contains(value, token):
		return hashed(value)
	}
	return WithoutSecrets(value)
}

// isScheme says whether a word is a scheme of HTTP authentication behind which a secret stands.
func isScheme(word string) bool {
	return slices.Contains([]string{"bearer", "basic", "digest", "dpop", "negotiate", "ntlm", "token", "apikey"}, strings.ToLower(word))
}

// secret says whether the name of a field or of a parameter suggests a credential.
func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{
		"cookie", "token", "secret", "passw", "credential", "session", "assertion", "api-key", "apikey", "api_key",
		"auth-key", "access-key", "access_key", "private-key", "private_key", "jwt", "signature",
		"authorization", "authentication", "dpop", "otp", "samlresponse",
	},
		func(part string) bool { return strings.Contains(name, part) })
}

// secretInQuery is for names that are said so short in a query only.
func secretInQuery(name string) bool {
	name = decoded(name)
	return secret(name) || slices.Contains([]string{
		"code", "key", "auth", "sig", "sid", "ticket", "pass", "pwd", "pw", "pin", "bearer",
	}, strings.ToLower(strings.Trim(name, " ")))
}

// token is how a JWT begins.
const token = "eyJ"

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:6]) + "…"
}

// withoutState cuts the query of a redirect to an issuer, or of a callback, off: its state belongs
// to one browser, and its code is a credential.
func withoutState(location string) string {
	path, query, found := strings.Cut(location, "?")
	if found && strings.Contains("&"+query, "&state=") {
		return path + "?…"
	}
	return location
}

// withoutQuery is for where a client is sent: the address of the page may be in the query, with
// what that has of credentials, in the form that the login page reads.
func withoutQuery(location string) string {
	if end := strings.IndexAny(location, "?#"); end >= 0 {
		return withoutUser(location[:end]) + location[end:end+1] + "…"
	}
	return withoutUser(location)
}

// WithoutSecrets takes the user out of a URL, and hashes the values of its parameters that are
// credentials by their names. A parameter may have a URL itself, and may be encoded several times.
func WithoutSecrets(location string) string {
	location = withoutUser(withoutState(location))
	var shown strings.Builder
	for location != "" {
		end := strings.IndexAny(location, "?&;#,")
		if end < 0 {
			end = len(location)
		}
		shown.WriteString(parameter(location[:end]))
		if end < len(location) {
			end++
			shown.WriteByte(location[end-1])
		}
		location = location[end:]
	}
	return shown.String()
}

// parameter hashes the value of one parameter, if need be.
func parameter(pair string) string {
	name, value, found := strings.Cut(pair, "=")
	switch {
	case found && value != "" && (secretInQuery(name) || strings.Contains(value, token)):
		return name + "=" + hashed(value)
	case !strings.Contains(pair, "%"):
		return pair
	}
	whole := decoded(pair)
	if !strings.Contains(whole, "%") && WithoutSecrets(whole) == whole {
		return pair
	}
	if !found {
		name, value, _ = strings.Cut(pair, "%")
		return name + hashed(value)
	}
	return name + "=" + hashed(value)
}

// decoded undoes the encoding of a URL, as often as it was done.
func decoded(text string) string {
	const most = 8 // what is left then is treated as a credential, since it has a "%" still
	for range most {
		once, err := url.PathUnescape(text)
		if err != nil || once == text {
			break
		}
		text = once
	}
	return text
}

// withoutUser cuts the user and the password of each URL in a text off.
func withoutUser(text string) string {
	before, rest, found := strings.Cut(text, "//")
	if !found {
		return text
	}
	end := strings.IndexAny(rest, `/?#\`)
	if _, err := url.Parse(text); err != nil || end < 0 { // a password may have such a sign, and is not a URL's then
		end = len(rest)
	}
	if at := strings.LastIndex(rest[:end], "@"); at >= 0 {
		rest = "…" + rest[at:]
		end = len("…") + end - at
		end = min(end, len(rest))
	}
	return before + "//" + rest[:end] + withoutUser(rest[end:])
}
