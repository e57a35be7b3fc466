// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
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
	host := r.Host
	o := follow(at.server, r, set)
	o.beside = beside(content, at.name, host)
	if described.json {
		return o.writeJSON(out, at.name)
	}
	p := &printer{out, colours}
	p.line("%s %s from %s, by server %s", r.Method, described.shown(), described.peer, at.name)
	return o.print(p), nil
}

// beside looks for ways around kube_identity. The configuration has been loaded, so it can be read.
func beside(content []byte, server, host string) routes.Beside {
	var config struct {
		Apps struct {
			HTTP json.RawMessage `json:"http"`
		} `json:"apps"`
	}
	if json.Unmarshal(content, &config) != nil {
		return routes.Beside{}
	}
	ways, err := routes.Find(config.Apps.HTTP)
	if err != nil {
		return routes.Beside{}
	}
	return routes.BesideSite(ways, server, host)
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

// picked is the server that gets a request.
type picked struct {
	name   string
	server *caddyhttp.Server
}

// pickServer finds the server that listens on the port of the URL.
func pickServer(app *caddyhttp.App, r *http.Request) (*picked, error) {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is not a number", port)
	}
	var listening, sockets []string
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err == nil && !address.IsUnixNetwork() && address.StartPort <= uint(number) && uint(number) <= address.EndPort {
				return &picked{name, server}, checkScheme(app, name, r, int(number))
			}
			listening = append(listening, listen)
		}
		if guest.ListensOnUnixOnly(server.Listen) {
			sockets = append(sockets, name)
		}
	}
	if len(sockets) == 1 { // it has no port
		return &picked{sockets[0], app.Servers[sockets[0]]}, nil
	}
	return nil, fmt.Errorf("no server listens on port %s: the servers listen on %s", port, strings.Join(listening, ", "))
}

// checkScheme refuses a URL whose scheme the server does not speak on that port, which is when
// Caddy wraps the listener in TLS.
func checkScheme(app *caddyhttp.App, name string, r *http.Request, port int) error {
	httpPort := app.HTTPPort
	if httpPort == 0 {
		httpPort = caddyhttp.DefaultHTTPPort
	}
	speaksTLS := len(app.Servers[name].TLSConnPolicies) > 0 && port != httpPort
	switch {
	case speaksTLS == (r.TLS != nil):
		return nil
	case speaksTLS:
		return fmt.Errorf("server %s speaks TLS on port %d: write https://%s%s", name, port, r.URL.Host, WithoutSecrets(r.RequestURI))
	}
	return fmt.Errorf("server %s speaks plain HTTP on port %d: write http://%s%s; "+
		"where a proxy before Caddy ends TLS, add -H 'X-Forwarded-Proto: https' if that proxy does", name, port, r.URL.Host, WithoutSecrets(r.RequestURI))
}
