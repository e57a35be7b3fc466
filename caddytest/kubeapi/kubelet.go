// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	streamIdleTimeout     = time.Hour
	streamCreationTimeout = 30 * time.Second
	tick                  = 100 * time.Millisecond
)

// kubelet is the part of a kubelet that the API server uses for exec, attach,
// port-forward and logs. The streams are Kubernetes' own code; their other end is not:
// any pod and container exists, and no program of this machine runs in it. See container
// for its commands.
type kubelet struct {
	listen, certFile, keyFile, clientCAFile string
}

// start listens, and accepts only clients with a certificate of the authority.
func (k kubelet) start(ctx context.Context) error {
	authority, err := os.ReadFile(k.clientCAFile)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return errors.New("no certificate in " + k.clientCAFile)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", k.listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           k.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert,
			ClientCAs:  clients,
			MinVersion: tls.VersionTLS12,
		},
	}
	go func() {
		fmt.Fprintln(os.Stderr, "kubelet:", server.ServeTLS(listener, k.certFile, k.keyFile))
	}()
	return nil
}

// handler has the paths that kube-apiserver requests: see LogLocation, streamLocation and
// PortForwardLocation in its pkg/registry/core/pod.
func (k kubelet) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", exec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", attach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", forward)
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", logs)
	return mux
}

func exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, container{}, r.PathValue("pod"), "", r.PathValue("container"),
		r.URL.Query()["command"], options, streamIdleTimeout, streamCreationTimeout,
		remotecommand.SupportedStreamingProtocols)
}

func attach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, container{}, r.PathValue("pod"), "", r.PathValue("container"),
		options, streamIdleTimeout, streamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func forward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, container{}, r.PathValue("pod"), "", options,
		streamIdleTimeout, streamCreationTimeout, portforward.SupportedProtocols)
}

// logs writes ten lines, "line 1" to "line 10", or the last of them as in tailLines, and
// with follow another one each tick until the connection ends.
func logs(w http.ResponseWriter, r *http.Request) {
	const last = 10
	query, first := r.URL.Query(), 1
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		first = max(1, last+1-tail)
	}
	for line := first; line <= last || query.Get("follow") == "true"; line++ {
		if line > last {
			time.Sleep(tick)
		}
		if _, err := fmt.Fprintf(w, "line %d\n", line); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}
