// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

const configUsage = "Configuration file, or - for standard input; default: the Caddyfile in this folder"

// configSource says where check gets a configuration from: a file, or the running Caddy.
type configSource struct {
	config, adapter string
	envFiles        []string
	address         string
}

func (c *configSource) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&c.config, "config", "c", "", configUsage)
	flags.StringVarP(&c.adapter, "adapter", "a", "", "Name of config adapter to apply")
	flags.StringArrayVar(&c.envFiles, "envfile", nil, "File with the environment, as for caddy run; may be given more than once")
	flags.StringVar(&c.address, "address", "", "Take the configuration of the running Caddy, whose admin API has this address")
}

// load returns the configuration as JSON.
func (c *configSource) load() ([]byte, error) {
	for _, path := range c.envFiles {
		if err := loadEnv(path); err != nil {
			return nil, fmt.Errorf("reading --envfile: %w", err)
		}
	}
	if c.address == "" {
		return loadConfig(c.config, c.adapter)
	}
	if c.config != "" {
		return nil, errors.New("--config and --address: write one of them, since --address has the configuration of the running Caddy")
	}
	at := endpoint{address: c.address}
	content, err := at.ask(http.MethodGet, "/config/", nil)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(string(content)) == "null" {
		return nil, fmt.Errorf("the Caddy at %s has no configuration", c.address)
	}
	return caddy.RemoveMetaFields(content), nil
}

// loadConfig reads a configuration and adapts it to JSON. Caddy's own function for it
// writes lines about it to the log, which is stderr here.
func loadConfig(path, name string) ([]byte, error) {
	path, content, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	base := strings.ToLower(filepath.Base(path))
	extension := filepath.Ext(base)
	if name == "" && extension != ".json" && (strings.HasPrefix(base, "caddyfile") || extension == ".caddyfile") {
		name = "caddyfile" // as Caddy has it
	}
	if name == "" {
		return caddy.RemoveMetaFields(content), nil // "@id", which names a part for the admin API
	}
	adapter := caddyconfig.GetAdapter(name)
	if adapter == nil {
		return nil, fmt.Errorf("there is no config adapter named %q", name)
	}
	adapted, _, err := adapter.Adapt(content, map[string]any{"filename": path})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return adapted, nil
}

// readConfig reads a file, standard input, or the Caddyfile that caddy run would take.
func readConfig(path string) (string, []byte, error) {
	if path == "-" {
		content, err := io.ReadAll(os.Stdin)
		if err != nil {
			return path, nil, fmt.Errorf("reading the configuration from standard input: %w", err)
		}
		return path, content, nil
	}
	wanted := path
	if path == "" {
		path = "Caddyfile"
	}
	content, err := os.ReadFile(path)
	if wanted == "" && errors.Is(err, fs.ErrNotExist) {
		return path, nil, errors.New("there is no --config, and no Caddyfile in this folder")
	}
	if err != nil {
		return path, nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return path, content, nil
}
