// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// TrustedProxyCert trusts a peer by its own TLS client certificate, as OpenShift's
// RequestHeader identity provider does (ca and clientCommonNames) and kube-apiserver
// (--requestheader-client-ca-file and --requestheader-allowed-names). The listener
// must ask for a certificate (tls client_auth, any mode); the chain is verified here
// in any case, for clientAuth and against this pool only.
type TrustedProxyCert struct {
	// TrustPoolRaw is the CAs of proxies, by any of Caddy's modules. Give them another CA than
	// clients: a proxy is a client too. An empty pool is refused. Required.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// AllowedNames are the allowed common names; the certificate must have one of them. A
	// certificate with several common names is refused. Default: any name.
	AllowedNames []string `json:"allowed_names,omitempty"`
}

// trust decides which peers may assert a client's identity.
type trust struct {
	ranges    caddyhttp.IPRangeSource
	undecided undecided // the ranges, where they may not be known
	all       bool      // the ranges may cover a whole address family
	unix      bool      // peers by unix socket are trusted
	unixOnly  bool      // the server listens on unix sockets only, so every peer is by unix socket
	ca        caddytls.CA
	certNames []string
	verdicts  *peerVerdicts // on peers' certificates
}

// undecided is implemented by a source of ranges that does not always know them: it returns why
// not. A peer whose address is in none of the ranges may be a proxy then.
type undecided interface{ Unavailable(now time.Time) error }

// unknown says that it cannot be decided whether the peer is a proxy, unless its certificate
// already says that it is not.
func (t *trust) unknown(r *http.Request) error {
	err := t.undecided.Unavailable(time.Now())
	if err == nil {
		return nil
	}
	if t.ca != nil {
		if bad := t.verify(r); bad != nil {
			return bad
		}
	}
	return fmt.Errorf("%w: trusted_proxies: %w", identity.ErrUnavailable, err)
}

// configured says whether the configuration can trust any peer.
func (t *trust) configured() bool {
	return t.ranges != nil || t.unix || t.ca != nil
}

// peer returns the direct peer of a request, and whether it is trusted. X-Forwarded-For,
// and Caddy's own client_ip, which a configuration can derive from it, have no influence.
// The error tells why the peer's certificate was not enough. Without judge the certificate
// does not matter for the request, and such a peer is not trusted.
func (t *trust) peer(r *http.Request, judge bool) (identity.Peer, error) {
	peer := identity.Peer{Unix: t.unixOnly}
	if !peer.Unix {
		peer.Addr = identity.ParseAddr(r.RemoteAddr)
	}
	switch {
	case !t.configured():
		return peer, nil
	case peer.Unix && t.unix:
	case t.ranges != nil && identity.InRanges(peer.Addr, t.ranges.GetIPRanges(r), t.all):
	case t.ranges == nil && !t.unix: // the certificate alone decides
	case judge && t.undecided != nil:
		return peer, t.unknown(r)
	default:
		return peer, nil
	}
	if t.ca != nil {
		if !judge {
			return peer, nil
		}
		if err := t.verify(r); err != nil {
			return peer, err
		}
	}
	peer.Trusted = true
	return peer, nil
}

// trustMatters says whether it matters who the peer of a request is: whether anything was
// stripped, which includes every credential, or a field says which site the client wanted.
// The others cost no look at a certificate.
func trustMatters(header http.Header, stripped identity.Stripped) bool {
	if len(stripped) > 0 {
		return true
	}
	for name := range header {
		if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-") {
			return true
		}
	}
	return false
}

// verify judges the peer's certificate for each request: it may have expired since the
// handshake.
func (t *trust) verify(r *http.Request) error {
	var sent []*x509.Certificate
	if r.TLS != nil {
		sent = r.TLS.PeerCertificates
	}
	return t.verdicts.judge(&identity.ProxyRules{Roots: t.ca.CertPool(), Names: t.certNames}, sent, time.Now())
}

// provisionTrust loads the guest modules that decide which peers are trusted.
func (h *Handler) provisionTrust(ctx caddy.Context) error {
	h.trust.all = h.InsecureTrustAllPeers
	h.trust.unix = h.TrustedProxiesUnix
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server != nil {
		h.trust.unixOnly = guest.ListensOnUnixOnly(server.Listen)
	}
	if h.trust.unix && !h.trust.unixOnly {
		h.logger.Warn("trusted_proxies_unix has no effect, since not every listener of this server is a unix socket: " +
			"bind its sites to unix sockets only (bind unix/<path>), or use trusted_proxies")
	}
	if h.TrustedProxiesRaw != nil {
		module, err := ctx.LoadModule(h, "TrustedProxiesRaw")
		if err != nil {
			return fmt.Errorf("loading trusted_proxies: %w", err)
		}
		ranges, ok := module.(caddyhttp.IPRangeSource)
		if !ok {
			return fmt.Errorf("loading trusted_proxies: %T is not a source of ranges", module)
		}
		h.trust.ranges = ranges
		h.trust.undecided, _ = module.(undecided)
	}
	if h.TrustedProxyCert == nil {
		return nil
	}
	ca, err := trustpool.Load(ctx, h.TrustedProxyCert, h.TrustedProxyCert.TrustPoolRaw)
	if err != nil {
		return fmt.Errorf("loading trusted_proxy_cert: %w", err)
	}
	h.trust.ca, h.trust.certNames, h.trust.verdicts = ca, h.TrustedProxyCert.AllowedNames, newPeerVerdicts()
	return nil
}

// currentRanges asks the source of ranges as a request would, so that Validate can check
// them.
func (t *trust) currentRanges() []netip.Prefix {
	if t.ranges == nil {
		return nil
	}
	return t.ranges.GetIPRanges(&http.Request{Header: make(http.Header)})
}
