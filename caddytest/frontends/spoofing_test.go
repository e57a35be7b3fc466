// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"cmp"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// record returns the fields that the front end writes for each client, by their names.
func (b *frontBench) record(t *testing.T, clients ...string) map[string]http.Header {
	t.Helper()
	upstream := testhandler.NewUpstream(t)
	front := b.start(t, b.pki, upstream.Addr)
	recorded := map[string]http.Header{}
	for _, client := range clients {
		conn, err := front.dial(t, b.pki.config(b.pki.made[client]))
		if err != nil {
			t.Fatal(err)
		}
		front.ask(t, conn)
		header := http.Header{}
		for name, lines := range upstream.Take()[0].Header {
			if i := slices.IndexFunc(b.fields, func(field string) bool { return strings.EqualFold(field, name) }); i >= 0 {
				header[b.fields[i]] = lines
			}
		}
		recorded[client] = header
	}
	return recorded
}

// writes compares the product's fields, byte by byte, with the known ones.
func (b *frontBench) writes(t *testing.T) {
	recorded := b.record(t, "", "alice", "irma-rsa")
	inter, _ := pem.Decode(b.pki.Read(t, "inter.pem"))
	for client, got := range recorded {
		want := http.Header{}
		text, der := "", []byte(nil)
		if client != "" {
			der = b.pki.made[client].Certificate[0]
			text = string(frontPEM(b.pki.made[client]))
		}
		switch b.preset {
		case "nginx": // percent-encodes all except letters, digits and -._~; no field without a certificate
			want = http.Header{b.fields[0]: {strings.ReplaceAll(url.QueryEscape(text), "+", "%20")}, b.fields[1]: {"SUCCESS"}}
			if client == "" {
				want = http.Header{b.fields[1]: {"NONE"}}
			}
		case "haproxy": // without a certificate empty fields, and a 0 that does not mean success
			want = http.Header{b.fields[0]: {base64.StdEncoding.EncodeToString(der)}, b.fields[1]: {"0"}, b.fields[2]: {""}}
			if client == "irma-rsa" {
				want[b.fields[2]] = []string{base64.StdEncoding.EncodeToString(inter.Bytes)}
			}
		case "apache": // blanks for line breaks; "(null)" without a certificate
			want = http.Header{b.fields[0]: {strings.TrimSpace(strings.ReplaceAll(text, "\n", " "))}, b.fields[1]: {"SUCCESS"}}
			if client == "" {
				want = http.Header{b.fields[0]: {"(null)"}, b.fields[1]: {"NONE"}}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("for %q it writes\n%q\nwant\n%q", client, got, want)
		}
	}
}

// victim returns the lines of a client that claims to be admin: it knows admin's
// certificate, which is public.
func (b *frontBench) victim(t *testing.T) []string {
	t.Helper()
	recorded := b.record(t, "admin", "igor")
	var lines []string
	for _, field := range b.fields {
		values := recorded["admin"][field]
		if len(values) != 1 || values[0] == "" { // admin's has no intermediate: take another client's
			values = recorded["igor"][field]
		}
		if len(values) != 1 || values[0] == "" {
			t.Fatalf("nothing in %s: %v", field, recorded)
		}
		lines = append(lines, field+": "+values[0])
	}
	return lines
}

// respelled changes the names of fields.
func respelled(lines []string, spell func(string) string) []string {
	lines = slices.Clone(lines)
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		lines[i] = spell(name) + ":" + value
	}
	return lines
}

// spoofedThrough has clients with and without a certificate of their own send admin's
// certificate, in all spellings, and name the fields in Connection: proxies then remove
// the fields that they have written themselves.
func (b *frontBench) spoofedThrough(t *testing.T) {
	claim := b.victim(t)
	hop := func(fields ...string) []string {
		return append(slices.Clone(claim), "Connection: close, "+strings.Join(fields, ", "))
	}
	variants := map[string][]string{
		"as the front end writes it":    claim,
		"in lower case":                 respelled(claim, strings.ToLower),
		"in upper case":                 respelled(claim, strings.ToUpper),
		"twice":                         slices.Concat(claim, claim),
		"with underscores":              respelled(claim, func(name string) string { return strings.ReplaceAll(name, "-", "_") }),
		"with one underscore":           respelled(claim, func(name string) string { return strings.Replace(name, "-", "_", 1) }),
		"the certificate alone":         claim[:1],
		"the verdict alone":             claim[1:2],
		"with every field as a hop":     hop(b.fields...),
		"with the certificate as a hop": hop(b.fields[0]),
		"with the verdict as a hop":     hop(b.fields[1]),
	}
	for _, guests := range []bool{false, true} {
		name, sources, without := "", "", passage{reason: testhandler.NoCredential}
		if guests {
			name, sources, without = " where anonymous is allowed", "anonymous", passage{user: "anonymous"}
		}
		p := b.before(t, b.site(b.preset, rootAlone, sources))
		for variant, lines := range variants {
			own := passage{user: "alice"}
			if b.dropsHops && strings.HasSuffix(variant, "as a hop") {
				own = without // alice has hidden her own certificate
			}
			if b.dropsHops && variant == "with the verdict as a hop" {
				own = passage{reason: notSaid}
			}
			without.name, without.lines = variant+" without a certificate"+name, lines
			own.name, own.lines, own.client = variant+" by alice"+name, lines, "alice"
			p.run(t, []passage{without, own})
		}
	}
}

// spoofedBeside has a front end that is configured to add its field to the client's.
func (b *frontBench) spoofedBeside(t *testing.T) {
	const (
		malformed = "reading the certificate: malformed: "
		twoLines  = malformed + "2 lines where a proxy writes one"
		twoBlocks = malformed + "more than 0 intermediates"
	)
	claim := b.victim(t)
	for _, c := range map[string][]struct{ old, wrong, withoutCert, byAlice string }{
		"haproxy": {
			{"set-header X-SSL-Client-DER", "add-header X-SSL-Client-DER", twoLines, twoLines},
		},
		"apache": {
			{"set X-SSL-Client-Cert", "add X-SSL-Client-Cert", notSaid, twoLines},
			{"set X-SSL-Client-Cert", "append X-SSL-Client-Cert", notSaid, twoBlocks},
			{"set X-SSL-Client-Cert", "merge X-SSL-Client-Cert", notSaid, twoBlocks},
		},
		"nginx": { // it has no such directive, but has variables
			{"Cert $ssl_client_escaped_cert", "Cert $http_ssl_client_cert$ssl_client_escaped_cert", notSaid, twoBlocks},
			{"Cert $ssl_client_escaped_cert", "Cert $http_ssl_client_cert,$ssl_client_escaped_cert", notSaid, twoBlocks},
		},
	}[b.preset] {
		t.Run(c.wrong, func(t *testing.T) {
			p := b.before(t, b.site(b.preset, rootAlone, "anonymous"), c.old, c.wrong)
			for client, reason := range map[string]string{"": c.withoutCert, "alice": c.byAlice} {
				one := passage{name: "by " + cmp.Or(client, "a client without a certificate"), client: client, lines: claim, reason: reason}
				if strings.HasPrefix(reason, malformed) {
					one.status = http.StatusBadRequest
				}
				p.run(t, []passage{one})
			}
		})
	}
}

// spoofedPast sends the front end's own bytes to Caddy: from another peer they are
// dropped, and from the front end's address they are admin's, which shows that the bytes
// are right.
func (b *frontBench) spoofedPast(t *testing.T) {
	claim := b.victim(t)
	dropped := strings.TrimSuffix(testhandler.FromUntrusted, "1") + strconv.Itoa(len(claim))
	g := testhandler.Guard(t, "", b.site(b.preset, rootAlone, ""))
	g.Run(t, []testhandler.Exchange{
		{Name: "from a stranger", From: testhandler.StrangerPeer, Fields: claim, Status: http.StatusUnauthorized, Reason: dropped},
		{
			Name: "from a stranger that claims to be the front end", From: testhandler.StrangerPeer, Status: http.StatusUnauthorized, Reason: dropped,
			Fields: append(slices.Clone(claim), "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1"),
		},
		{Name: "from the front end's address", From: "127.0.0.1", Fields: claim, Want: b.pki.person("admin")},
	})
}
