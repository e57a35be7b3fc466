// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// fingerprint hashes everything the answers depend on. A file that may be read again
// counts by its path, the CAs by their content.
func fingerprint(config *rest.Config, server *url.URL) (string, error) {
	authorities, err := authoritiesOf(config)
	if err != nil {
		return "", err
	}
	var proxy *url.URL
	if config.Proxy != nil {
		if proxy, err = config.Proxy(&http.Request{URL: server}); err != nil {
			return "", fmt.Errorf("reading proxy-url: %w", err)
		}
	}
	token := config.BearerToken
	if config.BearerTokenFile != "" {
		token = ""
	}
	material := struct {
		Server, ServerName, Proxy string
		Authorities               []byte
		CertFile, KeyFile         string
		CertData, KeyData         []byte
		Token, TokenFile          string
		Basic                     [2]string
		Impersonate               rest.ImpersonationConfig
		Exec                      *clientcmdapi.ExecConfig
		ExecCluster               any
		Provider                  *clientcmdapi.AuthProviderConfig
	}{
		Server: server.String(), ServerName: config.ServerName,
		Authorities: authorities,
		CertFile:    config.CertFile, KeyFile: config.KeyFile,
		CertData: config.CertData, KeyData: config.KeyData,
		Token: token, TokenFile: config.BearerTokenFile,
		Basic:       [2]string{config.Username, config.Password},
		Impersonate: config.Impersonate,
		Exec:        config.ExecProvider,
		Provider:    config.AuthProvider,
	}
	if proxy != nil {
		material.Proxy = proxy.String()
	}
	if config.ExecProvider != nil {
		material.ExecCluster = config.ExecProvider.Config // ExecConfig itself does not encode it
	}
	encoded, err := json.Marshal(material)
	if err != nil {
		return "", fmt.Errorf("hashing the credentials: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

// authoritiesOf reads the CAs. An empty file is refused, since client-go uses the public
// CAs for it if its gate ClientsAllowCARotation is off.
func authoritiesOf(config *rest.Config) ([]byte, error) {
	authorities, from := config.CAData, "certificate-authority-data"
	if len(authorities) == 0 {
		if config.CAFile == "" {
			return nil, nil
		}
		var err error
		if authorities, err = os.ReadFile(config.CAFile); err != nil {
			return nil, fmt.Errorf("reading the API server's CAs: %w", err)
		}
		from = config.CAFile
	}
	if !x509.NewCertPool().AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("reading the API server's CAs: %q has no certificate", from)
	}
	return bytes.TrimSpace(authorities), nil
}
