// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestDecodeReadsWhatProxiesWrite(t *testing.T) {
	sent := sentECDSA(t)
	leaf, mid, root := sent.leaf, sent.intermediate, sent.root
	line := func(lines ...string) []string { return lines }
	one, two, three := [][]byte{leaf}, [][]byte{leaf, mid}, [][]byte{leaf, mid, root}
	trimmed := func(text string) string { return strings.TrimSuffix(text, "%0A") }
	onlyHash := envoyBy + "Hash=" + hashOf(leaf) + ";"
	cert := onlyHash + `Cert="` + asEnvoyPEM(leaf) + `"`
	other := envoyBy + "Hash=" + hashOf(mid) + `;Cert="` + asEnvoyPEM(mid) + `"`

	for _, tt := range []struct {
		name        string
		encoding    certauth.Encoding
		leaf, chain []string
		want        [][]byte
	}{
		{"nginx escapes all but unreserved characters", certauth.URLPEM, line(asNginxEscaped(leaf)), nil, one},
		{"CloudFront ends in an escaped line break", certauth.URLPEM, line(asNginxEscaped(leaf)), nil, one},
		{"Azure Application Gateway without the last line break", certauth.URLPEM, line(trimmed(asNginxEscaped(leaf))), nil, one},
		{"lower-case escapes are the same", certauth.URLPEM, line(strings.NewReplacer("%0A", "%0a", "%2B", "%2b", "%2F", "%2f", "%3D", "%3d").Replace(asNginxEscaped(leaf))), nil, one},
		{"Windows line breaks", certauth.URLPEM, line(strings.ReplaceAll(asNginxEscaped(leaf), "%0A", "%0D%0A")), nil, one},
		{"AWS ALB verify leaves + = / alone", certauth.URLPEM, line(asALB(leaf)), nil, one},
		{"AWS ALB as its documentation's example has it", certauth.URLPEM, line(asALBExample(leaf)), nil, one},
		{"AWS ALB passthrough sends the chain up to the root", certauth.URLPEM, line(asALB(leaf, mid, root)), nil, three},
		{"AWS ALB passthrough with escaped =", certauth.URLPEM, line(asALBExample(leaf, mid)), nil, two},
		{"Kong's TLS metadata with a chain", certauth.URLPEM, line(asNginxEscaped(leaf, mid)), nil, two},
		{"a chain in a field of its own", certauth.URLPEM, line(asNginxEscaped(leaf)), line(asNginxEscaped(mid, root)), three},
		{"escaped as a form, with a plus sign in the marker", certauth.URLPEM, line(asForm(leaf, mid)), nil, two},
		{"escaped as Envoy does", certauth.URLPEM, line(asEnvoyPEM(leaf)), nil, one},
		{"nothing is escaped", certauth.URLPEM, line(asApacheFolded(leaf)), nil, one},
		{"blanks around the value", certauth.URLPEM, line(" \t" + asNginxEscaped(leaf) + "\t "), nil, one},
		{"AWS with blanks where the line breaks were", certauth.URLPEM, line(strings.ReplaceAll(asALB(leaf), "%0A", "%20")), nil, one},

		{"Apache folds line breaks into blanks", certauth.PEM, line(asApacheFolded(leaf)), nil, one},
		{"Apache after the server trimmed the value", certauth.PEM, line(strings.TrimSpace(asApacheFolded(leaf))), nil, one},
		{"old nginx, unfolded by Go", certauth.PEM, line(asNginxUnfolded(leaf)), nil, one},
		{"old nginx, unfolded by keeping the tabs", certauth.PEM, line(strings.ReplaceAll(strings.TrimSpace(asPEM(leaf)), "\n", "\n\t")), nil, one},
		{"F5 with the line breaks lost", certauth.PEM, line(strings.ReplaceAll(asPEM(leaf), "\n", "")), nil, one},
		{"Apache with a line for each depth, fewer than written", certauth.PEM, line(asApacheFolded(leaf)), line(asApacheFolded(mid), asApacheFolded(root), "(null)"), three},
		{"two folded blocks in one value", certauth.PEM, line(asApacheFolded(leaf) + asApacheFolded(mid)), nil, two},

		{"HAProxy", certauth.Base64DER, line(asBase64(leaf)), nil, one},
		{"HAProxy with the chain in one piece", certauth.Base64DER, line(asBase64(leaf)), line(asBase64(slices.Concat(mid, root))), three},
		{"HAProxy with a chain of one", certauth.Base64DER, line(asBase64(leaf)), line(asBase64(mid)), two},
		{"HAProxy with no chain, as after a resumption", certauth.Base64DER, line(asBase64(leaf)), line(""), one},
		{"the OpenShift router puts quotes around it", certauth.Base64DER, line(`"` + asBase64(leaf) + `"`), nil, one},
		{"a chain in quotes", certauth.Base64DER, line(`"` + asBase64(leaf) + `"`), line(`"` + asBase64(slices.Concat(mid, root)) + `"`), three},
		{"Traefik with the leaf alone", certauth.Base64DER, line(asTraefik(leaf)), nil, one},
		{"Traefik with a chain", certauth.Base64DER, line(asTraefik(leaf, mid, root)), nil, three},
		{"Traefik with blanks after the commas", certauth.Base64DER, line(strings.ReplaceAll(asTraefik(leaf, mid), ",", ", ")), nil, two},
		{"Traefik before 2.9.2 escaped it", certauth.Base64DER, line(asOldTraefik(leaf, mid, root)), nil, three},
		{"Azure App Service", certauth.Base64DER, line(asBase64(leaf)), nil, one},
		{"Cloudflare", certauth.Base64DER, line(asBase64(leaf)), nil, one},
		{"Caddy in front", certauth.Base64DER, line(asBase64(leaf)), nil, one},

		{"Google Cloud's item", certauth.RFC9440, line(asItem(leaf)), nil, one},
		{"Google Cloud's item and list", certauth.RFC9440, line(asItem(leaf)), line(asList(mid, root)), three},
		{"a list over two lines", certauth.RFC9440, line(asItem(leaf)), line(asItem(mid), asItem(root)), three},
		{"a list without blanks", certauth.RFC9440, line(asItem(leaf)), line(asItem(mid) + "," + asItem(root)), three},
		{"Cloudflare's chain was too large, so it is empty", certauth.RFC9440, line(asItem(leaf)), line(""), one},
		{"no padding, which a parser tolerates", certauth.RFC9440, line(strings.ReplaceAll(asItem(leaf), "=", "")), nil, one},

		{"Envoy with everything", certauth.XFCC, line(asEnvoy(leaf, mid)), nil, two},
		{"Envoy with Cert alone", certauth.XFCC, line(cert), nil, one},
		{"Envoy with Chain alone", certauth.XFCC, line(onlyHash + `Chain="` + asEnvoyPEM(leaf, mid) + `"`), nil, two},
		{"Envoy with escaped quotes before the certificate", certauth.XFCC, line(`Subject="CN=\"a\\\",Cert=\"x";Cert="` + asEnvoyPEM(leaf) + `"`), nil, one},
		{"Envoy without Hash", certauth.XFCC, line(`Cert="` + asEnvoyPEM(leaf) + `";Subject=""`), nil, one},
		{"the certificate without quotes", certauth.XFCC, line("Cert=" + asEnvoyPEM(leaf)), nil, one},
		{"keys have no case", certauth.XFCC, line(strings.NewReplacer("Hash=", "hASH=", "Cert=", "CERT=", "Chain=", "chain=").Replace(asEnvoy(leaf, mid))), nil, two},
		{"hash in upper case", certauth.XFCC, line("Hash=" + strings.ToUpper(hashOf(leaf)) + `;Cert="` + asEnvoyPEM(leaf) + `"`), nil, one},
		{"a key that Envoy may have next year", certauth.XFCC, line(cert + `;Issuer="CN=ca";Issuer="CN=ca"`), nil, one},
		{"the last of two elements counts", certauth.XFCC, line(other + "," + asEnvoy(leaf, mid)), nil, two},
		{"a blank after the comma", certauth.XFCC, line(other + ", " + cert), nil, one},
		{"the last of two lines counts", certauth.XFCC, line(other, cert), nil, one},
		{"an earlier element may have no certificate", certauth.XFCC, line(onlyHash+`Subject="CN=x"`, cert), nil, one},
		{"an earlier element's faults are its own", certauth.XFCC, line("Hash=0;Cert=x;Chain=y," + cert), nil, one},
		{"an empty URI, as of a certificate without one", certauth.XFCC, line(other + "," + cert + ";URI="), nil, one},
		{"an issuer behind the names", certauth.XFCC, line(cert + `;URI=urn:a;DNS=a.example;Issuer="CN=ca"`), nil, one},
		{"two URIs of Envoy's own certificate", certauth.XFCC, line("By=spiffe://a;By=spiffe://b;" + cert[len(envoyBy):]), nil, one},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := certauth.Decode(tt.encoding, tt.leaf, tt.chain, 2)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, bytes.Equal) {
				t.Errorf("got %d certificates, not the %d that were sent", len(got), len(tt.want))
			}
		})
	}
}

func TestDecodeTellsNoCertificateFromABadOne(t *testing.T) {
	leaf := sentECDSA(t).leaf
	all := []certauth.Encoding{certauth.URLPEM, certauth.PEM, certauth.Base64DER, certauth.RFC9440, certauth.XFCC}
	for _, tt := range []struct {
		name        string
		encodings   []certauth.Encoding
		leaf, chain []string
		want        error
	}{
		{"no line", all, nil, nil, identity.ErrAbsent},
		{"an empty line", all, []string{""}, nil, identity.ErrAbsent},
		{"blanks", all, []string{" \t "}, nil, identity.ErrAbsent},
		{"Apache's null", all, []string{"(null)"}, nil, identity.ErrAbsent},
		{"HAProxy's dash", all, []string{"-"}, nil, identity.ErrAbsent},
		{"none in either field", all, []string{"(null)"}, []string{"(null)", "", "-"}, identity.ErrAbsent},
		{"a chain without a leaf", all, nil, []string{"x"}, identity.ErrMalformed},
		{"a chain with an empty leaf", all, []string{""}, []string{"x"}, identity.ErrMalformed},
		{"a chain with a leaf that is null", all, []string{"(null)"}, []string{"", "x"}, identity.ErrMalformed},
		{"two lines", all, []string{"x", "x"}, nil, identity.ErrMalformed},
		{"two empty lines", all, []string{"", ""}, nil, identity.ErrMalformed},
		{"an empty line after another", all, []string{"x", ""}, nil, identity.ErrMalformed},
		{"another spelling of null", all, []string{"null"}, nil, identity.ErrMalformed},
		{"two dashes", all, []string{"--"}, nil, identity.ErrMalformed},
		{"nothing in the router's quotes", all[2:3], []string{`""`}, nil, identity.ErrAbsent},
		{"a dash in the router's quotes", all[2:3], []string{`"-"`}, nil, identity.ErrAbsent},
		{"quotes mean nothing elsewhere", []certauth.Encoding{certauth.URLPEM, certauth.PEM, certauth.RFC9440, certauth.XFCC}, []string{`""`}, nil, identity.ErrMalformed},
		{"one quote", all[2:3], []string{`"`}, nil, identity.ErrMalformed},
		{"an empty byte sequence", all[3:4], []string{"::"}, nil, identity.ErrAbsent},
		{"an empty byte sequence with a chain", all[3:4], []string{"::"}, []string{asItem(leaf)}, identity.ErrMalformed},
		{"an empty byte sequence in a list", all[3:4], []string{asItem(leaf)}, []string{"::, " + asItem(leaf)}, identity.ErrMalformed},
		{"one colon", all[3:4], []string{":"}, nil, identity.ErrMalformed},
		{"a byte sequence of padding", all[3:4], []string{":=:"}, nil, identity.ErrMalformed},
		{"colons mean nothing elsewhere", []certauth.Encoding{certauth.URLPEM, certauth.PEM, certauth.Base64DER, certauth.XFCC}, []string{"::"}, nil, identity.ErrMalformed},
		{"Envoy with the names and without the certificate, as Istio has it", all[4:], []string{"Hash=" + hashOf(leaf) + ";" + envoyNames}, nil, identity.ErrRejected},
		{"Envoy with the hash alone", all[4:], []string{"Hash=" + hashOf(leaf)}, nil, identity.ErrRejected},
		{"the last proxy writes no certificate, and the one before names one", all[4:], []string{`Cert="` + asEnvoyPEM(leaf) + `",By=x`}, nil, identity.ErrRejected},
		{"the last proxy writes no certificate, in a line of its own", all[4:], []string{`Cert="` + asEnvoyPEM(leaf) + `"`, "By=x"}, nil, identity.ErrRejected},
		{"an empty line after an element", all[4:], []string{`Cert="` + asEnvoyPEM(leaf) + `"`, ""}, nil, identity.ErrMalformed},
		{"a dash in the line after an element", all[4:], []string{`Cert="` + asEnvoyPEM(leaf) + `"`, "-"}, nil, identity.ErrMalformed},
		{"an encoding that does not exist", []certauth.Encoding{"", "URL_PEM", "der"}, []string{"x"}, nil, identity.ErrInternal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, encoding := range tt.encodings {
				got, err := certauth.Decode(encoding, tt.leaf, tt.chain, 2)
				if !errors.Is(err, tt.want) || got != nil {
					t.Errorf("%s: got %d certificates and %v, want %v", encoding, len(got), err, tt.want)
				}
				checkDecodeError(t, err, slices.Concat(tt.leaf, tt.chain))
			}
		})
	}
}

func TestOnlyTheEncodingsAreValid(t *testing.T) {
	for _, name := range []string{"url_pem", "pem", "base64_der", "rfc9440", "xfcc"} {
		if !certauth.Encoding(name).Valid() {
			t.Errorf("%s is not valid", name)
		}
	}
	for _, name := range []string{"", "PEM", "pem ", "der", "base64", "url_encoded", "\n"} {
		if certauth.Encoding(name).Valid() {
			t.Errorf("%q is valid", name)
		}
	}
}

func TestIntermediatesAreCountedOverAllFields(t *testing.T) {
	sent := sentECDSA(t)
	leaf, mid := sent.leaf, sent.intermediate
	for _, tt := range []struct {
		name        string
		encoding    certauth.Encoding
		leaf, chain string
		have        int
	}{
		{"blocks", certauth.URLPEM, asALB(leaf, mid, mid, mid), "", 3},
		{"blocks in both", certauth.PEM, asPEM(leaf, mid), asPEM(mid, mid), 3},
		{"a list", certauth.Base64DER, asTraefik(leaf, mid, mid, mid), "", 3},
		{"one piece", certauth.Base64DER, asBase64(leaf), asBase64(slices.Concat(mid, mid, mid)), 3},
		{"both", certauth.Base64DER, asTraefik(leaf, mid), asBase64(slices.Concat(mid, mid)), 3},
		{"items", certauth.RFC9440, asItem(leaf), asList(mid, mid, mid), 3},
		{"Envoy", certauth.XFCC, asEnvoy(leaf, mid, mid, mid), "", 3},
		{"none", certauth.XFCC, asEnvoy(leaf), "", 0},
		{"none, percent-encoded", certauth.URLPEM, url.PathEscape(asPEM(leaf)), "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for limit := -1; limit < 6; limit++ {
				got, err := certauth.Decode(tt.encoding, []string{tt.leaf}, []string{tt.chain}, limit)
				switch {
				case max(0, limit) >= tt.have && (err != nil || len(got) != 1+tt.have):
					t.Errorf("limit %d: %d certificates, %v", limit, len(got), err)
				case max(0, limit) < tt.have && (!errors.Is(err, identity.ErrMalformed) || got != nil):
					t.Errorf("limit %d: %d certificates, %v", limit, len(got), err)
				}
			}
		})
	}
}
