// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// check explains one request to out, and returns the exit code.
func check(out io.Writer, from *configSource, described *description) (int, error) {
	colours, err := coloured(described.color, isTerminal(out), os.Getenv)
	if err != nil {
		return exitFailed, err
	}
	r, err := described.build()
	if err != nil {
		return exitFailed, err
	}
	set, err := parseSet(described.set)
	if err != nil {
		return exitFailed, err
	}
	content, err := from.load()
	if err != nil {
		return exitFailed, err
	}
	app, err := provisionHTTP(content)
	if err != nil {
		return exitFailed, err
	}
	at, err := pickServer(app, r)
	if err != nil {
		return exitFailed, err
	}
	if described.peer == "unix" && !guest.ListensOnUnixOnly(at.server.Listen) {
		return exitFailed, fmt.Errorf("--peer unix: server %s does not listen on unix sockets alone", at.name)
	}
	if err := at.reads(r); err != nil {
		return exitFailed, err
	}
	host, notes := r.Host, at.notes(r)
	o := follow(at.server, r, set)
	o.walk.notes = append(o.walk.notes, notes...)
	o.besideSite(content, at.name, host)
	if described.json {
		return o.writeJSON(out, at.name)
	}
	p := &printer{out, colours}
	p.line("%s %s from %s, by server %s", r.Method, described.shown(), described.peer, at.name)
	return o.print(p), nil
}

// provisionHTTP sets a configuration up as for service, but does not begin to serve. Its
// logs are discarded, because the report has the same information.
func provisionHTTP(content []byte) (*caddyhttp.App, error) {
	config := new(caddy.Config)
	if err := json.Unmarshal(content, config); err != nil {
		return nil, fmt.Errorf("reading the configuration as JSON (for another format name its --adapter): %w", err)
	}
	// not "discard": Caddy would print that its log goes elsewhere
	silent := &caddy.CustomLog{BaseLog: caddy.BaseLog{Level: "FATAL"}}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: silent}}
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	app, err := ctx.App("http")
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	return app.(*caddyhttp.App), nil
}
