// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// told is what a handler behind this one may ask for. Nothing points into the exchange, whose
// memory other requests get.
type told struct {
	src      *configuredSource
	who      *settled
	stripped []string
	sent     http.Header
	session  time.Time
}

// tell keeps what [guest.Passed] is made of, if it is asked for.
func (p *passage) tell(ex *exchange, src *configuredSource, who *settled, sent http.Header) {
	p.told = &told{src: src, who: who, sent: sent, stripped: make([]string, len(ex.Stripped))}
	for n, field := range ex.Stripped {
		p.told.stripped[n] = field.Name
	}
	if ex.use != nil {
		p.told.session = ex.use.facts.Ends
	}
}

// passed says nothing that is a secret.
func (t *told) passed() *guest.Passed {
	passed := &guest.Passed{User: t.who.Clone().User, Source: t.src.name, Expires: t.who.Expires, Session: t.session}
	for _, group := range t.who.said.Groups {
		if !slices.Contains(t.who.Groups, group) {
			passed.LeftOut = append(passed.LeftOut, group)
		}
	}
	passed.Stripped = slices.Compact(slices.Sorted(slices.Values(t.stripped)))
	for _, injector := range t.src.injectors {
		passed.Injected = append(passed.Injected, injected(injector.Injector, t.sent)...)
	}
	slices.SortFunc(passed.Injected, func(a, b guest.Injected) int { return cmp.Compare(a.Field, b.Field) })
	passed.Injected = slices.CompactFunc(passed.Injected, func(a, b guest.Injected) bool { return a.Field == b.Field })
	return passed
}

// injected are the fields of an injector. All of them were stripped off the request.
func injected(injector Injector, sent http.Header) []guest.Injected {
	names, err := identity.NewNames(injector.Writes()...)
	if err != nil { // it was checked when the configuration was loaded
		return nil
	}
	secret := []string{"Authorization", "Cookie"}
	if writer, ok := injector.(TokenWriter); ok {
		secret = append(secret, writer.TokenFields()...)
	}
	var fields []guest.Injected
	for name, lines := range sent {
		if names.Match(name) {
			fields = append(fields, guest.Injected{Field: name, Lines: len(lines), Credential: slices.Contains(secret, name)})
		}
	}
	return fields
}
