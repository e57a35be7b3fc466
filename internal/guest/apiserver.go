// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// kubernetesKey is the key of an apiServer in the context that guests are provisioned with.
type kubernetesKey struct{}

// apiServer is how the guests of one handler reach the API server.
type apiServer struct {
	config kubernetes.Config
	warn   sync.Once
}

// WithKubernetes returns a context whose guests reach the API server as config says.
func WithKubernetes(ctx caddy.Context, config kubernetes.Config) caddy.Context {
	return ctx.WithValue(kubernetesKey{}, &apiServer{config: config})
}

// NewKubernetesClient makes a client from the config in ctx ([WithKubernetes]). Clients with
// equal keys are interchangeable. Outside of a cluster there is a client too, whose calls
// fail; the log says so once for each handler.
func NewKubernetesClient(ctx caddy.Context) (client *kubernetes.Client, key string, err error) {
	return newKubernetesClient(ctx, false)
}

// NewAnonymousKubernetesClient is [NewKubernetesClient] without a credential: each call has one
// of its own.
func NewAnonymousKubernetesClient(ctx caddy.Context) (client *kubernetes.Client, key string, err error) {
	return newKubernetesClient(ctx, true)
}

func newKubernetesClient(ctx caddy.Context, anonymous bool) (client *kubernetes.Client, key string, err error) {
	api, _ := ctx.Value(kubernetesKey{}).(*apiServer)
	if api == nil {
		api = new(apiServer)
	}
	config := api.config
	config.Anonymous = anonymous
	if config.Timeout == 0 {
		config.Timeout = kubernetes.DefaultTimeout
	}
	client, err = kubernetes.New(config)
	if err != nil {
		return nil, "", err
	}
	if fault := client.Fault(); fault != nil {
		api.warn.Do(func() {
			ctx.Logger().Warn("requests that need the API server will get 503", zap.Error(fault))
		})
	}
	return client, config.Timeout.String() + " " + client.Fingerprint(), nil
}
