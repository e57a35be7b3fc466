// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

func init() {
	caddy.RegisterModule(new(KubernetesService))
}

// KubernetesService is the addresses of the ready endpoints of a Kubernetes Service, one by one
// and never a range. It follows them by a watch on the Service's EndpointSlices, which sites and
// configurations share. If the Service has no endpoint, there is no address. If the API server
// is out of reach for a minute, or has not been reached yet, there is no address either; then
// kube_identity answers requests in which only a trusted proxy could say who the client is with
// 503.
//
// It trusts everyone who can write EndpointSlices in the namespace, or create pods with the
// labels that the Service selects: docs/trusted-proxies.md.
type KubernetesService struct {
	// Service is the Service whose ready endpoints are trusted. Required.
	Service string `json:"service,omitempty"`

	// HostIP are the addresses of the host of Caddy's own pod, as the downward API gives
	// "status.hostIP" or "status.hostIPs" (with commas or blanks): {env.HOST_IP}. A Service that
	// has one of them as an endpoint selects pods in the network of their hosts, and none of its
	// endpoints is trusted. A value that is empty or not an address is refused. Default: this is
	// not checked, which is logged.
	HostIP []string `json:"host_ip,omitempty" placeholders:"request"`

	// Kubeconfig is the path of a kubeconfig file. Default: as in the option "kubernetes" of the
	// same kube_identity, and otherwise in-cluster.
	Kubeconfig string `json:"kubeconfig,omitempty"`

	// Context is the context of the kubeconfig. Default: its current one.
	Context string `json:"context,omitempty"`

	state    *state
	stateKey string
	member   *guest.Member
}

// CaddyModule returns the Caddy module information.
func (*KubernetesService) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.IPSources + ".kubernetes_service", New: func() caddy.Module { return new(KubernetesService) }}
}

// Provision shares the watch of an earlier configuration, or begins one. The API server need not
// be reachable yet.
func (k *KubernetesService) Provision(ctx caddy.Context) error {
	if err := k.provision(ctx); err != nil {
		return fmt.Errorf("kubernetes_service: %w", err)
	}
	return nil
}

func (k *KubernetesService) provision(ctx caddy.Context) error {
	if err := guest.Expand(k); err != nil {
		return err
	}
	if err := CheckService(k.Service); err != nil { // before it becomes part of a request
		return err
	}
	own := struct {
		HostIP []string `json:"host_ip"`
	}{slices.Clone(k.HostIP)} // apart: the command rbac, which expands the others, does not run on that host
	if err := guest.Expand(&own); err != nil {
		return err
	}
	hosts, err := hostAddrs(own.HostIP)
	switch {
	case err != nil:
		return fmt.Errorf("host_ip: %w", err)
	case k.Context != "" && k.Kubeconfig == "":
		return fmt.Errorf("context %q needs a kubeconfig", k.Context)
	case k.Kubeconfig != "":
		ctx = guest.WithKubernetes(ctx, kubernetes.Config{Kubeconfig: k.Kubeconfig, Context: k.Context})
	}
	if len(hosts) == 0 {
		ctx.Logger().Warn("there is no host_ip: it will not be noticed if " + k.Service + " selects pods in the network of their hosts, " +
			"whose addresses others on these hosts have too")
	}
	if err := k.share(ctx, hosts); err != nil {
		return err
	}
	k.member = guest.Join(ctx, k)
	return nil
}

// Cleanup gives the watch back; the last one to do so ends it.
func (k *KubernetesService) Cleanup() error {
	k.member.Leave()
	return guest.Release(states, &k.stateKey)
}

// GetIPRanges implements [caddyhttp.IPRangeSource]. It is called for each request, and does not
// wait.
func (k *KubernetesService) GetIPRanges(*http.Request) []netip.Prefix {
	return k.state.watcher.Ranges(time.Now())
}

// Unavailable says why it is not known which peers are proxies; nil if it is known.
func (k *KubernetesService) Unavailable(now time.Time) error { return k.state.watcher.Unavailable(now) }

// Ready implements [guest.Readier].
func (k *KubernetesService) Ready(context.Context, time.Time) []guest.Condition {
	return []guest.Condition{{Kind: "service", Name: k.Service, Met: k.state.watcher.Loaded()}}
}

// ClusterNeeds implements [identity.ClusterUser].
func (k *KubernetesService) ClusterNeeds() identity.ClusterNeeds {
	return identity.ClusterNeeds{WatchEndpoints: k.Service}
}

// CheckService refuses what cannot be a namespace and the name of a Service in it (RFC 1123
// labels): both become part of a request.
func CheckService(s string) error {
	namespace, name, _ := strings.Cut(s, "/")
	if len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Label(name)) > 0 {
		return fmt.Errorf("%q is not <namespace>/<name>: write both, such as ingress/front", s)
	}
	return nil
}

// hostAddrs reads addresses, several of them with commas as the downward API writes
// status.hostIPs.
func hostAddrs(texts []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range texts {
		for one := range strings.SplitSeq(text, ",") {
			addr, err := netip.ParseAddr(one)
			if err != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is not an address", one)
			}
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, nil
}

func checkHostIP(text string) error {
	_, err := hostAddrs([]string{text})
	return err
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	trusted_proxies kubernetes_service <namespace>/<name> [{
//		host_ip    <address>...
//		kubeconfig <path> [<context>]
//	}]
func (k *KubernetesService) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume module name
	if !d.NextArg() {
		return d.ArgErr()
	}
	k.Service = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	if err := option.Unexpanded(CheckService)(k.Service); err != nil {
		return d.Errf("parsing kubernetes_service: %v", err)
	}
	return option.Block(d, option.Options{
		"host_ip":    option.List(&k.HostIP, option.Each(option.Unexpanded(checkHostIP))),
		"kubeconfig": k.parseKubeconfig,
	})
}

func (k *KubernetesService) parseKubeconfig(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.ArgErr()
	}
	if err := option.Each(option.NotEmpty)(args); err != nil {
		return d.Errf("parsing kubeconfig: %v", err)
	}
	k.Kubeconfig = args[0]
	if len(args) == 2 {
		k.Context = args[1]
	}
	return option.NoBlock(d)
}

// Interface guards
var (
	_ caddy.Provisioner       = (*KubernetesService)(nil)
	_ caddy.CleanerUpper      = (*KubernetesService)(nil)
	_ caddyfile.Unmarshaler   = (*KubernetesService)(nil)
	_ caddyhttp.IPRangeSource = (*KubernetesService)(nil)
	_ identity.ClusterUser    = (*KubernetesService)(nil)
	_ guest.Readier           = (*KubernetesService)(nil)
)
