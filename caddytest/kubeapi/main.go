// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// settings are the program's own flags.
type settings struct {
	dataDir, listen string
	kubelet         kubelet
}

func main() {
	var config settings
	flag.StringVar(&config.dataDir, "data-dir", "", "folder for etcd's data and socket")
	flag.StringVar(&config.listen, "listen", "127.0.0.1:0", "address of the API server")
	flag.StringVar(&config.kubelet.listen, "kubelet-listen", "", "address of the kubelet; empty for none")
	flag.StringVar(&config.kubelet.certFile, "kubelet-cert-file", "", "the kubelet's certificate")
	flag.StringVar(&config.kubelet.keyFile, "kubelet-key-file", "", "the kubelet's key")
	flag.StringVar(&config.kubelet.clientCAFile, "kubelet-client-ca-file", "", "authority of the kubelet's clients")
	flag.Parse()
	go exitWithStdin()
	if err := run(context.Background(), config, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "kubeapi:", err)
		os.Exit(1)
	}
}

// exitWithStdin ends the process when its parent closes the pipe or dies. There is no
// orderly shutdown: it takes seconds, and the data is either thrown away or read again as
// after a crash.
func exitWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func run(ctx context.Context, config settings, flags []string) error {
	if config.dataDir == "" {
		return errors.New("--data-dir is missing")
	}
	etcd, err := startEtcd(config.dataDir)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	// The listener is opened here, before the server is configured, so that no other
	// process can take the port in between.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if config.kubelet.listen != "" {
		if err := config.kubelet.start(ctx); err != nil {
			return fmt.Errorf("starting the kubelet: %w", err)
		}
	}
	go announce(ctx, listener.Addr().String())
	flags = append(flags, "--etcd-servers="+etcd)
	if err := serve(ctx, listener, flags); err != nil {
		return fmt.Errorf("running kube-apiserver: %w", err)
	}
	return nil
}

// startEtcd starts a single etcd member that listens on a unix socket only and
// returns its URL.
func startEtcd(dataDir string) (string, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, "c.sock")}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls = nil // there are no peers
	config.UnsafeNoFsync = true // the data may outlive the process, but not the machine
	config.LogLevel = "warn"
	config.LogOutputs = []string{"stderr"}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return client.String(), nil
	case err := <-etcd.Err():
		return "", err
	}
}

// serve does the same as kube-apiserver's own command, except that it brings its own
// listener, which no flag can express.
func serve(ctx context.Context, listener net.Listener, flags []string) error {
	opts := options.NewServerRunOptions()
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, named := range opts.Flags().FlagSets {
		set.AddFlagSet(named)
	}
	if err := set.Parse(flags); err != nil {
		return err
	}
	opts.SecureServing.Listener = listener
	opts.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	registry := opts.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return err
	}
	gates := registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(opts.Logs, gates); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{}) // as upstream does: its own requests need no warnings
	completed, err := opts.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	if mutable, ok := gates.(featuregate.MutableFeatureGate); ok {
		mutable.AddMetrics()
	}
	return app.Run(ctx, completed)
}

// announce waits until the server at address is ready and then prints its address.
func announce(ctx context.Context, address string) {
	client := &http.Client{
		Timeout: 5 * time.Second,
		// It asks a listener of this process, so there is no server to verify.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	for !ready(ctx, client, "https://"+address+"/readyz") {
		time.Sleep(50 * time.Millisecond)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"address": address})
}

func ready(ctx context.Context, client *http.Client, target string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}
