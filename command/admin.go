// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// endpoint says where the admin API of the running Caddy is, as for Caddy's own commands.
type endpoint struct{ address, config, adapter string }

func (e *endpoint) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&e.address, "address", "", "The address of the admin API; default: that of --config, or "+`Caddy's own`)
	flags.StringVarP(&e.config, "config", "c", "", "Configuration file to read the address of the admin API from")
	flags.StringVarP(&e.adapter, "adapter", "a", "", "Name of config adapter to apply")
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 20

// ask sends one request to the admin API, and returns the body of its answer.
func (e *endpoint) ask(method, uri string, body any) ([]byte, error) {
	var content []byte
	if e.address == "" && e.config != "" {
		loaded, err := loadConfig(e.config, e.adapter)
		if err != nil {
			return nil, err
		}
		content = loaded
	}
	address, err := caddycmd.DetermineAdminAPIAddress(e.address, content, e.config, e.adapter)
	if err != nil {
		return nil, err
	}
	header := make(http.Header)
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		header.Set("Content-Type", "application/json")
		sent = bytes.NewReader(text)
	}
	answer, err := within(patience, func() ([]byte, error) { return request(address, method, uri, header, sent) })
	if err != nil {
		hint := ""
		if strings.HasPrefix(err.Error(), "performing request") { // and not an answer that says no
			hint = ` (with "admin off" there is none)`
		}
		return nil, fmt.Errorf("asking the admin API at %s%s: %s", WithoutSecrets(address), hint, WithoutSecrets(err.Error()))
	}
	return answer, nil
}

// patience is how long the admin API may take. Caddy's own function has no end.
const patience = 10 * time.Second

// within gives up waiting. What is waited for ends with the program.
func within(patience time.Duration, ask func() ([]byte, error)) ([]byte, error) {
	type result struct {
		answer []byte
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := ask()
		done <- result{answer, err}
	}()
	select {
	case got := <-done:
		return got.answer, got.err
	case <-time.After(patience):
		return nil, fmt.Errorf("it has not answered within %s", patience)
	}
}

func request(address, method, uri string, header http.Header, sent io.Reader) ([]byte, error) {
	response, err := caddycmd.AdminAPIRequest(address, method, uri, header, sent)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, errors.New("reading the answer: it is too large")
	}
	return answer, nil
}

// askFor decodes the answer, too.
func (e *endpoint) askFor(method, uri string, body, into any) ([]byte, error) {
	answer, err := e.ask(method, uri, body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, errors.New("the answer of the admin API cannot be read: the running Caddy may have another version of this plugin")
	}
	return answer, nil
}
