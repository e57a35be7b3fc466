// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// kubernetesKey is the key of a kubernetes.Config in the context that guests are
// provisioned with.
type kubernetesKey struct{}

// WithKubernetes returns a context whose guests reach the API server as config says.
func WithKubernetes(ctx caddy.Context, config kubernetes.Config) caddy.Context {
	return ctx.WithValue(kubernetesKey{}, config)
}

// NewKubernetesClient makes a client from the config in ctx ([WithKubernetes]). Clients with
// equal keys are interchangeable.
func NewKubernetesClient(ctx caddy.Context) (client *kubernetes.Client, key string, err error) {
	config, _ := ctx.Value(kubernetesKey{}).(kubernetes.Config)
	if config.Timeout == 0 {
		config.Timeout = kubernetes.DefaultTimeout
	}
	client, err = kubernetes.New(config)
	if err != nil {
		return nil, "", err
	}
	return client, config.Timeout.String() + " " + client.Fingerprint(), nil
}
