// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestDecodeRefusesBadXFCC(t *testing.T) {
	sent := sentECDSA(t)
	leaf, mid := sent.leaf, sent.intermediate
	cert := `Cert="` + asEnvoyPEM(leaf) + `"`
	good := "Hash=" + hashOf(leaf) + ";" + cert
	runHostile(t, []hostileCase{
		{"15 KiB of garbage", certauth.XFCC, []string{strings.Repeat("garbage!", 15<<7)}, nil, "element 1: malformed: no pair"},
		{"too long in two lines", certauth.XFCC, []string{strings.Repeat("A", 40<<10), strings.Repeat("A", 40<<10)}, nil, "more than 65536"},
		{"an object of JSON", certauth.XFCC, []string{`{"cert":"x"}`}, nil, "JSON"},
		{"a list of JSON", certauth.XFCC, []string{`[{"cert":"x"}]`}, nil, "JSON"},
		{"JSON after text", certauth.XFCC, []string{good, `{"cert":"x"}`}, nil, "element 2: malformed: the JSON format"},
		{"two certificates as Cert", certauth.XFCC, []string{`Cert="` + asEnvoyPEM(leaf, mid) + `"`}, nil, "2 certificates instead of one"},
		{"Cert twice", certauth.XFCC, []string{good + ";" + cert}, nil, "a key appears twice"},
		{"Cert twice, in another case", certauth.XFCC, []string{good + ";c" + cert[1:]}, nil, "a key appears twice"},
		{"Cert twice, first empty", certauth.XFCC, []string{"Cert=;" + good}, nil, "a key appears twice"},
		{"Chain twice", certauth.XFCC, []string{strings.Repeat(`;Chain="`+asEnvoyPEM(leaf)+`"`, 2)[1:]}, nil, "a key appears twice"},
		{"Hash twice", certauth.XFCC, []string{good + ";Hash=" + hashOf(leaf)}, nil, "a key appears twice"},
		{"Cert that is not the first of Chain", certauth.XFCC, []string{good + `;Chain="` + asEnvoyPEM(mid, leaf) + `"`}, nil, "cert is not the first of chain"},
		{"another's hash", certauth.XFCC, []string{"Hash=" + hashOf(mid) + ";" + cert}, nil, "hash is not"},
		{"half a hash", certauth.XFCC, []string{"Hash=" + hashOf(leaf)[:32] + ";" + cert}, nil, "hash is not"},
		{"an empty hash", certauth.XFCC, []string{"Hash=;" + cert}, nil, "hash is not"},
		{"an empty Cert", certauth.XFCC, []string{`Cert=""`}, nil, "no PEM block"},
		{"an empty Chain", certauth.XFCC, []string{good + `;Chain=`}, nil, "no PEM block"},
		{"a blank Cert", certauth.XFCC, []string{`Cert="%20"`}, nil, "no PEM block"},
		{"a bad Chain beside a good Cert", certauth.XFCC, []string{good + `;Chain="x"`}, nil, "chain: malformed: block 1"},
		{"a bad Cert beside a good Chain", certauth.XFCC, []string{`Cert=x;Chain="` + asEnvoyPEM(leaf) + `"`}, nil, "cert: malformed: block 1"},
		{"a bad escape", certauth.XFCC, []string{`Cert="-----BEGIN%2"`}, nil, "a bad percent escape"},
		{"a backslash in the certificate", certauth.XFCC, []string{strings.Replace(cert, "%0A", `\"%0A`, 1)}, nil, "block 1"},
		{"a private key", certauth.XFCC, []string{`Cert="` + strings.ReplaceAll(asApacheFoldedKey(sent.key), " ", "%20") + `"`}, nil, "a private key in the header"},
		{"a private key at the end of Chain", certauth.XFCC, []string{`Chain="` + asEnvoyPEM(leaf) + strings.ReplaceAll(asApacheFoldedKey(sent.key), " ", "%20") + `"`}, nil, "a private key in the header"},
		{"a quote without its end", certauth.XFCC, []string{good[:len(good)-1]}, nil, "a quote is not closed"},
		{"a quote after a backslash", certauth.XFCC, []string{good[:len(good)-1] + `\"`}, nil, "a quote is not closed"},
		{"a backslash at the end", certauth.XFCC, []string{`Subject="\`}, nil, "a quote is not closed"},
		{"a semicolon in quotes, which RFC 2253 would escape", certauth.XFCC, []string{good + `;Subject="CN=a;b"`}, nil, "a semicolon in quotes"},
		{"a comma behind Envoy's own name", certauth.XFCC, []string{"By=x," + good}, nil, "an element follows a name that Envoy does not quote"},
		{"a certificate behind Envoy's own name", certauth.XFCC, []string{"By=x;" + cert}, nil, "a pair follows a name that Envoy does not quote"},
		{"an empty name and another element", certauth.XFCC, []string{good + ";DNS=," + good}, nil, "an element follows a name that Envoy does not quote"},
		{"a name in quotes and another element", certauth.XFCC, []string{good + `;URI="urn:a",` + good}, nil, "an element follows a name that Envoy does not quote"},
		{"a name before the certificate, as Envoy had it in 2017", certauth.XFCC, []string{"Hash=" + hashOf(leaf) + ";SAN=urn:a;" + cert}, nil, "a pair follows a name that Envoy does not quote"},
		{"text after the quotes", certauth.XFCC, []string{good + "x"}, nil, "unexpected text"},
		{"a blank after the quotes", certauth.XFCC, []string{cert + " ;By=x"}, nil, "unexpected text"},
		{"a quote within", certauth.XFCC, []string{`By=a"b";` + good}, nil, "unexpected text"},
		{"a key without a value", certauth.XFCC, []string{"By;" + good}, nil, "no pair"},
		{"a value without a key", certauth.XFCC, []string{"=x;" + good}, nil, "no pair"},
		{"a blank before a key", certauth.XFCC, []string{"By=x; " + good}, nil, "no pair"},
		{"a blank after a key", certauth.XFCC, []string{"By =x;" + good}, nil, "no pair"},
		{"a semicolon at the end", certauth.XFCC, []string{good + ";"}, nil, "no pair"},
		{"two semicolons", certauth.XFCC, []string{"By=x;;" + good}, nil, "no pair"},
		{"a comma at the end", certauth.XFCC, []string{good + ","}, nil, "element 2: malformed: no pair"},
		{"two commas", certauth.XFCC, []string{good + ",," + good}, nil, "element 2: malformed: no pair"},
		{"a comma at the start", certauth.XFCC, []string{"," + good}, nil, "element 1: malformed: no pair"},
		{"a key of Unicode", certauth.XFCC, []string{"\u0421ert=x;" + good}, nil, "no pair"},
		{"NUL", certauth.XFCC, []string{good + "\x00"}, nil, "unexpected text"},
		{"a field of its own for the chain", certauth.XFCC, []string{good}, []string{asEnvoyPEM(mid)}, "beside an encoding"},
		{"40 intermediates", certauth.XFCC, []string{`Chain="` + strings.Repeat(asEnvoyPEM(leaf), 40) + `"`}, nil, "more than 4 intermediates"},
	})
}

// The client's text comes first, and the trusted Envoy appends its element about the client. A
// hostile client wants Envoy's element to be read as a part of its own text, or its own text to
// be read as the last element. It knows the victim's certificate, which is public.
func TestAClientCannotForgeTheTrustedEnvoysElement(t *testing.T) {
	sent := sentECDSA(t)
	victim, eve := sent.leaf, sent.intermediate
	claim := "Hash=" + hashOf(victim) + `;Cert="` + asEnvoyPEM(victim) + `"`
	truth := envoyBy + "Hash=" + hashOf(eve) + `;Cert="` + asEnvoyPEM(eve) + `";Subject="CN=eve"`

	for name, value := range map[string]string{
		"by sending a whole element":                       claim + "," + truth,
		"by opening a quote":                               claim + `;Subject=",` + truth,
		"by opening a quote and escaping the comma":        claim + `;Subject="\,` + truth,
		"by opening a quote in a key without quotes":       claim + `;URI=",` + truth,
		"by leaving a backslash":                           claim + `;URI=\,` + truth,
		"by leaving a pair unfinished":                     claim + ";By=," + truth,
		"by leaving a key unfinished":                      claim + ";By," + truth,
		"by a URI that begins with a comma":                truth + ";URI=," + claim,
		"by a URI of a comma and a certificate":            truth + `;URI=,Cert="` + asEnvoyPEM(victim) + `"`,
		"by a DNS name that begins with a comma":           truth + ";URI=urn:eve;DNS=," + claim,
		"by a URI that begins with a semicolon":            truth + ";URI=;" + claim,
		"by a URI that begins with a quoted nothing":       truth + `;URI="",` + claim,
		"by a URI that is in quotes itself":                truth + `;URI="urn:eve",` + claim,
		"by a key that is not known, in quotes":            truth + `;Key="",` + claim,
		"by a quote that a URI closes, where Cert is off":  claim + `;Key=",` + envoyBy + "Hash=" + hashOf(eve) + `;URI="`,
		"by a URI with a comma in the certificate":         truth + ";URI=urn:eve," + claim,
		"by a URI with a comma, and all of Envoy's keys":   truth + ";URI=urn:eve," + envoyBy + claim + `;Subject="CN=alice"`,
		"by a DNS name with a comma":                       truth + ";DNS=eve," + claim,
		"by a second URI with a comma":                     truth + `;URI=urn:a;URI=urn:b,` + claim,
		"by a URI with a semicolon":                        truth + ";URI=urn:eve;" + claim,
		"by a URI with a semicolon, and another Chain":     truth + `;URI=urn:eve;Chain="` + asEnvoyPEM(victim) + `"`,
		"by a URI with a semicolon, where Cert is off":     envoyBy + "Hash=" + hashOf(eve) + ";URI=urn:eve;" + `Cert="` + asEnvoyPEM(victim) + `"`,
		"by a URI with a comma, where Cert is off":         envoyBy + "Hash=" + hashOf(eve) + ";URI=urn:eve," + claim,
		"by a quote in a URI that hides the pairs behind":  truth + `;URI=urn:"eve;DNS=x",` + claim,
		"by a subject that ends in an escaped backslash":   strings.Replace(truth, "CN=eve", `CN=eve\\`, 1) + ";DNS=a," + claim,
		"by a subject with quotes, escaped by Envoy":       strings.Replace(truth, "CN=eve", `CN=\",`+strings.ReplaceAll(claim, `"`, `\"`), 1),
		"by a subject with a comma, escaped by Envoy":      strings.Replace(truth, "CN=eve", `CN=eve\,Cert=x`, 1),
		"by a line after, which a proxy joined as a comma": truth + ";URI=urn:eve, " + claim,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := certauth.Decode(certauth.XFCC, []string{value}, nil, 4)
			switch {
			case err == nil && string(got[0]) == string(victim):
				t.Error("eve gets in as the victim")
			case err != nil && !errors.Is(err, identity.ErrMalformed):
				t.Error(err)
			}
		})
	}
}
