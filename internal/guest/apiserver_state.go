// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// apiServers holds what is known of API servers, by the fingerprint of their clients: clients
// of one API server notice together that it is lost.
var apiServers = NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// apiServerState is what clients with the same API server and credential share.
type apiServerState struct {
	server string

	mu    sync.Mutex
	asked bool
	at    time.Time // of the last answer
	err   error     // why there was none the last time
}

// Destruct implements caddy.Destructor.
func (*apiServerState) Destruct() error { return nil }

// WatchAPIServer follows how the client's API server answers, for the admin API and for events.
// It returns a key for [UnwatchAPIServer].
func WatchAPIServer(client *kubernetes.Client) (key string, err error) {
	if client.Server() == "" { // it has a fault, and asks nobody
		return "", nil
	}
	key = "api_server " + client.Fingerprint()
	value, _, err := apiServers.LoadOrNew(key, func() (caddy.Destructor, error) {
		return &apiServerState{server: client.Server()}, nil
	})
	if err != nil {
		return "", err
	}
	client.Watch(value.(*apiServerState).answered)
	return key, nil
}

// UnwatchAPIServer gives the state back, and clears key.
func UnwatchAPIServer(key *string) error { return release(apiServers, key) }

// answered is called after each call.
func (s *apiServerState) answered(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.err
	s.asked, s.err = true, err
	if err == nil {
		s.at = time.Now()
	}
	switch {
	case err != nil && was == nil:
		Emit(APIServerLost, Problem(err, map[string]any{"server": s.server}))
	case err == nil && was != nil:
		Emit(APIServerBack, map[string]any{"server": s.server})
	}
}

// Inspect implements [Inspector].
func (s *apiServerState) Inspect(into *State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := APIServerState{Server: s.server, Answered: Moment(s.at), Error: Text(s.err)}
	if s.asked {
		answers := s.err == nil
		state.Answers = &answers
	}
	into.APIServers = append(into.APIServers, state)
}
