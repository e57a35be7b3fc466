// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// Inspect implements [guest.Inspector].
func (s *issuerState) Inspect(into *guest.State) {
	into.Issuers = append(into.Issuers, inspectKeys("oidc", s.issuer, s.keys.Status(into.Time), into.Time))
	inspectTokens(into, "oidc", s.cache, s.issuer)
	if s.provider != nil {
		login := s.provider.Status()
		into.Logins = append(into.Logins, guest.LoginState{
			Issuer: s.issuer, Source: "oidc", Usable: login.Usable, Fetched: guest.Moment(login.Fetched), Error: guest.Text(login.Err),
		})
	}
}

// Inspect implements [guest.Inspector].
func (s *authenticationState) Inspect(into *guest.State) {
	now := s.now.Load()
	file := guest.FileState{File: s.file, Source: "authentication_config"}
	if failure := s.failure.Load(); failure != nil {
		file.Error = (*failure).Error()
	}
	into.Files = append(into.Files, file)
	if now.authenticator == nil { // while it is made
		return
	}
	var issuers []string
	for _, of := range now.keys {
		issuers = append(issuers, of.issuer)
		into.Issuers = append(into.Issuers, inspectKeys("authentication_config", of.issuer, of.keys.Status(into.Time), into.Time))
	}
	inspectTokens(into, "authentication_config", now.authenticator.Cache, issuers...)
}

// Inspect implements [guest.Inspector].
func (s *reviewState) Inspect(into *guest.State) { inspectTokens(into, "token_review", s.cache) }

// Inspect implements [guest.Inspector].
func (s *certState) Inspect(into *guest.State) {
	stats := s.cache.Stats(into.Time)
	into.AddCache(guest.CacheState{
		Source: "client_cert", Size: stats.Size, Verdicts: stats.Good, Refusals: stats.Bad, Hits: stats.Hits, Misses: stats.Misses,
	}, stats.Users)
	for _, list := range s.revocation.Lists() {
		into.Lists = append(into.Lists, inspectList(&list, into.Time))
	}
}

func inspectKeys(source, issuer string, keys oidc.KeysStatus, now time.Time) guest.IssuerState {
	state := guest.IssuerState{
		Issuer: issuer, Source: source, Usable: keys.Usable, Keys: keys.Count, Error: guest.Text(keys.Err),
		Fetched: guest.Moment(keys.Fetched), UsableTill: guest.Moment(keys.Until),
	}
	if !keys.Fetched.IsZero() {
		age := max(0, int64(now.Sub(keys.Fetched)/time.Second))
		state.AgeSeconds = &age
	}
	return state
}

func inspectTokens(into *guest.State, source string, cache *tokencache.Cache, issuers ...string) {
	stats := cache.Stats(into.Time)
	into.AddCache(guest.CacheState{
		Source: source, Issuers: issuers, Size: stats.Size, Verdicts: stats.Good, Refusals: stats.Bad,
		Judging: stats.Judging, Hits: stats.Hits, Misses: stats.Misses,
	}, stats.Users)
}

// inspectList shows the earliest next update: after that, certificates of its issuer have no
// answer any more.
func inspectList(list *certauth.ListStatus, now time.Time) guest.ListState {
	state := guest.ListState{List: list.Name, Usable: list.Usable(now), Read: guest.Moment(list.Read), Error: guest.Text(list.Err)}
	var next time.Time
	for _, dates := range list.Lists {
		state.Issuers = append(state.Issuers, dates.Issuer)
		state.Revoked += dates.Revoked
		if next.IsZero() || dates.NextUpdate.Before(next) {
			next = dates.NextUpdate
		}
	}
	state.NextUpdate = guest.Moment(next)
	if state.Error == "" && !state.Usable && len(list.Lists) > 0 {
		state.Error = fmt.Sprintf("no list counts after %s", next.UTC().Format(time.RFC3339))
	}
	return state
}

// inspectKept shows what a source of one site keeps that judges nothing.
func inspectKept(into *guest.State, source string, k *kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	users := make(map[string]int)
	for _, id := range k.identities.All() {
		users[(*id).Username]++
	}
	into.AddCache(guest.CacheState{
		Source: source, Size: keptIdentities, Verdicts: k.identities.Len(), Hits: k.hits, Misses: k.misses,
	}, users)
}

// Inspect implements [guest.Inspector].
func (f *Forwarded) Inspect(into *guest.State) { inspectKept(into, "forwarded", f.kept) }

// Inspect implements [guest.Inspector].
func (p *Placeholder) Inspect(into *guest.State) { inspectKept(into, "placeholder", p.kept) }

// Interface guards
var (
	_ guest.Inspector = (*issuerState)(nil)
	_ guest.Inspector = (*authenticationState)(nil)
	_ guest.Inspector = (*reviewState)(nil)
	_ guest.Inspector = (*certState)(nil)
	_ guest.Inspector = (*Forwarded)(nil)
	_ guest.Inspector = (*Placeholder)(nil)
)
