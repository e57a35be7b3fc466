// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

const (
	// defaultExpiration is the lifetime that is requested by default.
	defaultExpiration = time.Hour

	// minExpiration and maxExpiration are what the API server accepts
	// (k8s.io/kubernetes, pkg/apis/authentication/validation).
	minExpiration = 10 * time.Minute
	maxExpiration = 1 << 32 * time.Second
)

// ServiceAccount is a service account whose short-lived tokens the proxy asks the API
// server for (TokenRequest), and impersonates with. One token serves all sites and is
// kept across reloads: upstreams such as Kiali keep a client for each token that they
// see. It is renewed at about 80 % of its lifetime. If it cannot be renewed, it is used
// until it expires; then requests get 503.
//
// The proxy needs the permission to create serviceaccounts/token of this one account.
type ServiceAccount struct {
	// Namespace is the namespace of the account. Required.
	Namespace string `json:"namespace,omitempty"`

	// Name is the name of the account. Required.
	Name string `json:"name,omitempty"`

	// Audience is the token's audience. Default: the API server.
	Audience []string `json:"audience,omitempty"`

	// Expiration is the lifetime that is requested for a token: at least 10m. The API server may
	// shorten it. Default: 1h.
	Expiration caddy.Duration `json:"expiration,omitempty"`

	stateKey string
}

// serviceAccountStates holds what outlives a configuration, by a hash of what it depends
// on.
var serviceAccountStates = guest.NewPool() //nolint:gochecknoglobals // a UsagePool is what outlives a configuration

// serviceAccountState is what sites with the same service account share.
type serviceAccountState struct {
	client     *kubernetes.Client
	credential *impersonation.ServiceAccount
	expires    atomic.Int64 // seconds since 1970
	name       string
	server     string // key of [guest.WatchAPIServer]
}

// Destruct implements caddy.Destructor.
func (s *serviceAccountState) Destruct() error {
	guest.Retire(s, func() {
		s.credential.Close()
		s.client.Close()
	})
	return guest.UnwatchAPIServer(&s.server)
}

// String returns the account as <namespace>/<name>.
func (s *ServiceAccount) String() string { return s.Namespace + "/" + s.Name }

// provision shares the token of an earlier configuration, or begins to request one. It
// does not wait.
func (s *ServiceAccount) provision(ctx caddy.Context) (impersonation.Credential, error) {
	if err := s.validate(); err != nil { // before these names become part of a request
		return nil, err
	}
	if s.Expiration == 0 {
		s.Expiration = caddy.Duration(defaultExpiration)
	}
	client, key, err := guest.NewKubernetesClient(ctx)
	if err != nil {
		return nil, err
	}
	key, err = guest.StateKey("service_account", s, key)
	if err != nil {
		return nil, err
	}
	value, loaded, err := serviceAccountStates.LoadOrNew(key, func() (caddy.Destructor, error) {
		return s.newState(client)
	})
	if err != nil {
		return nil, err
	}
	s.stateKey = key
	if loaded {
		client.Close()
	}
	state := value.(*serviceAccountState)
	err = guest.MetricsOf(ctx).WatchCredential(s.String(), func() time.Time {
		if seconds := state.expires.Load(); seconds != 0 {
			return time.Unix(seconds, 0)
		}
		return time.Time{}
	})
	return state.credential, err
}

func (s *ServiceAccount) newState(client *kubernetes.Client) (*serviceAccountState, error) {
	namespace, name, audience, expiration := s.Namespace, s.Name, s.Audience, time.Duration(s.Expiration)
	state := &serviceAccountState{client: client, name: s.String()}
	var err error
	if state.server, err = guest.WatchAPIServer(client); err != nil {
		return nil, err
	}
	state.credential = &impersonation.ServiceAccount{
		Request: func(ctx context.Context) (string, time.Time, error) {
			return client.RequestToken(ctx, namespace, name, audience, expiration)
		},
		OnRenewal: state.renewed,
		OnChange:  credentialLost("service_account " + state.name),
		OnProblem: func(message string, err error) {
			if client.Fault() != nil {
				return // it was logged at load, and does not change
			}
			caddy.Log().Named(guest.Injectors+".impersonation").
				Warn(message, zap.String("service_account", namespace+"/"+name), zap.Error(err))
		},
	}
	state.credential.Start()
	return state, nil
}

func (s *ServiceAccount) cleanup() error { return guest.Release(serviceAccountStates, &s.stateKey) }

// validate refuses names and lifetimes that the API server does not accept.
func (s *ServiceAccount) validate() error {
	if err := CheckServiceAccount(s.String()); err != nil {
		return err
	}
	if err := option.Each(option.NotEmpty)(s.Audience); err != nil {
		return fmt.Errorf("audience: %w", err)
	}
	if s.Expiration != 0 {
		if err := checkExpiration(time.Duration(s.Expiration)); err != nil {
			return fmt.Errorf("expiration: %w", err)
		}
	}
	return nil
}

// CheckServiceAccount refuses what cannot be a namespace (an RFC 1123 label) and the name
// of a service account in it (an RFC 1123 subdomain): both become part of a path.
func CheckServiceAccount(s string) error {
	namespace, name, found := strings.Cut(s, "/")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 {
		return fmt.Errorf("%q is not <namespace>/<name>: write both, such as kiali-proxy/impersonator", s)
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(validation.IsDNS1123Label(label)) > 0 || len(name) > validation.DNS1123SubdomainMaxLength {
			return fmt.Errorf("%q is not <namespace>/<name>: write both, such as kiali-proxy/impersonator", s)
		}
	}
	return nil
}

func checkExpiration(d time.Duration) error {
	switch {
	case d < minExpiration:
		return errors.New("it is less than 10m, the least that the API server accepts")
	case d > maxExpiration:
		return errors.New("it is more than 2^32 seconds, the most that the API server accepts")
	}
	return nil
}

// parseServiceAccount parses the option of inject impersonation. Syntax:
//
//	service_account <namespace>/<name> [{
//		audience   <value>...
//		expiration <duration>
//	}]
func (i *Impersonation) parseServiceAccount(d *caddyfile.Dispenser) error {
	var name string
	if !d.AllArgs(&name) {
		return d.ArgErr()
	}
	if err := option.Unexpanded(CheckServiceAccount)(name); err != nil {
		return d.Errf("parsing service_account: %v", err)
	}
	account, found := new(ServiceAccount), false
	if account.Namespace, account.Name, found = strings.Cut(name, "/"); !found { // one placeholder for both
		return d.Errf("parsing service_account: %q is not <namespace>/<name>: write both, such as kiali-proxy/impersonator", name)
	}
	i.ServiceAccount = account
	return option.Block(d, option.Options{
		"audience": option.List(&account.Audience, option.Each(option.NotEmpty)),
		"expiration": func(d *caddyfile.Dispenser) error {
			if err := option.Duration(&account.Expiration)(d); err != nil {
				return err
			}
			if err := checkExpiration(time.Duration(account.Expiration)); err != nil {
				return d.Errf("parsing expiration: %v", err)
			}
			return nil
		},
	})
}
