// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource

import (
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/endpoints"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// states holds what outlives a configuration, by a hash of what it depends on.
var states = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// state is one watch, which sites with the same Service and API server share.
type state struct {
	service string
	client  *kubernetes.Client
	watcher *endpoints.Watcher
	server  string // key of [guest.WatchAPIServer]
}

// share takes the watch of an earlier configuration, or begins one.
func (k *KubernetesService) share(ctx caddy.Context, hosts []netip.Addr) error {
	client, key, err := guest.NewKubernetesClient(ctx)
	if err != nil {
		return err
	}
	key, err = guest.StateKey("kubernetes_service", struct {
		Service string
		Hosts   []netip.Addr
	}{k.Service, hosts}, key)
	if err != nil {
		return err
	}
	value, loaded, err := states.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newState(client, k.Service, hosts)
	})
	if err != nil {
		return err
	}
	k.stateKey = key
	if loaded {
		client.Close()
	}
	k.state = value.(*state)
	return nil
}

func newState(client *kubernetes.Client, service string, hosts []netip.Addr) (*state, error) {
	s := &state{service: service, client: client}
	var err error
	if s.server, err = guest.WatchAPIServer(client); err != nil {
		return nil, err
	}
	namespace, name, _ := strings.Cut(service, "/")
	s.watcher = endpoints.New(endpoints.Config{
		Client: client, Fault: client.Fault(), Namespace: namespace, Service: name, Hosts: hosts,
		OnProblem: s.logProblem,
		OnChange: func(count int) {
			s.logger().Info("the endpoints have changed", zap.String("service", service), zap.Int("endpoints", count))
		},
		OnUse: s.used,
	})
	s.watcher.Start()
	return s, nil
}

// Destruct implements caddy.Destructor. Requests of the last configuration are answered by what
// is known, until that is stale.
func (s *state) Destruct() error {
	s.watcher.Close()
	s.client.Close()
	return guest.UnwatchAPIServer(&s.server)
}

func (*state) logger() *zap.Logger { return caddy.Log().Named(guest.IPSources + ".kubernetes_service") }

func (s *state) logProblem(message string, err error) {
	if err == nil {
		s.logger().Info(message, zap.String("service", s.service))
		return
	}
	s.logger().Error(message, zap.String("service", s.service), zap.Error(err))
}

// used logs and tells the events app that no endpoint is trusted any more, or that they are again.
func (s *state) used(err error) {
	if err != nil {
		s.logger().Error("no endpoint is trusted", zap.String("service", s.service), zap.Error(err))
		guest.Emit(guest.ProxiesLost, guest.Problem(err, map[string]any{"service": s.service}))
		return
	}
	s.logger().Info("the endpoints are trusted again", zap.String("service", s.service))
	guest.Emit(guest.ProxiesBack, map[string]any{"service": s.service})
}

// Inspect implements [guest.Inspector].
func (s *state) Inspect(into *guest.State) {
	now := time.Now()
	err := s.watcher.Unavailable(now)
	shown := guest.ServiceState{
		Service: s.service, Server: s.client.Server(), Usable: err == nil,
		Endpoints: len(s.watcher.Ranges(now)), Heard: guest.Moment(s.watcher.Heard()),
	}
	if err == nil {
		err = s.watcher.Problem()
	}
	shown.Error = guest.Text(err)
	if shown.Heard != nil {
		age := int64(now.Sub(s.watcher.Heard()) / time.Second)
		shown.AgeSeconds = &age
	}
	into.Services = append(into.Services, shown)
}

// Interface guards
var (
	_ caddy.Destructor = (*state)(nil)
	_ guest.Inspector  = (*state)(nil)
)
