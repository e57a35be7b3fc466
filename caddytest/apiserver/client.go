// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Client returns an HTTP client that trusts the server and the issuer and presents the
// given client certificate, or none if the names are empty.
func (s *Server) Client(certFile, keyFile string) (*http.Client, error) {
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the serving authority: %w", err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("reading the serving authority: no certificate in %s", s.CAFile)
	}
	if certFile != "" {
		certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("loading the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	// HTTP/1.1 on purpose: over HTTP/2 each 401 makes kube-apiserver close the
	// connection, and every other request on it fails.
	return &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{TLSClientConfig: config},
	}, nil
}

// Do sends a request as admin, with body as JSON unless it is nil, and decodes the JSON
// answer, whatever its status, into out unless that is nil. A refusal is a status, not an
// error.
func (s *Server) Do(ctx context.Context, method, path string, body, out any) (status int, err error) {
	status, answer, err := s.sendJSON(ctx, method, path, body)
	if err != nil || out == nil {
		return status, err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return status, fmt.Errorf("decoding the answer to %s %s: %w", method, path, err)
	}
	return status, nil
}

// Create posts object to the collection at path, as admin. An object that exists already
// is not an error.
func (s *Server) Create(ctx context.Context, path string, object any) error {
	status, answer, err := s.sendJSON(ctx, http.MethodPost, path, object)
	if err != nil {
		return err
	}
	if status != http.StatusCreated && status != http.StatusConflict {
		return refused("creating in "+path, status, answer)
	}
	return nil
}

// ServiceAccount creates a service account and its namespace, unless they exist.
func (s *Server) ServiceAccount(ctx context.Context, namespace, name string) error {
	if err := s.Create(ctx, "/api/v1/namespaces", named(namespace)); err != nil {
		return err
	}
	return s.Create(ctx, "/api/v1/namespaces/"+namespace+"/serviceaccounts", named(name))
}

func named(name string) any {
	return map[string]any{"metadata": map[string]string{"name": name}}
}

// Token requests a token for a service account. Kubernetes refuses less than
// 600 seconds. Without audiences the token is for the API server.
func (s *Server) Token(ctx context.Context, namespace, name string, seconds int, audiences ...string) (string, error) {
	path := "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + name + "/token"
	status, answer, err := s.sendJSON(ctx, http.MethodPost, path, map[string]any{
		"spec": map[string]any{"expirationSeconds": seconds, "audiences": audiences},
	})
	if err != nil {
		return "", err
	}
	if status != http.StatusCreated {
		return "", refused("requesting a token of "+namespace+"/"+name, status, answer)
	}
	var review struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(answer, &review); err != nil {
		return "", fmt.Errorf("decoding the token of %s/%s: %w", namespace, name, err)
	}
	if review.Status.Token == "" {
		return "", errors.New("requesting a token: the answer has none")
	}
	return review.Status.Token, nil
}

func (s *Server) sendJSON(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return 0, nil, fmt.Errorf("encoding the body of %s %s: %w", method, path, err)
		}
	}
	header := http.Header{"Content-Type": {"application/json"}}
	return s.send(ctx, s.admin, method, path, header, encoded)
}

func (s *Server) send(ctx context.Context, client *http.Client, method, path string,
	header http.Header, body []byte,
) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	return response.StatusCode, answer, nil
}

// refused makes an error from a Kubernetes Status.
func refused(what string, status int, answer []byte) error {
	var reason struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &reason) != nil || reason.Message == "" {
		reason.Message = http.StatusText(status)
	}
	return fmt.Errorf("%s: %d: %s", what, status, reason.Message)
}
