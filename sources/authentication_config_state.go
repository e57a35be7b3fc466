// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc/authenticationconfig"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

// earlyTokens is how long before its nbf a token is valid, as with kube-apiserver (go-oidc
// v2.5.0, verify.go; version 3 has five minutes). After its exp it is not valid, as there.
const earlyTokens = time.Minute

// authenticationStates holds what outlives a configuration, by the path of the file.
var authenticationStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// authenticationState follows one file.
type authenticationState struct {
	file string

	now     atomic.Pointer[authenticationFile]
	failure atomic.Pointer[error] // why the file cannot be used now
	pace    filewatch.Pace
	outage  outage.Outage // of the file; for the one caller that looks
}

// authenticationFile is what the file held.
type authenticationFile struct {
	content       []byte
	authenticator *oidc.Authenticator
	keys          []issuerKeys
}

// issuerKeys are the keys of an issuer, and what they depend on.
type issuerKeys struct {
	issuer, discovery string
	authority         *x509.CertPool
	keys              *oidc.RemoteKeys

	later bool // it was not in the first file
}

// same says whether an issuer in a later file has these keys.
func (k *issuerKeys) same(jwt *authenticationconfig.Authenticator) bool {
	return k.issuer == jwt.IssuerURL && k.discovery == jwt.DiscoveryURL &&
		(k.authority == nil) == (jwt.CertificateAuthority == nil) &&
		(k.authority == nil || k.authority.Equal(jwt.CertificateAuthority))
}

// Destruct implements caddy.Destructor.
func (s *authenticationState) Destruct() error {
	guest.Retire(s, func() {
		now := s.now.Load()
		if now.authenticator != nil {
			now.authenticator.Cache.Close()
		}
		for _, of := range now.keys {
			of.keys.Close()
		}
	})
	return nil
}

// acquireState finds or makes the state for this file. A file that cannot be used now is an
// error, even if an earlier configuration could use it.
func (a *AuthenticationConfig) acquireState() error {
	path, err := filepath.Abs(a.File)
	if err != nil {
		return err
	}
	content, config, err := readAuthenticationConfig(a.File)
	if err != nil {
		return err
	}
	value, _, err := authenticationStates.LoadOrNew(path, func() (caddy.Destructor, error) {
		state := &authenticationState{file: path}
		state.outage = outage.Outage{
			OnProblem: state.log, Over: "the file can be read again", OnChange: fileChanged("authentication_config", path),
		}
		state.now.Store(&authenticationFile{})
		return state, nil
	})
	if err != nil {
		return err
	}
	a.stateKey, a.state = path, value.(*authenticationState)
	return a.state.pace.Alone(func() error { return a.state.use(content, config) })
}

func readAuthenticationConfig(path string) ([]byte, *authenticationconfig.Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the file: %w", err)
	}
	config, err := authenticationconfig.Parse(content)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(config.Authenticators) == 0 {
		return nil, nil, fmt.Errorf("reading %s: jwt has no issuer, without which no user can be authenticated", path)
	}
	return content, config, nil
}

// current returns what the file says. It looks at the file again when the interval is over.
func (s *authenticationState) current() *oidc.Authenticator {
	s.pace.Do(time.Now(), s.refresh)
	return s.now.Load().authenticator
}

// refresh reads the file again. It keeps the last good one. A file from which all issuers have
// been removed is good: their tokens are refused from now on.
func (s *authenticationState) refresh() {
	content, err := os.ReadFile(s.file)
	if err == nil && bytes.Equal(content, s.now.Load().content) {
		s.good()
		return
	}
	var config *authenticationconfig.Config
	if err == nil {
		config, err = authenticationconfig.Parse(content)
	}
	if err == nil {
		err = s.use(content, config)
	}
	if err != nil {
		s.failure.Store(&err)
		s.outage.Failed("keeping the last good file", err)
		return
	}
	s.good()
	s.logger().Info("the file has changed", zap.Int("issuers", len(config.Authenticators)))
}

// good records that the file can be used.
func (s *authenticationState) good() {
	s.failure.Store(nil)
	s.outage.End()
}

func (s *authenticationState) log(message string, err error) {
	if err == nil {
		s.logger().Info(message)
		return
	}
	s.logger().Error(message, zap.Error(err))
}

// logger is that of the configuration in force: the state outlives the one that made it.
func (s *authenticationState) logger() *zap.Logger {
	return caddy.Log().Named(guest.Sources + ".authentication_config").With(zap.String("file", s.file))
}

// use puts a file in force. It keeps the keys of issuers that stay, and no verdict that was
// reached under the last file.
func (s *authenticationState) use(content []byte, config *authenticationconfig.Config) error {
	last := s.now.Load()
	if last.authenticator != nil && bytes.Equal(content, last.content) {
		return nil
	}
	// Each file has a cache of its own: a request that began under the last file may reach
	// its verdict only now, and that must not be found under this file.
	cache := oidc.NewCache(len(config.Authenticators))
	next := &authenticationFile{content: content, authenticator: &oidc.Authenticator{Cache: cache}}
	for n := range config.Authenticators {
		jwt := &config.Authenticators[n]
		keys, err := next.keysOf(jwt, last)
		if err != nil {
			next.closeBut(last)
			return err
		}
		next.authenticator.Issuers = append(next.authenticator.Issuers, &oidc.Issuer{
			URL:       jwt.IssuerURL,
			Audiences: jwt.Audiences,
			Early:     earlyTokens,
			Keys:      keys,
			Mapper:    jwt.Mapper,
		})
	}
	s.now.Store(next)
	last.closeBut(next) // its cache stays open for the requests that still use it
	return nil
}

// keysOf finds the keys of an issuer with the last file, or makes new ones.
func (f *authenticationFile) keysOf(jwt *authenticationconfig.Authenticator, last *authenticationFile) (*oidc.RemoteKeys, error) {
	if n := slices.IndexFunc(last.keys, func(k issuerKeys) bool { return k.same(jwt) }); n >= 0 {
		f.keys = append(f.keys, last.keys[n])
		return last.keys[n].keys, nil
	}
	authority := jwt.CertificateAuthority
	keys, err := oidc.NewRemoteKeys(oidc.RemoteConfig{
		Issuer:       jwt.IssuerURL,
		DiscoveryURL: jwt.DiscoveryURL,
		Roots:        func() *x509.CertPool { return authority },
		OnProblem:    logIssuer(jwt.IssuerURL),
		OnChange:     keysChanged("authentication_config", jwt.IssuerURL),
	})
	if err != nil {
		return nil, err
	}
	keys.Warm()
	f.keys = append(f.keys, issuerKeys{jwt.IssuerURL, jwt.DiscoveryURL, authority, keys, last.authenticator != nil})
	return keys, nil
}

// closeBut closes the keys that the other file does not use.
func (f *authenticationFile) closeBut(other *authenticationFile) {
	for _, of := range f.keys {
		if !slices.ContainsFunc(other.keys, func(k issuerKeys) bool { return k.keys == of.keys }) {
			of.keys.Close()
		}
	}
}
