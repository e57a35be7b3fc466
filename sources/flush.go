// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// Flush implements [guest.Flusher].
func (s *issuerState) Flush(what guest.Flush) guest.Flushed {
	if !what.Concerns("oidc", s.issuer) {
		return guest.Flushed{}
	}
	if what.Issuer != "" {
		s.keys.Renew()
	}
	if s.graph != nil {
		s.graph.Flush() // first: a token that is judged again asks again
	}
	return flushTokens(s.cache, what)
}

// Flush implements [guest.Flusher]. The file may be replaced meanwhile, and its verdicts be kept
// elsewhere.
func (s *authenticationState) Flush(what guest.Flush) guest.Flushed {
	var sum guest.Flushed
	for {
		now := s.now.Load()
		sum.Add(now.flush(what))
		if s.now.Load() == now {
			return sum
		}
	}
}

func (f *authenticationFile) flush(what guest.Flush) guest.Flushed {
	var issuers []string
	for _, of := range f.keys {
		issuers = append(issuers, of.issuer)
	}
	if f.authenticator == nil || !what.Concerns("authentication_config", issuers...) {
		return guest.Flushed{}
	}
	for _, of := range f.keys {
		if what.Issuer == of.issuer {
			of.keys.Renew()
		}
	}
	return flushTokens(f.authenticator.Cache, what)
}

// Flush implements [guest.Flusher]. Which issuer a token is from only the API server knows.
func (s *reviewState) Flush(what guest.Flush) guest.Flushed {
	if !what.Concerns("token_review") {
		return guest.Flushed{}
	}
	return flushTokens(s.cache, what)
}

// Flush implements [guest.Flusher]. The lists and responders' answers stay: they count until the
// date that their authority gave them.
func (s *certState) Flush(what guest.Flush) guest.Flushed {
	if !what.Concerns("client_cert") {
		return guest.Flushed{}
	}
	good, bad := s.cache.Flush(func(user string) bool { return what.Matches(user, "") })
	return guest.Flushed{Verdicts: good, Refusals: bad}
}

func flushTokens(cache *tokencache.Cache, what guest.Flush) guest.Flushed {
	good, bad := cache.Flush(func(v *tokencache.Verdict) bool { return what.Matches(v.User.Username, v.Issuer) })
	return guest.Flushed{Verdicts: good, Refusals: bad}
}

// flush drops what a source of one site keeps.
func (k *kept) flush(source string, what guest.Flush) guest.Flushed {
	var dropped guest.Flushed
	if !what.Concerns(source) {
		return dropped
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	for key, id := range k.identities.All() {
		if what.Matches((*id).Username, "") {
			k.identities.Remove(key)
			dropped.Verdicts++
		}
	}
	return dropped
}

// Flush implements [guest.Flusher].
func (f *Forwarded) Flush(what guest.Flush) guest.Flushed { return f.kept.flush("forwarded", what) }

// Flush implements [guest.Flusher].
func (p *Placeholder) Flush(what guest.Flush) guest.Flushed { return p.kept.flush("placeholder", what) }

// Interface guards
var (
	_ guest.Flusher = (*issuerState)(nil)
	_ guest.Flusher = (*authenticationState)(nil)
	_ guest.Flusher = (*reviewState)(nil)
	_ guest.Flusher = (*certState)(nil)
	_ guest.Flusher = (*Forwarded)(nil)
	_ guest.Flusher = (*Placeholder)(nil)
)
