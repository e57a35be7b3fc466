// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func TestFlagsRefuseNonsense(t *testing.T) {
	for args, want := range map[string]string{
		"-mode saml":                          `there is no mode "saml"`,
		"-mode session -against minimal":      "session is compared with a bearer token",
		"-mode session -tls":                  "session is compared with a bearer token",
		"-load -mode session":                 "session is measured in pairs only",
		"-flood 10 -flood-logins 10":          "are two measurements",
		"-flood-logins 10 -flood-log file":    "-flood-log has no effect on -flood-logins",
		"-against kube_identity":              `against is bare, null or minimal, and not "kube_identity"`,
		"-subject reverse_proxy":              `subject is kube_identity, bare, null or minimal, and not "reverse_proxy"`,
		"-subject null -strips 3":             "strips are a subject of their own",
		"-pairs 10":                           "fewer than 11 pairs",
		"-connections 0":                      "there is no connection",
		"-connections 65 -requests 64":        "fewer requests than connections",
		"-groups 257":                         "there are 0 to 256 groups, and not 257",
		"-groups -1":                          "there are 0 to 256 groups, and not -1",
		"-sources 0":                          "there are 1 to 5 sources, and not 0",
		"-sources 6":                          "there are 1 to 5 sources, and not 6",
		"-load -sites 0":                      "there is no site",
		"-load -reload-sites 0":               "there is no site",
		"-limit -2":                           "a ratio is never below -2",
		"-idle -1":                            "a count is never negative",
		"-flood 10 -flood-connections 0":      "there is no connection for the flood",
		"forwarded":                           `there is no argument "forwarded"`,
		"-all -growth":                        "-all and -growth are two measurements",
		"-flood 10 -chains 10":                "-chains and -flood are two measurements",
		"-all -mode oidc":                     "-mode has no effect on -all",
		"-all -against minimal":               "-against has no effect on -all",
		"-growth -groups 5":                   "-groups has no effect on -growth",
		"-load -tls":                          "-tls has no effect on -load",
		"-flood 10 -h2":                       "-h2 has no effect on -flood",
		"-chains 10 -connections 5":           "-connections has no effect on -chains",
		"-sites 5":                            "-sites is for another measurement",
		"-flood-connections 5":                "-flood-connections is for another measurement",
		"-requests twenty":                    "invalid value",
		"-http3":                              "flag provided but not defined",
		"-all -profile here -connections 700": "-profile has no effect on -all",
	} {
		t.Run(args, func(t *testing.T) {
			if _, err := parse(args); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

func TestFlagsThatGoTogether(t *testing.T) {
	for _, args := range []string{
		"", "-mode client_cert -against minimal -tls -h2 -groups 200 -sources 5 -limit 0", "-subject minimal -against null",
		"-strips 10 -limit 0", "-all -tls -idle 256 -limit 0", "-growth -mode oidc", "-load -mode oidc -sites 20", "-flood 1000 -caddy here",
		"-chains 20", "-mode session -groups 100 -limit 0", "-flood-logins 1000 -flood-connections 5",
	} {
		if _, err := parse(args); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func parse(args string) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := define(flags)
	if err := flags.Parse(strings.Fields(args)); err != nil {
		return *o, err
	}
	return read(flags, o)
}
