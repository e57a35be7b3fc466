// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// opensslConfig is an authority as in the manual page of openssl-ca.
const opensslConfig = `
[ca]
default_ca = inter
[inter]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = inter.pem
private_key = inter.key
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityInfoAccess = OCSP;URI:http://%s/
[responder]
basicConstraints = CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
`

// openssl is a folder with a root, an authority below it, and clients.
type openssl struct {
	*testpki.Folder

	host string // of the responder
}

// request makes a key and a certificate request.
func (o *openssl) request(tb testing.TB, name string) {
	tb.Helper()
	o.OpenSSL(tb, "req", "-config", "openssl.cnf", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
		"-nodes", "-keyout", name+".key", "-out", name+".csr", "-subj", "/CN="+name)
}

// issue signs a request by the authority and records it in its database.
func (o *openssl) issue(tb testing.TB, name, extensions string) {
	tb.Helper()
	o.request(tb, name)
	o.OpenSSL(tb, "ca", "-config", "openssl.cnf", "-batch", "-notext", "-in", name+".csr", "-out", name+".pem", "-extensions", extensions)
}

func newOpenSSL(tb testing.TB) *openssl {
	tb.Helper()
	o := &openssl{testpki.NewFolder(tb), freeport.For(tb)}
	o.Write(tb, "openssl.cnf", fmt.Sprintf(opensslConfig, o.host))
	for name, content := range map[string]string{"index.txt": "", "serial": "1000\n", "crlnumber": "1000\n"} {
		o.Write(tb, name, content)
	}
	o.request(tb, "root")
	o.OpenSSL(tb, "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-out", "root.pem", "-days", "30",
		"-extfile", "openssl.cnf", "-extensions", "authority")
	o.request(tb, "inter")
	o.OpenSSL(tb, "x509", "-req", "-in", "inter.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-out", "inter.pem",
		"-days", "30", "-extfile", "openssl.cnf", "-extensions", "authority")
	for _, name := range []string{"good", "revoked"} {
		o.issue(tb, name, "client")
	}
	o.issue(tb, "responder", "responder")
	o.OpenSSL(tb, "ca", "-config", "openssl.cnf", "-revoke", "revoked.pem", "-crl_reason", "keyCompromise")
	o.OpenSSL(tb, "ca", "-config", "openssl.cnf", "-gencrl", "-out", "inter.crl")
	// Signed by the authority's key, without a line in its database.
	o.request(tb, "unknown")
	o.OpenSSL(tb, "x509", "-req", "-in", "unknown.csr", "-CA", "inter.pem", "-CAkey", "inter.key", "-set_serial", "0x9999", "-out", "unknown.pem",
		"-days", "30", "-extfile", "openssl.cnf", "-extensions", "client")
	return o
}

// chain is the result of Verify for a client's certificate.
func (o *openssl) chain(tb testing.TB, name string) []*x509.Certificate {
	tb.Helper()
	read := func(name string) *x509.Certificate {
		block, _ := pem.Decode(o.Read(tb, name+".pem"))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			tb.Fatal(err)
		}
		return cert
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(read("root"))
	intermediates.AddCert(read("inter"))
	chains, err := read(name).Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return chains[0]
}

// serve starts a responder, waits until it listens, and returns the function that stops
// it.
func (o *openssl) serve(tb testing.TB, signer string, args ...string) (stop func()) {
	tb.Helper()
	_, port, err := net.SplitHostPort(o.host)
	if err != nil {
		tb.Fatal(err)
	}
	args = append([]string{
		"ocsp", "-index", "index.txt", "-CA", "inter.pem", "-port", port,
		"-rsigner", signer + ".pem", "-rkey", signer + ".key", "-nmin", "60",
	}, args...)
	command := o.Command(tb, args...)
	output, err := command.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	tb.Cleanup(stop)
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(strings.ToLower(lines.Text()), "waiting for ocsp client") {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return stop
		}
	}
	tb.Fatalf("openssl %v: %s", args, said.String())
	return nil
}

func (o *openssl) revocation(tb testing.TB, mode Mode) *Revocation {
	tb.Helper()
	return revStart(tb, &Revocation{Mode: mode, OCSP: true, AllowedHosts: []string{o.host}})
}

func (o *openssl) want(tb testing.TB, r *Revocation, name string, want error) {
	tb.Helper()
	_, err := r.Check(tb.Context(), o.chain(tb, name), time.Now())
	if !errors.Is(err, want) || want == nil && err != nil {
		tb.Errorf("%s, %s: %v, want %v", r.Mode, name, err, want)
	}
}

// TestOpenSSLResponder asks the responder of the OpenSSL command line about the
// certificates of its authority, while it is there, while it is not, and when it is back.
func TestOpenSSLResponder(t *testing.T) {
	o := newOpenSSL(t)
	stop := o.serve(t, "responder")
	strict := o.revocation(t, ModeStrict)
	o.want(t, strict, "good", nil)
	o.want(t, strict, "revoked", identity.ErrRejected)
	o.want(t, strict, "unknown", identity.ErrRejected)
	soft := o.revocation(t, ModeSoftFail)
	o.want(t, soft, "good", nil)
	o.want(t, soft, "revoked", identity.ErrRejected)
	o.want(t, soft, "unknown", nil)

	stop()
	o.want(t, strict, "good", nil) // still counts
	strict, soft = o.revocation(t, ModeStrict), o.revocation(t, ModeSoftFail)
	for _, name := range []string{"good", "revoked", "unknown"} {
		o.want(t, strict, name, identity.ErrUnavailable)
		o.want(t, soft, name, nil)
	}

	o.serve(t, "responder")
	o.want(t, strict, "good", nil)
	o.want(t, strict, "revoked", identity.ErrRejected)
	o.want(t, strict, "unknown", identity.ErrRejected)
	o.want(t, o.revocation(t, ModeSoftFail), "revoked", identity.ErrRejected)
}

// TestOpenSSLSigners has the responder sign with the authority's own key, with and
// without its certificate in the answer, by its key's hash, and with a client's key.
func TestOpenSSLSigners(t *testing.T) {
	o := newOpenSSL(t)
	for name, test := range map[string]struct {
		signer string
		args   []string
		good   bool
	}{
		"the authority":                         {"inter", nil, true},
		"the authority, no certificate":         {"inter", []string{"-resp_no_certs"}, true},
		"the authority, by key":                 {"inter", []string{"-resp_key_id"}, true},
		"a responder":                           {"responder", []string{"-resp_key_id"}, true},
		"a responder, no certificate":           {"responder", []string{"-resp_no_certs"}, false},
		"a client":                              {"good", nil, false},
		"the authority above, another issuer's": {"root", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			stop := o.serve(t, test.signer, test.args...)
			defer stop()
			r := o.revocation(t, ModeStrict)
			if test.good {
				o.want(t, r, "good", nil)
				o.want(t, r, "revoked", identity.ErrRejected)
				return
			}
			_, err := r.Check(t.Context(), o.chain(t, "good"), time.Now())
			if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, fetch.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOpenSSLList has a list made by the command line, in both encodings.
func TestOpenSSLList(t *testing.T) {
	o := newOpenSSL(t)
	o.OpenSSL(t, "crl", "-in", "inter.crl", "-outform", "DER", "-out", "inter.der")
	o.OpenSSL(t, "crl", "-in", "inter.crl", "-text", "-out", "inter.txt")
	for _, name := range []string{"inter.crl", "inter.der", "inter.txt"} {
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{o.Path(name)}})
		o.want(t, r, "good", nil)
		o.want(t, r, "unknown", nil) // no list can know of it
		o.want(t, r, "revoked", identity.ErrRejected)
	}
}
