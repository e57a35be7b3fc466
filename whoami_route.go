// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var errWhoamiAlone = errors.New("kube_identity_whoami: no request that comes to it can have passed a kube_identity: " +
	"it must be on the same site and route as kube_identity, after it")

// checkWhoami refuses a kube_identity_whoami that no request can reach through a kube_identity: it
// would answer each of them with 500. What is not certain passes, as where a route is invoked by
// its name, or a module of another repository has routes.
func checkWhoami(routes caddyhttp.RouteList, known bool) (afterwards bool, err error) {
	groups := make(map[string]bool) // of the routes of a group a request takes one
	for _, route := range routes {
		before := known
		for group, passed := range groups {
			before = before || passed && group != route.Group
		}
		after, err := checkWhoamiHandlers(route.HandlersRaw, before)
		if err != nil {
			return false, err
		}
		after = after || len(route.Handlers) > 0 // it has been loaded, and cannot be looked into
		switch {
		case route.Terminal: // no later route sees its requests
		case route.Group != "":
			groups[route.Group] = groups[route.Group] || after
		default:
			known = known || after
		}
	}
	for _, passed := range groups {
		known = known || passed
	}
	return known, nil
}

func checkWhoamiHandlers(handlers []json.RawMessage, known bool) (bool, error) {
	for _, raw := range handlers {
		var handler configuredHandler
		_ = json.Unmarshal(raw, &handler) // Caddy says what is wrong when it loads the handler
		switch handler.Name {
		case "kube_identity_whoami":
			if !known {
				return known, errWhoamiAlone
			}
		case "subroute":
			var err error
			if known, err = checkWhoami(handler.Routes, known); err != nil {
				return known, err
			}
		default:
			known = known || handler.Name == "invoke" || bytes.Contains(raw, []byte(`"kube_identity"`))
		}
	}
	return known, nil
}
