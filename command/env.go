// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// loadEnv sets the variables of a file, as caddy run --envfile does: those that are set already
// stay as they are. Its errors show no value.
func loadEnv(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	variables, err := parseEnv(string(content))
	if err != nil {
		return err
	}
	for name, value := range variables {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %q: %w", name, err)
		}
	}
	// the file may say where Caddy keeps its data
	caddy.ConfigAutosavePath = filepath.Join(caddy.AppConfigDir(), "autosave.json")
	caddy.DefaultStorage = &certmagic.FileStorage{Path: caddy.AppDataDir()}
	return nil
}

// parseEnv reads lines NAME=value. As in Caddy, "export " before a name and a comment behind a
// value are left out, and a value in quotes may have several lines.
func parseEnv(content string) (map[string]string, error) {
	variables := make(map[string]string)
	lines := strings.Split(content, "\n")
	for n := 0; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		name = strings.TrimPrefix(name, "export ")
		if !found || name == "" || strings.Contains(name, " ") || strings.HasPrefix(value, " ") || strings.HasPrefix(value, "\t") {
			return nil, fmt.Errorf("line %d is not written NAME=value", n+1)
		}
		if before, _, comment := strings.Cut(value, "#"); comment {
			value = strings.TrimRight(before, " \t")
		}
		if quote := value[:min(1, len(value))]; quote == `"` || quote == "'" {
			value, n = quotedEnv(lines, n, line, value, quote)
		}
		variables[name] = value
	}
	return variables, nil
}

// quotedEnv reads on until a line ends with the quote.
func quotedEnv(lines []string, n int, line, value, quote string) (string, int) {
	for !strings.HasSuffix(line, quote) || strings.HasSuffix(line, `\`+quote) {
		value = strings.ReplaceAll(value, `\`+quote, quote)
		if n+1 == len(lines) {
			break
		}
		n++
		line = strings.ReplaceAll(strings.TrimSuffix(lines[n], "\r"), `\`+quote, quote)
		value += "\n" + line
	}
	return strings.TrimSuffix(strings.TrimPrefix(value, quote), quote), n
}
