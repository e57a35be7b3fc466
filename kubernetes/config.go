// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// serviceAccountDir is where the kubelet puts the service account of a pod.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// inCluster is the configuration that Kubernetes gives to pods. Unlike client-go's
// function of that name it refuses to work without the cluster's CA: client-go prints a
// line and trusts every public one.
func inCluster(dir string) (*rest.Config, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("not in a cluster, and no kubeconfig is given")
	}
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, port),
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
		BearerTokenFile: filepath.Join(dir, "token"),
	}, nil
}

// fromKubeconfig is the configuration of one context of a kubeconfig. It checks the
// fields that clientcmd would fill in from elsewhere, such as an empty server
// (localhost).
func fromKubeconfig(path, context string) (*rest.Config, error) {
	file, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %q: %w", path, err)
	}
	if err := clientcmd.ResolveLocalPaths(file); err != nil {
		return nil, fmt.Errorf("reading kubeconfig %q: %w", path, err)
	}
	if context == "" {
		context = file.CurrentContext
	}
	if context == "" {
		return nil, fmt.Errorf("reading kubeconfig %q: no context is given, and it has no current-context", path)
	}
	if err := checkContext(file, context); err != nil {
		return nil, fmt.Errorf("reading kubeconfig %q: %w", path, err)
	}
	overrides := new(clientcmd.ConfigOverrides)
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, context, overrides, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %q: context %q: %w", path, context, err)
	}
	config.BearerToken = strings.TrimSpace(config.BearerToken) // a token file ends in a line break
	if config.ExecProvider != nil {
		config.ExecProvider.StdinUnavailable = true
		config.ExecProvider.StdinUnavailableMessage = "a server has no terminal"
	}
	return config, nil
}

// checkContext refuses a context that is incomplete or not allowed.
func checkContext(file *clientcmdapi.Config, name string) error {
	context := file.Contexts[name]
	if context == nil {
		return fmt.Errorf("it has no context %q", name)
	}
	cluster := file.Clusters[context.Cluster]
	switch {
	case cluster == nil:
		return fmt.Errorf("context %q: it has no cluster %q", name, context.Cluster)
	case cluster.Server == "":
		return fmt.Errorf("cluster %q has no server", context.Cluster)
	case cluster.InsecureSkipTLSVerify:
		return fmt.Errorf("cluster %q has insecure-skip-tls-verify, but its answers decide which user a client is", context.Cluster)
	case context.AuthInfo != "" && file.AuthInfos[context.AuthInfo] == nil:
		return fmt.Errorf("context %q: it has no user %q", name, context.AuthInfo)
	}
	if cluster.ProxyURL != "" {
		// clientcmd's own error would show its password
		proxy, err := url.Parse(cluster.ProxyURL)
		if err != nil || proxy.Scheme != "http" && proxy.Scheme != "https" && proxy.Scheme != "socks5" || proxy.Host == "" {
			return fmt.Errorf("cluster %q: proxy-url is not an http, https or socks5 URL", context.Cluster)
		}
	}
	return nil
}

// serverOf is the URL of the API server.
func serverOf(config *rest.Config) (*url.URL, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, errors.New("the server is not a URL") // url's own error could show a password
	}
	switch {
	case server.User != nil:
		return nil, fmt.Errorf("the URL of server %q has a user", server.Host)
	case server.RawQuery != "" || server.Fragment != "":
		return nil, fmt.Errorf("the URL of server %q has a query or a fragment", server.Host)
	case server.Scheme == "https":
		return server, nil
	case server.Scheme != "http":
		return nil, fmt.Errorf("the URL of server %q is neither https nor http", server.Host)
	}
	host := server.Hostname()
	if addr, err := netip.ParseAddr(host); strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback() {
		return server, nil
	}
	return nil, fmt.Errorf("the URL of server %q is http, which is allowed for a server on this machine only", server.Host)
}
