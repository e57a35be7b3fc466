// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// aim is the limit for the median that depends on what is compared.
const aim = -1

type options struct {
	mode, against, subject, caddy, profile string

	pairs, requests, connections int
	groups, sources              int
	idle, strips                 int
	tls, h2                      bool
	limit                        float64

	all, growth, load  bool
	sites, reloadSites int

	chains           int
	flood            int
	floodConnections int
	floodLog         string
	floodLogins      int
}

// define names the flags.
func define(flags *flag.FlagSet) *options {
	o := new(options)
	flags.StringVar(&o.mode, "mode", "forwarded", "whose cost is measured: "+strings.Join(modeNames(), ", ")+"; session is compared with a bearer token")
	flags.StringVar(&o.against, "against", "bare", "what it is compared with: bare, null or minimal")
	flags.StringVar(&o.subject, "subject", "kube_identity", "what is measured: kube_identity, or the yardsticks bare, null or minimal")
	flags.IntVar(&o.pairs, "pairs", 21, "pairs of blocks, at least 11")
	flags.IntVar(&o.requests, "requests", 20000, "requests in a block")
	flags.IntVar(&o.connections, "connections", 64, "keep-alive connections")
	flags.IntVar(&o.groups, "groups", 0, "groups of the identity; 0 for those of the mode, a few")
	flags.IntVar(&o.sources, "sources", 1, "sources that are configured, at most 5; the last one decides")
	flags.BoolVar(&o.tls, "tls", false, "TLS from the clients to Caddy, and from Caddy to the upstream")
	flags.BoolVar(&o.h2, "h2", false, "clients speak HTTP/2; without -tls, h2c")
	flags.Float64Var(&o.limit, "limit", aim, "exit with 1 when the median ratio is above this; 0 for no limit, -1 for the project's aim")
	flags.IntVar(&o.idle, "idle", 0, "keepalive_idle_conns_per_host of both; 0 for Caddy's default of 32")
	flags.IntVar(&o.strips, "strips", 0, "measure this many request_header lines instead of kube_identity")
	flags.StringVar(&o.caddy, "caddy", "", "a built caddy; default: build ./bench/caddy")
	flags.StringVar(&o.profile, "profile", "", "a folder for a CPU profile of either server, taken after the pairs")
	flags.BoolVar(&o.all, "all", false, "measure all modes against bare and minimal instead, and print a table")
	flags.BoolVar(&o.growth, "growth", false, "measure how the cost grows with groups, sources and connections instead")
	flags.BoolVar(&o.load, "load", false, "measure how long a load of many sites takes, and what a reload costs the clients, instead")
	flags.IntVar(&o.sites, "sites", 200, "sites of -load")
	flags.IntVar(&o.reloadSites, "reload-sites", 1, "sites of the configuration that -load reloads beside requests")
	flags.IntVar(&o.chains, "chains", 0, "measure made-up chains of certificates instead, with this many blocks of each kind")
	flags.IntVar(&o.flood, "flood", 0, "measure a flood of this many bad tokens instead")
	flags.IntVar(&o.floodLogins, "flood-logins", 0, "measure a flood of this many page loads without a session instead")
	flags.IntVar(&o.floodConnections, "flood-connections", 512, "keep-alive connections of the flood")
	flags.StringVar(&o.floodLog, "flood-log", "stderr", "where caddy's log goes in a flood: stderr (into a file, as of a container), file or discard")
	return o
}

// read takes the options when the flags are parsed.
func read(flags *flag.FlagSet, o *options) (options, error) {
	if flags.NArg() > 0 {
		return *o, fmt.Errorf("there is no argument %q", flags.Arg(0))
	}
	var given []string
	flags.Visit(func(f *flag.Flag) { given = append(given, f.Name) })
	return *o, errors.Join(checkGiven(given), o.check())
}

// measurements are the flags that choose a measurement, each with the flags that it takes.
// Without any of them it is the comparison of two servers.
func measurements() map[string][]string {
	return map[string][]string{
		"all":    {"pairs", "requests", "connections", "groups", "sources", "tls", "h2", "idle", "limit"},
		"growth": {"mode", "pairs", "requests", "connections", "tls", "h2", "idle", "limit"},
		"load":   {"mode", "pairs", "connections", "idle", "sites", "reload-sites", "limit"},
		"flood":  {"flood-connections", "flood-log"},
		"chains": nil,

		"flood-logins": {"flood-connections"},
		"": {
			"mode", "against", "subject", "pairs", "requests", "connections", "groups", "sources", "tls", "h2", "idle", "limit",
			"strips", "profile",
		},
	}
}

// checkGiven refuses a flag that would change nothing.
func checkGiven(given []string) error {
	chosen := ""
	for _, name := range given {
		if _, ok := measurements()[name]; !ok {
			continue
		}
		if chosen != "" {
			return fmt.Errorf("-%s and -%s are two measurements", chosen, name)
		}
		chosen = name
	}
	for _, name := range given {
		if name != chosen && name != "caddy" && !slices.Contains(measurements()[chosen], name) {
			if chosen == "" {
				return fmt.Errorf("-%s is for another measurement", name)
			}
			return fmt.Errorf("-%s has no effect on -%s", name, chosen)
		}
	}
	return nil
}

// check refuses values that cannot be measured, or that would prove nothing.
func (o options) check() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(!slices.Contains(modeNames(), o.mode) && o.mode != sessionMode, "there is no mode %q", o.mode)
	refuse(o.mode == sessionMode && (o.against != bare || o.subject != handler || o.sources != 1 || o.strips+len(o.profile) > 0 || o.tls || o.h2),
		"session is compared with a bearer token, over plain HTTP/1.1 and with one source")
	refuse(o.mode == sessionMode && (o.growth || o.load), "session is measured in pairs only")
	refuse(!slices.Contains([]string{bare, null, minimal}, o.against), "against is bare, null or minimal, and not %q", o.against)
	refuse(!slices.Contains([]string{handler, bare, null, minimal}, o.subject),
		"subject is kube_identity, bare, null or minimal, and not %q", o.subject)
	refuse(o.strips > 0 && o.subject != handler, "strips are a subject of their own, beside %q", o.subject)
	refuse(o.pairs < 11, "fewer than 11 pairs prove nothing on a shared machine")
	refuse(o.connections < 1, "there is no connection")
	refuse(o.requests < o.connections, "there are fewer requests than connections")
	refuse(o.groups < 0 || o.groups > 256, "there are 0 to 256 groups, and not %d: kube_identity refuses more", o.groups)
	refuse(o.sources < 1 || o.sources > maxSources, "there are 1 to %d sources, and not %d", maxSources, o.sources)
	refuse(o.sites < 1 || o.reloadSites < 1, "there is no site")
	refuse(o.limit < 0 && o.limit != aim, "a ratio is never below %v", o.limit)
	refuse(min(o.idle, o.strips, o.chains, o.flood, o.floodLogins) < 0, "a count is never negative")
	refuse(o.floodConnections < 1, "there is no connection for the flood")
	return errors.Join(errs...)
}
