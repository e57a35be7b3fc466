// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// addProxies notes what each trusted_proxies needs, of a kube_identity or of a server.
func (n *needs) addProxies(value any) error {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if err := n.addProxies(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, element := range value {
			// reverse_proxy has a list of ranges by that name
			if source, ok := element.(map[string]any); ok && key == "trusted_proxies" {
				if err := n.addProxy(source); err != nil {
					return fmt.Errorf("reading trusted_proxies: %w", err)
				}
				continue
			}
			if err := n.addProxies(element); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *needs) addProxy(source map[string]any) error {
	raw, err := json.Marshal(source)
	if err != nil {
		return err
	}
	module, err := readGuest(guest.IPSources, raw)
	if err != nil {
		return err
	}
	if service := module.needs.WatchEndpoints; service != "" {
		namespace, _, _ := strings.Cut(service, "/")
		n.watched = option.Union(n.watched, []string{namespace})
	}
	return nil
}

// endpointRoles are the roles to watch EndpointSlices, one for each namespace. RBAC does not know
// the labels of a list, so a role is for all of them there.
func (n *needs) endpointRoles(proxy string) []object {
	var objects []object
	for _, namespace := range slices.Sorted(slices.Values(n.watched)) {
		objects = append(objects, role(nameOf("endpoints", proxy), namespace, proxy, []rule{{
			APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"},
		}})...)
	}
	return objects
}
