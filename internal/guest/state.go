// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what the admin API shows of all that is kept, and of the configurations in force.
// Nothing in it is a secret; it has the names of users only if these were asked for.
type State struct {
	Time        time.Time         `json:"time"`
	Handlers    []HandlerState    `json:"handlers"`
	Issuers     []IssuerState     `json:"issuers"`
	Logins      []LoginState      `json:"logins"`
	Caches      []CacheState      `json:"caches"`
	Credentials []CredentialState `json:"credentials"`
	Lists       []ListState       `json:"crls"`
	APIServers  []APIServerState  `json:"api_servers"`
	Files       []FileState       `json:"files"`
	Sessions    []SessionsState   `json:"sessions"`
	Services    []ServiceState    `json:"services"`

	names bool // users are shown by name
}

// HandlerState is one kube_identity: its words, and the peers that it trusts now.
type HandlerState struct {
	Handler          string   `json:"handler"`
	Sources          []string `json:"sources"`
	TrustedRanges    []string `json:"trusted_ranges"`
	TrustedUnix      bool     `json:"trusted_unix"`
	TrustedCert      bool     `json:"trusted_proxy_cert"`
	TrustedCertNames []string `json:"trusted_cert_names,omitempty"`
}

// IssuerState is the keys of one issuer.
type IssuerState struct {
	Issuer     string     `json:"issuer"`
	Source     string     `json:"source"`
	Usable     bool       `json:"usable"`
	Keys       int        `json:"keys"`
	Fetched    *time.Time `json:"fetched,omitempty"`
	AgeSeconds *int64     `json:"age_seconds,omitempty"`
	UsableTill *time.Time `json:"usable_until,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// LoginState is about the discovery document of an issuer at which browsers log in. It is usable
// if the endpoints are known, also where they are configured and there is no document.
type LoginState struct {
	Issuer  string     `json:"issuer"`
	Source  string     `json:"source"`
	Usable  bool       `json:"usable"`
	Fetched *time.Time `json:"fetched,omitempty"` // the last success
	Error   string     `json:"error,omitempty"`   // of the last fetch
}

// CacheState is one cache of verdicts.
type CacheState struct {
	Source   string         `json:"source"`
	Issuers  []string       `json:"issuers,omitempty"`
	Size     int            `json:"size"`
	Verdicts int            `json:"verdicts"`
	Refusals int            `json:"refusals"`
	Judging  int            `json:"judging"`
	Hits     uint64         `json:"hits"`
	Misses   uint64         `json:"misses"`
	HitRate  *float64       `json:"hit_rate,omitempty"`
	Users    map[string]int `json:"users,omitempty"`
}

// CredentialState is one credential of the proxy's own.
type CredentialState struct {
	Credential string     `json:"credential"`
	Usable     bool       `json:"usable"`
	Expires    *time.Time `json:"expires,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// ListState is one file or URL with lists of revoked certificates.
type ListState struct {
	List       string     `json:"crl"`
	Usable     bool       `json:"usable"`
	Read       *time.Time `json:"read,omitempty"`
	Issuers    []string   `json:"issuers,omitempty"`
	NextUpdate *time.Time `json:"next_update,omitempty"`
	Revoked    int        `json:"revoked"`
	Error      string     `json:"error,omitempty"`
}

// APIServerState is an API server that is asked with one credential.
type APIServerState struct {
	Server   string     `json:"server"`
	Answers  *bool      `json:"answers,omitempty"` // not there before the first answer
	Answered *time.Time `json:"answered,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// FileState is a file that is read again when it changes.
type FileState struct {
	File   string `json:"file"`
	Source string `json:"source"`
	Error  string `json:"error,omitempty"`
}

// SessionsState is the sessions of browsers.
type SessionsState struct {
	Sites int  `json:"sites"` // how many kube_identity share them
	Ready bool `json:"ready"` // their keys, and the logouts of other instances, are known
}

// ServiceState is the endpoints of a Service that are trusted as proxies.
type ServiceState struct {
	Service    string     `json:"service"`
	Server     string     `json:"server"`
	Usable     bool       `json:"usable"` // it is known which endpoints are trusted, also if none is
	Endpoints  int        `json:"endpoints"`
	Heard      *time.Time `json:"heard,omitempty"` // when the API server last confirmed them
	AgeSeconds *int64     `json:"age_seconds,omitempty"`
	Error      string     `json:"error,omitempty"`
}

// Inspector is implemented by state that outlives a configuration, and by sources and injectors:
// it adds itself to what the admin API shows. It does not wait.
type Inspector interface{ Inspect(into *State) }

// Inspect returns what is kept. names shows the names of users; otherwise they are hashed as
// Caddy's log filter hash does it, so that a log that was filtered so can be compared.
func Inspect(now time.Time, names bool) *State {
	s := &State{
		Time: now.UTC().Truncate(time.Second), names: names, Handlers: []HandlerState{}, Issuers: []IssuerState{}, Logins: []LoginState{},
		Caches: []CacheState{}, Credentials: []CredentialState{}, Lists: []ListState{}, APIServers: []APIServerState{},
		Files: []FileState{}, Sessions: []SessionsState{}, Services: []ServiceState{},
	}
	for _, kept := range everything() {
		if inspector, ok := kept.(Inspector); ok {
			inspector.Inspect(s)
		}
	}
	order(s.Handlers, func(h HandlerState) string { return h.Handler })
	order(s.Issuers, func(i IssuerState) string { return i.Issuer })
	order(s.Logins, func(l LoginState) string { return l.Issuer })
	order(s.Caches, func(c CacheState) string { return c.Source })
	order(s.Credentials, func(c CredentialState) string { return c.Credential })
	order(s.Lists, func(l ListState) string { return l.List })
	order(s.APIServers, func(a APIServerState) string { return a.Server })
	order(s.Files, func(f FileState) string { return f.File })
	order(s.Services, func(x ServiceState) string { return x.Service })
	return s
}

// order sorts a list: pools have no order.
func order[T any](list []T, by func(T) string) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(by(a), by(b)) })
}

// AddCache adds a cache, with its users by name.
func (s *State) AddCache(cache CacheState, users map[string]int) {
	if asked := cache.Hits + cache.Misses; asked > 0 {
		rate := float64(cache.Hits) / float64(asked)
		cache.HitRate = &rate
	}
	cache.Users = make(map[string]int, len(users))
	for user, count := range users {
		cache.Users[s.user(user)] += count
	}
	s.Caches = append(s.Caches, cache)
}

func (s *State) user(name string) string {
	if s.names {
		return strings.ToValidUTF8(name, "\uFFFD") // two names that differ elsewhere would be one member twice
	}
	return HashUser(name)
}

// HashUser is the name of a user as Caddy's log filter hash writes it.
func HashUser(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:4])
}

// Moment is a time for [State]; nil for the zero time.
func Moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}

// Text is the text of an error; empty for nil.
func Text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// SourceNames are the sources of all handlers, and of all verdicts.
func (s *State) SourceNames() []string {
	names := make(map[string]bool)
	for _, handler := range s.Handlers {
		for _, name := range handler.Sources {
			names[name] = true
		}
	}
	for _, cache := range s.Caches {
		names[cache.Source] = true
	}
	return slices.Sorted(maps.Keys(names))
}
