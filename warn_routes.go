// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnOfProbes warns of answers for probes, and of metrics, that stand beside kube_identity in a
// site and come after it whatever the order in the Caddyfile: the askers have no credential.
func (h *Handler) warnOfProbes() {
	if !h.at.whole {
		return
	}
	inner := h.at.ways[len(h.at.ways)-1]
	var paths []string
	for _, route := range inner.routes[inner.route+1:] {
		for _, path := range literalPaths(route.MatcherSets) {
			probe := isProbe(path) && answersProbe(route.HandlersRaw, "static_response") || answersProbe(route.HandlersRaw, "kube_identity_ready") ||
				!h.takesCredential() && answersProbe(route.HandlersRaw, "metrics")
			if probe && h.at.reached(path) == always && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	if len(paths) > 0 {
		h.logger.Warn("kube_identity comes before these paths, so that a probe without a credential gets 401 there: "+
			"leave them out by a matcher of kube_identity (not path), or answer them in a site of their own", zap.Strings("paths", paths))
	}
}

// takesCredential says whether a scraper can prove who it is.
func (h *Handler) takesCredential() bool {
	return slices.ContainsFunc(h.sources, func(src *configuredSource) bool {
		prover, ok := src.Source.(PeerProver)
		return src.Reads().Credential || ok && prover.ProvesPeer()
	})
}

// literalPaths are the paths that a matcher names, if it names nothing else but methods.
func literalPaths(sets caddyhttp.MatcherSets) (paths []string) {
	for _, set := range sets {
		var named []string
		for _, matcher := range set {
			switch m := matcher.(type) {
			case *caddyhttp.MatchPath:
				named = append(named, *m...)
			case *caddyhttp.MatchMethod:
			default:
				return nil
			}
		}
		paths = append(paths, named...)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return strings.ContainsAny(path, "{") })
}

// isProbe says whether a path is one at which kubelets and load balancers ask, or search engines.
func isProbe(path string) bool {
	path = strings.TrimRight(path, "/*")
	last := path[strings.LastIndexByte(path, '/')+1:]
	return slices.Contains([]string{"/live", "/ready", "/ping", "/up", "/-/ready", "/_health", "/status", "/robots.txt"}, path) ||
		slices.Contains([]string{"healthz", "health", "healthy", "healthcheck", "health-check", "livez", "readyz", "nginx-health"}, last)
}

// answersProbe says whether handlers, or those of a subroute, answer by the handler of a name.
func answersProbe(handlers []json.RawMessage, name string) bool {
	return slices.ContainsFunc(handlers, func(raw json.RawMessage) bool {
		var handler configuredHandler
		if json.Unmarshal(raw, &handler) != nil {
			return false
		}
		return handler.Name == name || handler.Name == "subroute" && slices.ContainsFunc(handler.Routes, func(route caddyhttp.Route) bool {
			return answersProbe(route.HandlersRaw, name)
		})
	})
}
