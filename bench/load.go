// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// maxLoad is how much longer a load may take with kube_identity, and how much longer the
// slowest of a hundred requests may take beside reloads.
const maxLoad = 1.5

// measureLoad measures the load of many sites, and what reloads cost the clients.
func (l *lab) measureLoad(ctx context.Context) error {
	l.sources = maxSources
	s, err := l.scenario(l.options)
	if err != nil {
		return err
	}
	p, err := l.upstream(ctx)
	if err != nil {
		return err
	}
	var broken joined
	for _, own := range []bool{false, true} {
		broken.add(l.measureProvision(ctx, s, p, own))
	}
	broken.add(l.measureReload(ctx, s, p))
	return broken.err()
}

// maxLoad is the limit of the ratios.
func (o options) maxLoad() float64 {
	if o.limit == aim {
		return maxLoad
	}
	return o.limit
}

// sitesOf is a configuration of many sites with one of a scenario's handlers, for a server
// that runs with another. If own is set, each site has its own audience, so that the sites
// do not share the state of that source.
func (l *lab) sitesOf(s *scenario, name string, n int, own bool) func(*server, proxy) string {
	return func(to *server, p proxy) string {
		_, port, _ := net.SplitHostPort(to.addr)
		var text strings.Builder
		fmt.Fprintf(&text, siteGlobal, to.admin, l.dir, "level ERROR", "")
		for i := range n {
			directive := s.handlers[name]
			if own {
				directive = strings.ReplaceAll(directive, "audience "+audience, fmt.Sprintf("audience %s-%d", audience, i))
			}
			fmt.Fprintf(&text, siteBlock, fmt.Sprintf("http://site-%d.example.com", i), port, site(directive, p))
		}
		return text.String()
	}
}

// adapt turns a Caddyfile into the JSON for the admin API.
func (l *lab) adapt(ctx context.Context, caddyfile string) ([]byte, error) {
	path := l.file("sites.caddyfile")
	if err := os.WriteFile(path, []byte(caddyfile), 0o600); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, l.caddy, "adapt", "--config", path, "--adapter", "caddyfile")
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("adapting the configuration of the sites: %w", err)
	}
	return output, nil
}

// attempts is how often a connection is tried that Caddy resets: with each load it replaces
// its sockets, and resets the connections that wait at the old ones.
const attempts = 100

// again is the time to the next attempt.
const again = 2 * time.Millisecond

// load replaces the configuration, also by the same one, and returns when the new one runs.
func (s *server) load(ctx context.Context, config []byte) (took time.Duration, err error) {
	for range attempts {
		if took, err = s.loadOnce(ctx, config); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			break
		}
		time.Sleep(again)
	}
	return took, err
}

func (s *server) loadOnce(ctx context.Context, config []byte) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.admin+"/load", bytes.NewReader(config))
	if err != nil {
		return 0, err
	}
	request.Close = true // a load ends the connections of the admin API too
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "must-revalidate") // or the same configuration would not be loaded
	start := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("loading a configuration: status %d: %s", response.StatusCode, answer)
	}
	return time.Since(start), nil
}

// provisioned is one of the two configurations that are loaded in turn.
type provisioned struct {
	subject

	config    []byte
	took, cpu []float64 // of a load, in milliseconds
	validated []float64 // of a process that only validates, in milliseconds
}

// measureProvision loads the sites with and without kube_identity in turn, in one process,
// and before each load a configuration without any site, so that nothing is there to be
// taken over.
func (l *lab) measureProvision(ctx context.Context, s *scenario, p proxy, own bool) error {
	running, err := l.start(ctx, "provision", s, bare, p)
	if err != nil {
		return err
	}
	defer running.stop()
	empty, err := l.adapt(ctx, l.sitesOf(s, bare, 0, false)(running.server, p))
	if err != nil {
		return err
	}
	both := make([]*provisioned, 2)
	for i, name := range []string{bare, handler} {
		both[i] = &provisioned{subject: subject{running.server, s.requestOfSite(0), s.seenBehind(name)}}
		if own {
			both[i].user = "" // it is not in the audience
		}
		if both[i].config, err = l.adapt(ctx, l.sitesOf(s, name, l.sites, own)(running.server, p)); err != nil {
			return err
		}
	}
	for round := range l.pairs + 1 {
		for _, i := range order(round, len(both)) {
			if err := both[i].provision(ctx, empty, round > 0, !own); err != nil {
				return fmt.Errorf("%s: %w", both[i].name, err)
			}
			took, err := l.validate(ctx, both[i].config)
			if err != nil {
				return err
			}
			if round > 0 {
				both[i].validated = append(both[i].validated, took)
			}
		}
	}
	return l.reportProvision(both, own)
}

// validate returns how long caddy validate takes, in milliseconds: a process that starts,
// provisions the configuration, and ends.
func (l *lab) validate(ctx context.Context, config []byte) (float64, error) {
	path := l.file("sites.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return 0, err
	}
	start := time.Now()
	output, err := exec.CommandContext(ctx, l.caddy, "validate", "--config", path).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("validating the configuration of the sites: %w: %s", err, output)
	}
	return time.Since(start).Seconds() * 1000, nil
}

// provision loads the configuration once, and asks a site of it who the client is.
func (c *provisioned) provision(ctx context.Context, empty []byte, counts, ask bool) error {
	if _, err := c.load(ctx, empty); err != nil {
		return err
	}
	before, err := c.server.cpu()
	if err != nil {
		return err
	}
	took, err := c.load(ctx, c.config)
	if err != nil {
		return err
	}
	after, err := c.server.cpu()
	if counts { // the first is to warm up
		c.took, c.cpu = append(c.took, took.Seconds()*1000), append(c.cpu, (after-before)*1000)
	}
	if err != nil || !ask {
		return err
	}
	return c.send(1)
}

func (l *lab) reportProvision(both []*provisioned, own bool) error {
	what := "all alike"
	if own {
		what = "each with an audience of its own"
	}
	fmt.Printf("\n%s: a load of %d sites with %d sources, %s, median of %d pairs:\n\n", l.mode, l.sites, maxSources, what, l.pairs)
	fmt.Println("| | bare | kube_identity | ratio |\n| --- | --- | --- | --- |")
	ratio := newFigure(ratios(both[1].took, both[0].took))
	fmt.Printf("| load, ms | %.1f | %.1f | %s |\n", quantile(both[0].took, 0.5), quantile(both[1].took, 0.5), ratio)
	fmt.Printf("| CPU of a load, ms | %.1f | %.1f | %s |\n", quantile(both[0].cpu, 0.5), quantile(both[1].cpu, 0.5),
		newFigure(ratios(both[1].cpu, both[0].cpu)))
	fmt.Printf("| `caddy validate`, with its start, ms | %.0f | %.0f | %s |\n", quantile(both[0].validated, 0.5),
		quantile(both[1].validated, 0.5), newFigure(ratios(both[1].validated, both[0].validated)))
	return exceeds("the time of a load, sites "+what+",", ratio.median, l.maxLoad())
}

// requestOfSite is the request for one of many sites.
func (s *scenario) requestOfSite(n int) string {
	return strings.Replace(s.request, "Host: dashboard.example.com", fmt.Sprintf("Host: site-%d.example.com", n), 1)
}
