// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Injector is what a guest module in the namespace http.kube_identity.injectors
// implements. A guest in http.kube_identity.sources implements [identity.Source].
type Injector interface {
	identity.Injector

	// ForSources names the sources whose identities it writes; none means all.
	ForSources() []string
}

// Scope is the option that every injector has.
type Scope struct {
	// Sources are the names of the sources whose identities this injector writes.
	// Default: all.
	Sources []string `json:"sources,omitempty"`
}

// ForSources implements [Injector].
func (s *Scope) ForSources() []string { return s.Sources }

// parseSources parses the option sources. Names that no module has are refused here;
// whether the source is configured is judged in Validate.
func (s *Scope) parseSources(d *caddyfile.Dispenser) error {
	return list(&s.Sources, each(func(name string) error {
		if _, err := caddy.GetModule(sourceNamespace + "." + name); err != nil {
			return fmt.Errorf("there is no kind of source named %q", name)
		}
		return nil
	}))(d)
}

// source is one configured source, with what is needed once it has decided.
type source struct {
	identity.Source

	name      string
	nameValue any        // name, as a placeholder's value: boxed once
	onFailure bool       // a fallback that is also asked after a bad credential
	injectors []Injector // those that write its identities
	metrics   sourceMetrics
}

// label is the name for a log or a metric, also where no source decided.
func (s *source) label() string {
	if s == nil {
		return "none"
	}
	return s.name
}

// ask has the source look at a request, and holds it to its contract: an identity or
// an error that wraps a sentinel. A panic is an error too.
func (s *source) ask(ctx context.Context, req *request) (decided *source, id *identity.Identity, err error) {
	start := time.Now()
	id, err = s.authenticate(ctx, &req.Request)
	s.metrics.seconds.Observe(time.Since(start).Seconds())
	if err != nil {
		return s, nil, err
	}
	id.Source = s.name
	return s, id, nil
}

func (s *source) authenticate(ctx context.Context, req *identity.Request) (id *identity.Identity, err error) {
	defer recovered(&err)
	id, err = s.Authenticate(ctx, req)
	if err == nil && id == nil {
		return nil, identity.ErrInternal
	}
	return id, classified(err)
}

// sourceMetrics are the counters of one source, looked up once.
type sourceMetrics struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
}
