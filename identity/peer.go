// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Peer is the other end of the connection: the proxy in front of this one, or the client
// itself.
type Peer struct {
	// Addr is the direct peer's address, without a zone; IPv4 that came mapped into IPv6 is
	// IPv4. It is invalid for a unix socket.
	Addr netip.Addr

	// Unix says that the connection came by a unix socket. The configuration of the
	// listener proves it; the address "@" does not, since a PROXY header can contain it.
	Unix bool

	// Trusted says that this peer is a proxy that may speak for clients. It is false if the
	// request has nothing that only such a proxy may say: then the certificate of the peer
	// is not judged.
	Trusted bool

	// Undecided says that it is not known whether this peer is such a proxy, since the addresses of
	// the proxies are not known. Trusted is false then.
	Undecided bool
}

// String returns the peer as the log shows it.
func (p Peer) String() string {
	switch {
	case p.Unix:
		return "unix"
	case p.Addr.IsValid():
		return p.Addr.String()
	default:
		return "unknown"
	}
}

// ParseAddr reads http.Request.RemoteAddr, the address of the direct peer. For anything
// but an address and a port it returns the zero Addr, which is in no range.
func ParseAddr(remote string) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// InRanges says whether one of the ranges contains addr. A range that covers a whole
// address family counts only if all is set: a module that provides ranges may change them
// while the server runs, and must not make every peer a trusted proxy by 0.0.0.0/0.
func InRanges(addr netip.Addr, ranges []netip.Prefix, all bool) bool {
	for _, r := range ranges {
		if (r.Bits() > 0 || all) && r.Contains(addr) {
			return true
		}
	}
	return false
}

// CheckRanges refuses ranges that together cover a whole address family, unless all is
// set, and ranges of IPv4 mapped into IPv6, which match nothing.
func CheckRanges(ranges []netip.Prefix, all bool) error {
	for _, r := range ranges {
		if r.Addr().Is4In6() {
			return fmt.Errorf("range %s is IPv4 mapped into IPv6 and matches nothing: write it as IPv4", r)
		}
	}
	if all {
		return nil
	}
	for _, family := range []string{"0.0.0.0/0", "::/0"} {
		if covers(netip.MustParsePrefix(family), ranges) {
			return fmt.Errorf("the ranges cover all of %s, so every client could claim any identity "+
				"(insecure_trust_all_peers allows it)", family)
		}
	}
	return nil
}

// covers says whether ranges together contain all of whole: one range does, or they
// cover both of its halves.
func covers(whole netip.Prefix, ranges []netip.Prefix) bool {
	var inside []netip.Prefix
	for _, r := range ranges {
		switch {
		case r.Addr().BitLen() != whole.Addr().BitLen() || !r.Overlaps(whole):
		case r.Bits() <= whole.Bits():
			return true
		default:
			inside = append(inside, r)
		}
	}
	if len(inside) == 0 {
		return false
	}
	low := netip.PrefixFrom(whole.Addr(), whole.Bits()+1)
	return covers(low, inside) && covers(otherHalf(low), inside)
}

// otherHalf returns the prefix that differs from p in its last bit only.
func otherHalf(p netip.Prefix) netip.Prefix {
	bytes := p.Addr().AsSlice()
	bit := p.Bits() - 1
	bytes[bit/8] ^= 0x80 >> (bit % 8)
	addr, _ := netip.AddrFromSlice(bytes) // has the length of an address
	return netip.PrefixFrom(addr, p.Bits())
}

// maxProxyChain is how many certificates a proxy may send besides its own.
const maxProxyChain = 5

// ProxyRules say which TLS client certificates make a peer a trusted proxy, as OpenShift's
// RequestHeader identity provider and kube-apiserver's --requestheader-client-ca-file do.
type ProxyRules struct {
	// Roots are the CAs of proxies.
	Roots *x509.CertPool

	// Names are the allowed common names; none allows any name.
	Names []string
}

// CheckSent refuses certificates that are not worth a look; see [ChainRules.CheckSent].
func (p *ProxyRules) CheckSent(sent []*x509.Certificate) error {
	if len(sent) == 0 {
		return errors.New("the peer has no TLS client certificate")
	}
	if err := p.chain().CheckSent(sent); err != nil {
		return fmt.Errorf("verifying the peer's TLS client certificate: %w", err)
	}
	return nil
}

// Verify verifies a peer's own TLS client certificate, the first of those that it sent. It
// must have a chain to one of the roots, usage clientAuth and, if names are given, one of
// them as its common name. Certificates after the first are used as intermediates only. The
// verdict holds until the returned time.
//
// It does not rely on the TLS policy of the listener: client_auth modes request and
// require verify nothing.
func (p *ProxyRules) Verify(sent []*x509.Certificate, now time.Time) (until time.Time, err error) {
	if err := p.CheckSent(sent); err != nil {
		return until, err
	}
	_, until, err = p.chain().Build(sent, now)
	if err != nil {
		return until, fmt.Errorf("verifying the peer's TLS client certificate: %w", err)
	}
	if len(p.Names) == 0 {
		return until, nil
	}
	name, err := commonName(sent[0])
	if err != nil {
		return until, err
	}
	if !slices.Contains(p.Names, name) {
		return until, fmt.Errorf("the peer's TLS client certificate has common name %s, which is not allowed", Quote(name))
	}
	return until, nil
}

func (p *ProxyRules) chain() *ChainRules { return &ChainRules{Roots: p.Roots, MaxSent: maxProxyChain} }

// commonName returns the only common name. With several of them pkix.Name takes the last
// and other libraries the first (CVE-2026-47838), so such a certificate is refused.
func commonName(cert *x509.Certificate) (string, error) {
	var names []string
	for _, attribute := range cert.Subject.Names {
		if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			name, _ := attribute.Value.(string)
			names = append(names, name)
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("the peer's TLS client certificate has %d common names", len(names))
	}
	return names[0], nil
}
