// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// chainPKI makes certificates: those of a CA, and made-up ones.
type chainPKI struct {
	root *testpki.Pair
	key  crypto.Signer // of clients, and of made-up CAs in the name of the root
	slow crypto.Signer // whose signatures take long to verify
}

func newChainPKI() (*chainPKI, error) {
	keys := make([]crypto.Signer, 3)
	for n, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P256(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			return nil, err
		}
		keys[n] = key
	}
	root, err := testpki.Make(nil, keys[0], asCA("root", ""))
	return &chainPKI{root: root, key: keys[1], slow: keys[2]}, err
}

// asCA makes a certificate a CA's. Other names in each keep x509 from seeing a loop.
func asCA(subject, other string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.BasicConstraintsValid = pkix.Name{CommonName: subject}, true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, nil
		if other != "" {
			c.DNSNames = []string{other}
		}
	}
}

// good is a certificate of a client, of a proxy, and of the server.
func (p *chainPKI) good() (*testpki.Pair, error) {
	return testpki.Make(p.root, p.key, func(c *x509.Certificate) {
		c.DNSNames = []string{"localhost"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	})
}

// named has certificates that the root seems to have issued, in its own name, so that each
// may be the issuer of each.
func (p *chainPKI) named(n int) (shown, error) { return p.chain(p.key, n, 0) }

// long has certificates that are as long as they may be.
func (p *chainPKI) long() (shown, error) { return p.chain(p.key, 5, 12_000) }

// looped has as many as are allowed.
func (p *chainPKI) looped() (shown, error) { return p.chain(p.slow, 5, 0) }

func (p *chainPKI) chain(key crypto.Signer, n, padding int) (shown, error) {
	name := "root"
	if key == p.slow {
		name = "made up"
	}
	by, err := testpki.Make(nil, key, asCA(name, ""))
	if err != nil {
		return nil, err
	}
	leaf, err := testpki.Make(by, p.key, nil)
	sent := shown{leaf}
	for i := 0; err == nil && i < n; i++ {
		var ca *testpki.Pair
		ca, err = testpki.Make(by, key, asCA(name, fmt.Sprint(i)+strings.Repeat(".", padding)))
		sent = append(sent, ca)
	}
	return sent, err
}

// chainSite has %[1]s for the CA, %[2]s for its own certificate, %[3]s for its key, %[4]s for
// the proxy's token and %[5]s for the upstream.
const chainSite = `tls %[2]s %[3]s {
		client_auth {
			mode request
		}
	}
	kube_identity /tls {
		client_cert tls {
			trust_pool file %[1]s
		}
		inject impersonation {
			token_file %[4]s
		}
	}
	kube_identity /proxy {
		trusted_proxy_cert {
			trust_pool file %[1]s
		}
		forwarded {
			user X-Forwarded-User
		}
		inject impersonation {
			token_file %[4]s
		}
	}
	kube_identity /header {
		trusted_proxies static 127.0.0.0/8
		client_cert {
			header X-Client-Cert
			encoding base64_der
			chain_header X-Chain
			trust_pool file %[1]s
		}
		inject impersonation {
			token_file %[4]s
		}
	}
	reverse_proxy %[5]s`

// start runs a caddy with a site for each word.
func (c *chains) start(ctx context.Context, dir, binary, upstream string) (*server, error) {
	own, err := c.pki.good()
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(own.Key)
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"chains-ca.pem": testpki.PEM(c.pki.root), "chains.pem": testpki.PEM(own),
		"chains-key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), "chains-token": "token",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return startCaddy(ctx, dir, binary, config{
		name: "chains", log: "output discard", scheme: "https",
		site: strings.TrimSpace(fmt.Sprintf(chainSite, at("chains-ca.pem"), at("chains.pem"), at("chains-key.pem"), at("chains-token"), upstream)),
	})
}
