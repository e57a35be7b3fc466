// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// picked is the server that gets a request.
type picked struct {
	name   string
	server *caddyhttp.Server
	others []string // that listen on the same port, at other addresses
}

// pickServer finds the server that listens on the port of the URL. Of several it is the one that
// listens at its host.
func pickServer(app *caddyhttp.App, r *http.Request) (*picked, error) {
	port := cmp.Or(r.URL.Port(), map[string]string{"http": "80", "https": "443"}[r.URL.Scheme])
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	var best *picked
	var nearest int
	var listening, sockets, all []string
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil || address.IsUnixNetwork() || uint(number) < address.StartPort || address.EndPort < uint(number) {
				listening = append(listening, listen)
				continue
			}
			if near := nearness(address.Host, r.URL.Hostname()); best == nil || near > nearest {
				best, nearest = &picked{name: name, server: server}, near
			}
			all = append(all, name)
		}
		if guest.ListensOnUnixOnly(server.Listen) {
			sockets = append(sockets, name)
		}
	}
	switch {
	case best != nil:
		if all = slices.Compact(all); nearest < atHost {
			best.others = slices.DeleteFunc(all, func(name string) bool { return name == best.name })
		}
		return best, checkScheme(app, best.name, r, int(number))
	case len(sockets) == 1: // it has no port
		return &picked{name: sockets[0], server: app.Servers[sockets[0]]}, nil
	}
	return nil, fmt.Errorf("no server listens on port %s: the servers listen on %s", port, strings.Join(listening, ", "))
}

const atHost = 2 // the listener has the host of the URL

// nearness says how well a listener fits a host: it has another address, each, or this one.
func nearness(listener, host string) int {
	at, err := netip.ParseAddr(listener)
	asked, notAddress := netip.ParseAddr(host)
	switch {
	case strings.EqualFold(listener, host) || err == nil && notAddress == nil && at.Unmap() == asked.Unmap(),
		strings.EqualFold(host, "localhost") && at.IsLoopback(), strings.EqualFold(listener, "localhost") && asked.IsLoopback():
		return atHost
	case listener == "" || err == nil && at.IsUnspecified():
		return 1
	}
	return 0
}

// reads refuses a description that the server would not read.
func (p *picked) reads(r *http.Request) error {
	size := len(r.Method) + len(r.RequestURI) + len(" HTTP/1.1  ") + len("Host: ") + len(r.Host) + len("    ")
	for name, lines := range r.Header {
		for _, line := range lines {
			size += len(name) + len(": ") + len(line) + len("  ")
		}
	}
	const slop = 4096 // net/http reads as much more
	if most := cmp.Or(p.server.MaxHeaderBytes, http.DefaultMaxHeaderBytes) + slop; size > most {
		return fmt.Errorf("the header has %d bytes: server %s reads %d, and answers 431 (max_header_size)", size, p.name, most)
	}
	return nil
}

// notes are what an operator should know about the server.
func (p *picked) notes(r *http.Request) []string {
	var notes []string
	if len(p.others) > 0 {
		notes = append(notes, fmt.Sprintf("server %s listens on this port, too: this is about server %s; for another write the address at which it listens as the host of the URL, and the site by -H 'Host: …'",
			strings.Join(p.others, ", "), p.name))
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if strict := p.server.StrictSNIHost; strict != nil && *strict && r.TLS != nil && !strings.EqualFold(r.TLS.ServerName, host) {
		notes = append(notes, fmt.Sprintf("server %s answers 421, and this request goes no further: it is for %s, and TLS was for %s (strict_sni_host)", p.name, host, r.TLS.ServerName))
	}
	return notes
}

// checkScheme refuses a URL whose scheme the server does not speak on that port, which is when
// Caddy wraps the listener in TLS.
func checkScheme(app *caddyhttp.App, name string, r *http.Request, port int) error {
	httpPort := app.HTTPPort
	if httpPort == 0 {
		httpPort = caddyhttp.DefaultHTTPPort
	}
	speaksTLS := len(app.Servers[name].TLSConnPolicies) > 0 && port != httpPort
	switch {
	case speaksTLS == (r.TLS != nil):
		return nil
	case speaksTLS:
		return fmt.Errorf("server %s speaks TLS on port %d: write https://%s%s", name, port, r.URL.Host, WithoutSecrets(r.RequestURI))
	}
	if len(r.TLS.PeerCertificates) > 0 {
		return fmt.Errorf("server %s speaks plain HTTP on port %d, where it sees no certificate: take --cert away, and write http://%s%s",
			name, port, r.URL.Host, WithoutSecrets(r.RequestURI))
	}
	return fmt.Errorf("server %s speaks plain HTTP on port %d: write http://%s%s; "+
		"where a proxy before Caddy ends TLS, add -H 'X-Forwarded-Proto: https' if that proxy does", name, port, r.URL.Host, WithoutSecrets(r.RequestURI))
}
