// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnOfMistakes warns of what loads and does not do what was meant, as far as the configuration
// alone shows it.
func (h *Handler) warnOfMistakes(ctx caddy.Context) {
	h.warnOfDurations()
	h.warnOfLogin()
	h.warnOfSession(ctx)
	if !h.Respond && h.fallback == nil {
		h.warnOfProbes()
	}
	h.warnOfRoutes(ctx)
}

// warnOfLogin warns of a login to which no browser comes, or from which none comes away.
func (h *Handler) warnOfLogin() {
	if h.Login != "" && h.fallback != nil {
		h.logger.Warn("login beside "+h.fallback.name+": a browser without a credential is forwarded as that user and is not sent to log in: "+
			"remove one of the two", zap.String("login", h.Login))
	}
	path, _, _ := strings.Cut(h.Login, "?")
	if strings.HasPrefix(path, "/") && !h.Respond && h.at.reached(path) == always {
		h.logger.Warn("login leads to a path that this kube_identity guards, so that a browser is sent there again and again: "+
			"let a handle before it serve that path, or leave the path out by a matcher of kube_identity (not path)", zap.String("login", h.Login))
	}
}

// warnOfSession warns of a session whose logins cannot end well.
func (h *Handler) warnOfSession(ctx caddy.Context) {
	if h.sessions == nil {
		return
	}
	if path := h.sessions.options.Path; h.at.reached(path+callbackPath) == never && h.at.alone() {
		h.logger.Warn("a matcher leaves out the session's own pages, so that no login comes to an end: "+
			"let the matcher take this path too, or set path of session to one that it takes", zap.String("path", path+"/*"))
	}
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || len(server.TLSConnPolicies) > 0 || h.sessions.options.InsecureHTTP || h.trust.configured() {
		return
	}
	hosts := h.at.hosts()
	names := slices.DeleteFunc(slices.Clone(hosts), isLoopback)
	if (len(names) > 0 || len(hosts) == 0 && h.at.whole) && !listensHere(server.Listen) {
		h.logger.Warn("browsers cannot log in over plain http: serve the site over https, "+
			"name the proxy that does so in trusted_proxies, or allow it by insecure_http of session", zap.Strings("hosts", names), zap.Strings("listen", server.Listen))
	}
}

// hosts are the names of the site, as far as its matchers have them.
func (p *place) hosts() (names []string) {
	for _, way := range p.ways {
		for _, set := range way.routes[way.route].MatcherSets {
			for _, matcher := range set {
				if host, ok := matcher.(*caddyhttp.MatchHost); ok {
					names = append(names, *host...)
				}
			}
		}
	}
	return names
}

// isLoopback says whether a browser takes a host for this machine.
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// listensHere says whether every address of a server is of this machine alone.
func listensHere(addresses []string) bool {
	for _, address := range addresses {
		parsed, err := caddy.ParseNetworkAddress(address)
		if err != nil || !parsed.IsUnixNetwork() && (net.ParseIP(parsed.Host) == nil && parsed.Host != "localhost" || !isLoopback(parsed.Host)) {
			return false
		}
	}
	return len(addresses) > 0
}

// warnOfDurations warns of durations that were meant to be seconds: a number without a unit
// counts nanoseconds.
func (h *Handler) warnOfDurations() {
	short := shortDurations(reflect.ValueOf(h), "")
	for n, src := range h.sources {
		short = append(short, shortDurations(reflect.ValueOf(src.Source), guestPlace("sources", n, src.name)+".")...)
	}
	for n, injector := range h.injectors {
		short = append(short, shortDurations(reflect.ValueOf(injector), guestPlace("injectors", n, moduleName(injector))+".")...)
	}
	if h.trust.ranges != nil {
		short = append(short, shortDurations(reflect.ValueOf(h.trust.ranges), "trusted_proxies.")...)
	}
	if len(short) > 0 {
		h.logger.Warn("a duration is shorter than 1ms: a number in JSON counts nanoseconds; write a text with a unit, such as \"10s\"",
			zap.Strings("options", short))
	}
}

// shortDurations are the options of a configuration struct with such a duration.
func shortDurations(v reflect.Value, path string) (short []string) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		value := reflect.Indirect(v.Field(i))
		switch {
		case field.Anonymous && name == "":
			short = append(short, shortDurations(value, path)...)
		case !field.IsExported() || name == "" || name == "-" || !value.IsValid():
		case value.Type() == reflect.TypeFor[caddy.Duration]():
			if d := time.Duration(value.Int()); d > 0 && d < time.Millisecond {
				short = append(short, fmt.Sprintf("%s%s (%s)", path, name, d))
			}
		case value.Kind() == reflect.Struct:
			short = append(short, shortDurations(value, path+name+".")...)
		}
	}
	return short
}
