// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool

import (
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

// watched is what pools have in common that follow their files.
type watched struct {
	logger  *zap.Logger
	files   []string
	parse   func([]byte) ([]*x509.Certificate, error)
	current atomic.Pointer[fileCAs]
	pace    filewatch.Pace
	outage  outage.Outage // of the files; for the one caller that looks
}

// fileCAs is what the files held.
type fileCAs struct {
	sum   [32]byte
	pool  *x509.CertPool
	certs []*x509.Certificate
}

// watch reads the files for the first time.
func (p *watched) watch(logger *zap.Logger, files []string, parse func([]byte) ([]*x509.Certificate, error)) error {
	p.logger, p.files, p.parse = logger, files, parse
	cas, err := p.read()
	if err != nil {
		return err
	}
	p.current.Store(cas)
	p.pace.Looked(time.Now())
	p.outage = outage.Outage{OnProblem: p.log, Over: "the certificates can be read again", OnChange: p.changed}
	return nil
}

// CertPool implements caddytls.CA. It is the same pointer as long as the certificates
// are the same.
func (p *watched) CertPool() *x509.CertPool {
	p.pace.Do(time.Now(), p.refresh)
	return p.current.Load().pool
}

// Certificates implements caddytls.CertificateProvider.
func (p *watched) Certificates() []*x509.Certificate { return p.current.Load().certs }

// refresh reads the files again. One request does it; others use the current certificates
// meanwhile.
func (p *watched) refresh() {
	cas, err := p.read()
	if err != nil {
		p.outage.Failed("keeping the last good certificates", err)
		return
	}
	p.outage.End()
	if cas.sum != p.current.Load().sum {
		p.current.Store(cas)
		p.logger.Info("certificates have changed", zap.Strings("files", p.files), zap.Int("count", len(cas.certs)))
	}
}

func (p *watched) log(message string, err error) {
	if err == nil {
		p.logger.Info(message)
		return
	}
	p.logger.Error(message, zap.Error(err))
}

// changed tells the events app about files that cannot be used any more.
func (p *watched) changed(err error) {
	if err != nil {
		guest.Emit(guest.FileRefused, guest.Problem(err, map[string]any{"file": strings.Join(p.files, " ")}))
	}
}

// read reads all the files, or fails as a whole.
func (p *watched) read() (*fileCAs, error) {
	cas := &fileCAs{pool: x509.NewCertPool()}
	for _, file := range p.files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading certificates: %w", err)
		}
		certs, err := p.parse(content)
		if err != nil {
			return nil, fmt.Errorf("reading certificates from %s: %w", file, err)
		}
		for _, cert := range certs {
			cas.pool.AddCert(cert)
		}
		cas.certs = append(cas.certs, certs...)
	}
	cas.sum = Sum(cas.certs)
	return cas, nil
}
