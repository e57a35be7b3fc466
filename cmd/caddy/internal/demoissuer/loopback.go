// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// check refuses settings by which another machine could log in.
func (h *Handler) check() error {
	if err := checkIssuer(h.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if err := checkClientID(h.ClientID); err != nil {
		return fmt.Errorf("client_id: %w", err)
	}
	if len(h.RedirectURLs) == 0 {
		return errors.New("redirect_url: it is missing")
	}
	for _, given := range h.RedirectURLs {
		if err := checkReturn(given); err != nil {
			return fmt.Errorf("redirect_url: %w", err)
		}
	}
	for _, given := range h.PostLogoutURLs {
		if err := checkReturn(given); err != nil {
			return fmt.Errorf("post_logout_url: %w", err)
		}
	}
	return nil
}

// checkIssuer wants a bare origin: the paths below it are fixed.
func checkIssuer(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a url", raw)
	case u.Scheme != "http" || u.Host == "" || raw != "http://"+u.Host || raw != strings.ToLower(raw):
		return fmt.Errorf("%q is not http:// with only a host and a port, in lower case", raw)
	case !fetch.IsLoopback(u.Hostname()):
		return fmt.Errorf("the host of %q is not a loopback address: this issuer is for demonstrations on one machine, since its login page shows the passwords", raw)
	case !fetch.IsPort(u.Port()):
		return fmt.Errorf("%q has a port that is not a number from 1 to 65535", raw)
	}
	return nil
}

// maxText is how long a client's name, a URL or a parameter may be, in bytes.
const maxText = 1024

func checkClientID(id string) error {
	// The characters of RFC 6749, appendix A.1, without the space.
	if id == "" || len(id) > maxText || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return fmt.Errorf("%q is empty, too long, or has characters other than visible ASCII ones", id)
	}
	return nil
}

// checkReturn is for URLs to which browsers return, with a code for a user of whom all know the
// password: only a program of this machine may get it. Browsers resolve all names below localhost
// to this machine.
func checkReturn(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > maxText:
		return fmt.Errorf("%q is not a url, or is too long", raw)
	case u.Scheme != "http" && u.Scheme != "https" || !strings.HasPrefix(u.Path, "/") || u.User != nil || strings.Contains(raw, "#"):
		return fmt.Errorf("%q is not an http or https url with a path, without a user and a fragment", raw)
	case !fetch.IsLoopback(u.Hostname()) && !strings.HasSuffix(u.Hostname(), ".localhost"):
		return fmt.Errorf("the host of %q is not a loopback address, nor a name below localhost", raw)
	}
	return nil
}

// stranger says why a request does not come from a client of this machine that has asked for the
// issuer itself. The site may listen on all addresses, so both ends of the connection are looked
// at. A name of an attacker's that resolves to 127.0.0.1 (DNS rebinding) shows in Host. A proxy
// on this machine, which would bring in others, shows in the fields that proxies add.
func (h *Handler) stranger(r *http.Request) (status int, fault string) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	switch {
	case local == nil || !isLoopback(local.String()) || !isLoopback(r.RemoteAddr):
		return http.StatusForbidden, "the demonstration issuer answers on loopback addresses only: its login page shows the passwords"
	case len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0:
		return http.StatusForbidden, "the demonstration issuer does not answer behind a proxy: its login page shows the passwords"
	case !strings.EqualFold(r.Host, h.host):
		return http.StatusMisdirectedRequest, "the demonstration issuer answers at " + h.URL + " only"
	}
	return 0, ""
}

func isLoopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().Unmap().IsLoopback()
}
