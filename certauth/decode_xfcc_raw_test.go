// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// envoyHop is an Envoy, with its settings of set_current_client_cert_details, and the peer that
// connected to it with a certificate.
type envoyHop struct {
	cert, chain, subject, uri, dns bool

	sanitize       bool   // SANITIZE_SET, otherwise APPEND_FORWARD
	by             string // the URI of its own certificate; "" if it has none
	handshake      [][]byte
	commonName     string
	uris, dnsNames []string
}

// passOn returns the field that Envoy sends when incoming came in, as
// source/common/http/conn_manager_utility.cc writes it: keys in this order, By, URI and DNS
// without quotes and as they stand in the certificates.
func (h *envoyHop) passOn(incoming string) string {
	var pairs []string
	add := func(on bool, text string) {
		if on {
			pairs = append(pairs, text)
		}
	}
	add(h.by != "", "By="+h.by)
	add(true, "Hash="+hashOf(h.handshake[0]))
	add(h.cert, `Cert="`+asEnvoyPEM(h.handshake[0])+`"`)
	add(h.chain, `Chain="`+asEnvoyPEM(h.handshake...)+`"`)
	add(h.subject, `Subject="`+asRFC2253("CN", h.commonName)+`"`)
	for _, uri := range h.uris {
		add(h.uri, "URI="+uri)
	}
	add(h.uri && len(h.uris) == 0, "URI=")
	for _, name := range h.dnsNames {
		add(h.dns, "DNS="+name)
	}
	element := strings.Join(pairs, ";")
	if h.sanitize || incoming == "" {
		return element
	}
	return incoming + "," + element
}

// said returns the certificates that Envoy passed on about its peer.
func (h *envoyHop) said() [][]byte {
	switch {
	case h.chain:
		return h.handshake
	case h.cert:
		return h.handshake[:1]
	default:
		return nil
	}
}

// asRFC2253 is what BoringSSL prints with XN_FLAG_RFC2253; "" for a subject without a name.
func asRFC2253(kind, value string) string {
	if value == "" {
		return ""
	}
	text := kind + "="
	for i, c := range []byte(value) {
		outer := i == 0 || i == len(value)-1
		switch {
		case strings.IndexByte(`,+"\<>;`, c) >= 0, outer && c == ' ', i == 0 && c == '#':
			text += `\` + string(c)
		case c < ' ' || c > '~':
			text += fmt.Sprintf(`\%02X`, c)
		default:
			text += string(c)
		}
	}
	return text
}

// checkEnvoys lets the hops pass a field on, and checks that the certificates are those that
// the last one wrote, or that the field is refused: none of what is in it may be read as the
// word of that Envoy that is the word of a client.
func checkEnvoys(t *testing.T, incoming string, hops ...*envoyHop) {
	t.Helper()
	value := incoming
	for _, hop := range hops {
		value = hop.passOn(value)
	}
	last := hops[len(hops)-1]
	want := last.said()
	got, err := certauth.Decode(certauth.XFCC, []string{value}, nil, 4)
	plain := last.sanitize && !strings.ContainsAny(last.by+strings.Join(slices.Concat(last.uris, last.dnsNames), ""), `,;"`)
	switch {
	case err == nil && !slices.EqualFunc(got, want, bytes.Equal):
		t.Errorf("Envoy passed %d certificates on, and these are %d others: %s", len(want), len(got), value)
	case err != nil && plain && want != nil:
		t.Errorf("%v: %s", err, value)
	case err != nil && !errors.Is(err, identity.ErrMalformed) && (want != nil || !errors.Is(err, identity.ErrRejected)):
		t.Errorf("%v: %s", err, value)
	}
}

var (
	eveDER, edgeDER, victimDER, issuerDER = smallDER(1, 4), smallDER(2, 4), smallDER(3, 4), smallDER(4, 4)

	// rawPieces are what names in certificates, and fields of clients, are put together from.
	rawPieces = slices.Concat(
		strings.Split("! , ; = \" \\ x URI= DNS= By= Hash= Cert= Chain= Subject= Issuer= SAN= Key= {} [] a,b %22 %2C", " "),
		[]string{
			" ", "ü", `\"`, `"",`, "spiffe://a/b", "a.example", "Hash=" + hashOf(victimDER),
			`Cert="` + asEnvoyPEM(victimDER) + `"`, "Cert=" + asEnvoyPEM(victimDER), `Chain="` + asEnvoyPEM(victimDER) + `"`,
			`,Cert="` + asEnvoyPEM(victimDER) + `"`, `;Cert="` + asEnvoyPEM(victimDER) + `"`,
			`,Hash=` + hashOf(victimDER) + `;Cert="` + asEnvoyPEM(victimDER) + `"`,
			`;Chain="` + asEnvoyPEM(eveDER, victimDER) + `"`, `;Key="`, `;URI="`, `;URI=`, `,URI=`, asEnvoy(victimDER),
		},
	)
)

// rawRandom makes names and settings.
type rawRandom struct{ *rand.Rand }

func (r rawRandom) yes() bool { return r.IntN(2) == 0 }

func (r rawRandom) text() string {
	text := ""
	for range r.IntN(5) {
		text += rawPieces[r.IntN(len(rawPieces))]
	}
	return text
}

func (r rawRandom) names() []string {
	var names []string
	for range r.IntN(3) {
		names = append(names, r.text())
	}
	return names
}

func (r rawRandom) hop(peer []byte) *envoyHop {
	return &envoyHop{
		cert: r.yes(), chain: r.yes(), subject: r.yes(), uri: r.yes(), dns: r.yes(), sanitize: r.yes(),
		by: r.text(), handshake: [][]byte{peer, issuerDER}, commonName: r.text(), uris: r.names(), dnsNames: r.names(),
	}
}

// Envoy copies the names of certificates without quotes, in front of what may follow, and appends
// to what came in. Whatever the names and the field of a client are, whatever Envoy's settings,
// one behind the other: the certificate is the one that the last Envoy saw, or there is none.
func TestNoRawNameForgesACertificate(t *testing.T) {
	r := rawRandom{rand.New(rand.NewPCG(1, 2))}
	for range 30_000 {
		hops := []*envoyHop{r.hop(eveDER)}
		for range r.IntN(3) {
			hops = append(hops, r.hop(edgeDER))
		}
		checkEnvoys(t, r.text(), hops...)
		if t.Failed() {
			return
		}
	}
}

// FuzzDecodeXFCCRaw is the same for any bytes. Names are separated by lineEnd; the bits of
// settings are those of envoyHop.
func FuzzDecodeXFCCRaw(f *testing.F) {
	claim := `,Cert="` + asEnvoyPEM(victimDER) + `"`
	f.Add("", "spiffe://mesh/edge", "eve", claim, "", uint8(0b11111))
	f.Add("", "", "eve", "", "a.example"+lineEnd+claim, uint8(0b11111))
	f.Add("", "", "", `;Chain="`+asEnvoyPEM(eveDER, victimDER)+`"`, "", uint8(0b01001))
	f.Add(claim[1:]+`;Key="`, "", "", `"`, "", uint8(0b01000))
	f.Add(asEnvoy(victimDER), "", "eve", "", "", uint8(0b00111))
	f.Fuzz(func(t *testing.T, incoming, by, commonName, uris, dns string, settings uint8) {
		bit := func(n int) bool { return settings>>n&1 == 1 }
		hop := &envoyHop{
			cert: bit(0), chain: bit(1), subject: bit(2), uri: bit(3), dns: bit(4), sanitize: bit(5),
			by: by, handshake: [][]byte{eveDER, issuerDER}, commonName: commonName, uris: fuzzLines(uris), dnsNames: fuzzLines(dns),
		}
		if len(hop.passOn(incoming)) > 60<<10 {
			return
		}
		checkEnvoys(t, incoming, hop)
	})
}
