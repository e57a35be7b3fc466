// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxURL is the longest URL that is followed, in bytes.
	maxURL = 2048

	// maxHost is the longest host name there is (RFC 1035, section 2.3.4), in bytes.
	maxHost = 253
)

// ParseURL accepts absolute http and https URLs with a plain host, so that errors of the
// network, which show the host, cannot carry anything else.
func ParseURL(raw string) (*url.URL, error) { return parse(raw, "an http or https url") }

// ParseSecureURL accepts absolute https URLs, and http ones to a loopback address,
// without a fragment: any machine on the way can change an answer over plain http.
func ParseSecureURL(raw string) (*url.URL, error) {
	u, err := parse(raw, "an https url")
	switch {
	case err != nil:
		return nil, err
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s is not an https url, and its host is not a loopback address", identity.Quote(raw))
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%s has a fragment", identity.Quote(raw))
	}
	return u, nil
}

// parse reads a URL. want is for the error about another scheme.
func parse(raw, want string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("url is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errNotURL
	case u.User != nil:
		return nil, errUserName
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s is not %s", identity.Quote(raw), want)
	case !IsHost(u.Hostname()) || !IsPort(u.Port()):
		return nil, fmt.Errorf("%s has no usable host", identity.Quote(raw))
	}
	return u, nil
}

// These do not show the value, which may hold a password.
var (
	errNotURL   = errors.New("it is not a url")
	errUserName = errors.New("url holds a user name")
)

// IsHost says whether host has only characters of host names and addresses.
func IsHost(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil && !strings.Contains(host, "%")
	}
	return host != "" && len(host) <= maxHost && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// IsPort says whether port is a number from 1 to 65535, or empty.
func IsPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// IsLoopback says whether host is localhost or a loopback address. The name may be resolved
// to anything: see [LoopbackOnly].
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
