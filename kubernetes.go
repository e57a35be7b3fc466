// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// Kubernetes says how the plugin itself reaches the API server, for token_review and
// service_account. The API server's answers decide who a client is, so a kubeconfig that
// does not verify the server's certificate is refused.
type Kubernetes struct {
	// Kubeconfig is the path of a kubeconfig file, with a client certificate, a token, a token
	// file or an exec plugin. It is read when the configuration is loaded, and one that cannot be
	// read is refused; the files that it names are read again when they change (tokens after
	// about a minute, CAs after five). So that other machines cannot answer,
	// "insecure-skip-tls-verify" and http:// to another machine are refused. Default: in-cluster,
	// with the service account of the pod and the CA of the cluster.
	Kubeconfig string `json:"kubeconfig,omitempty"`

	// Context is the context of the kubeconfig. It is refused without one. Default: its current
	// one.
	Context string `json:"context,omitempty"`

	// Timeout of one call. Less than zero is refused. Default: 10s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// config returns the block for the guests; without a block, the defaults.
func (k *Kubernetes) config() kubernetes.Config {
	if k == nil {
		return kubernetes.Config{}
	}
	return kubernetes.Config{Kubeconfig: k.Kubeconfig, Context: k.Context, Timeout: time.Duration(k.Timeout)}
}

// validateKubernetes checks the block even when no source or injector uses it. A source or
// an injector that uses the block has already refused the same mistakes.
func (h *Handler) validateKubernetes() error {
	switch k := h.Kubernetes; {
	case k == nil:
		return nil
	case k.Context != "" && k.Kubeconfig == "":
		return fmt.Errorf("kubernetes: context %q needs a kubeconfig", k.Context)
	case k.Timeout < 0:
		return errors.New("kubernetes: timeout is less than zero")
	}
	return nil
}

// parseKubernetes parses the block of the handler. Syntax:
//
//	kubernetes {
//		kubeconfig <path> [<context>]
//		timeout    <duration>
//	}
func (h *Handler) parseKubernetes(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	k := new(Kubernetes)
	h.Kubernetes = k
	return option.Block(d, option.Options{
		"kubeconfig": func(d *caddyfile.Dispenser) error {
			var args []string
			if err := option.List(&args, option.Each(option.NotEmpty))(d); err != nil {
				return err
			}
			switch len(args) {
			case 2:
				k.Context = args[1]
				fallthrough
			case 1:
				k.Kubeconfig = args[0]
				return nil
			default:
				return d.ArgErr()
			}
		},
		"timeout": option.Duration(&k.Timeout),
	})
}
