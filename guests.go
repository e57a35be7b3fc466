// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// oneSource and oneInjector let Caddy load the guests one by one, so that an error names the place
// of one.
type oneSource struct {
	Raw json.RawMessage `caddy:"namespace=http.kube_identity.sources inline_key=source"`
}

type oneInjector struct {
	Raw json.RawMessage `caddy:"namespace=http.kube_identity.injectors inline_key=injector"`
}

// loadGuests loads the sources or the injectors.
func loadGuests(ctx caddy.Context, raws []json.RawMessage, namespace string) ([]any, error) {
	guests := make([]any, 0, len(raws))
	for n, raw := range raws {
		list, key, one := "sources", "source", any(&oneSource{Raw: raw})
		if namespace == guest.Injectors {
			list, key, one = "injectors", "injector", &oneInjector{Raw: raw}
		}
		module, err := ctx.LoadModule(one, "Raw")
		if err != nil {
			name := guestName(raw, key)
			info, unknown := caddy.GetModule(namespace + "." + name)
			_, isPreset := injectors.Presets()[name]
			switch {
			case unknown != nil && isPreset && key == "injector":
				err = fmt.Errorf("%w: '%s' is a preset of the Caddyfile: write 'inject %s' there, and see by 'caddy adapt' what it is", err, name, name)
			case unknown != nil && name != "":
				err = option.UnknownModule(namespace, key, name)
			case unknown == nil && strings.Contains(err.Error(), string(info.ID)+": json: "):
				err = nearField(err, info.New())
			}
			return nil, fmt.Errorf("%s: %w", guestPlace(list, n, name), err)
		}
		guests = append(guests, module)
	}
	return guests, nil
}

// guestName returns the name of a guest in its JSON; "" if that is not known.
func guestName(raw json.RawMessage, key string) (name string) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil || json.Unmarshal(keys[key], &name) != nil || strings.Contains(name, ".") {
		return ""
	}
	return name
}
