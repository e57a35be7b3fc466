// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// DefaultTimeout is how long one call may take by default.
	DefaultTimeout = 10 * time.Second

	// maxHeader is how large the header of an answer may be, in bytes.
	maxHeader = 64 << 10
)

// Config says where the API server is, and as which client the plugin asks it.
type Config struct {
	// Kubeconfig is the path of a kubeconfig file. Its credentials are client-go's:
	// client certificate, token, token file, exec plugin, impersonation. Files that it
	// names are read again when they change: token files about every minute, CA files
	// every five. Refused: insecure-skip-tls-verify, since the answers decide which user
	// a client is, and http:// to another machine. Default: the service account of the
	// pod.
	Kubeconfig string

	// Context is the kubeconfig's context to use. Default: its current-context.
	Context string

	// Timeout of one call. Default: [DefaultTimeout].
	Timeout time.Duration

	// Anonymous leaves the credential out: each call has one of its own.
	Anonymous bool
}

// Client calls one API server, over HTTP/1.1 only: over HTTP/2 each 401 makes the API
// server send GOAWAY (its gate UnauthenticatedHTTP2DOSMitigation), and other callers'
// requests on that connection fail. It follows no redirect, which would carry a token
// elsewhere (CVE-2022-3172), uses no proxy from the environment, repeats nothing and
// limits what it reads. It does not limit how often it asks.
type Client struct {
	transport   http.RoundTripper
	server      *url.URL
	timeout     time.Duration
	fingerprint string
	decoder     runtime.Decoder
	fault       error // why every call fails; nil for a client that works
	watch       func(err error)
}

// New reads the configuration and the files that it names. It sends nothing: an API
// server that is out of reach is noticed by the first call.
//
// Without a kubeconfig the environment is that of a pod. If it is not (caddy validate runs
// where configurations are written, and not where they are used), there is a client
// nevertheless, whose calls all fail; [Client.Fault] says why.
func New(config Config) (*Client, error) {
	switch {
	case config.Timeout < 0:
		return nil, fmt.Errorf("the timeout %v is negative", config.Timeout)
	case config.Kubeconfig != "":
		from, err := fromKubeconfig(config.Kubeconfig, config.Context)
		if err != nil {
			return nil, err
		}
		return newClient(config.reduced(from), config.Timeout)
	case config.Context != "":
		return nil, fmt.Errorf("context %q needs a kubeconfig", config.Context)
	}
	client, err := newInCluster(config)
	if err != nil {
		return &Client{fault: err, fingerprint: err.Error()}, nil //nolint:nilerr // every call returns it
	}
	return client, nil
}

func newInCluster(config Config) (*Client, error) {
	from, err := inCluster(serviceAccountDir)
	if err != nil {
		return nil, err
	}
	return newClient(config.reduced(from), config.Timeout)
}

// reduced leaves the credential out where that is asked for. A client certificate would come
// before the credential of a call, at the API server.
func (c Config) reduced(from *rest.Config) *rest.Config {
	if c.Anonymous {
		return rest.AnonymousClientConfig(from)
	}
	return from
}

// newClient makes a client from the settings of a kubeconfig or a pod.
func newClient(from *rest.Config, timeout time.Duration) (*Client, error) {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	server, err := serverOf(from)
	if err != nil {
		return nil, err
	}
	hash, err := fingerprint(from, server)
	if err != nil {
		return nil, err
	}
	transport, err := transportFor(from)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := authenticationv1.AddToScheme(scheme); err != nil { // it includes metav1's Status
		return nil, fmt.Errorf("registering authentication.k8s.io/v1: %w", err)
	}
	return &Client{
		transport:   transport,
		server:      server,
		timeout:     timeout,
		fingerprint: hash,
		decoder:     json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{}),
	}, nil
}

// transportFor is client-go's transport, which has the credentials and reads files again,
// with the limits that [Client] describes.
func transportFor(from *rest.Config) (http.RoundTripper, error) {
	config := rest.CopyConfig(from)
	config.UserAgent = "caddy-kube-identity"
	config.NextProtos = []string{"http/1.1"}
	config.DisableCompression = true
	if config.Proxy == nil { // nil would mean the environment's
		config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	var base http.RoundTripper
	config.Wrap(func(below http.RoundTripper) http.RoundTripper {
		base = below
		return below
	})
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing the connection to the API server: %w", err)
	}
	for {
		switch below := base.(type) {
		case *http.Transport:
			below.Protocols = new(http.Protocols)
			below.Protocols.SetHTTP1(true)
			below.MaxResponseHeaderBytes = maxHeader
			return transport, nil
		case utilnet.RoundTripperWrapper:
			base = below.WrappedRoundTripper()
		default:
			return nil, errors.New("preparing the connection to the API server: client-go has no HTTP transport")
		}
	}
}

// Fingerprint is a hash of everything the answers depend on: the server, the CAs as they
// were when the client was made, and the plugin's credential. Clients with equal
// fingerprints may share their caches; the timeout is not part of it. It is a key and
// must not be logged, since a short password could be guessed from it.
func (c *Client) Fingerprint() string { return c.fingerprint }

// Fault is why no call can succeed, whatever the API server says: the process is not in a pod.
// It is nil for a client that works.
func (c *Client) Fault() error { return c.fault }

// Server is the URL of the API server; empty for a client with a fault.
func (c *Client) Server() string {
	if c.server == nil {
		return ""
	}
	return c.server.String()
}

// Watch sets what is called after each call: with nil if the API server answered, and otherwise
// with the reason. An answer with a status of 500 or more is not one, and a call that its caller
// gave up says nothing. It is called before the first call, and watch must not wait.
func (c *Client) Watch(watch func(err error)) { c.watch = watch }

// Close closes idle connections. Calls that are under way end by their context.
func (c *Client) Close() {
	if c.fault == nil {
		utilnet.CloseIdleConnectionsFor(c.transport)
	}
}
