// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "kube-identity",
		Short: "Explains what kube_identity does with a request, what it needs, and what it keeps",
		Long: `
check shows, step by step, what the configured kube_identity does with a request:
what is stripped, which source decides and why, and what the upstream would receive.
Nothing listens and nothing is sent to the upstream; issuers, revocation servers and
the API server are asked as for a real request.

rbac prints the RBAC manifest that the configuration needs, and no more.

state shows what the running Caddy keeps: issuers and the age of their keys,
caches, credentials. flush drops verdicts. Both ask Caddy's admin API.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(checkCommand(), rbacCommand(), stateCommand(), flushCommand())
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, unknownCommand
			cmd.DisableFlagParsing = true // the word before them is wrong; each command has its own
		},
	})
}

// Exit codes of check. 1 is Caddy's own for a configuration that does not load.
const (
	exitForwarded   = 0
	exitFailed      = 1
	exitRefused     = 3 // 4xx, or redirected to the login
	exitUndecided   = 4 // 5xx
	exitUnprotected = 5 // no kube_identity guards the request's route
	exitBefore      = 6 // it is open: a handler before kube_identity decides, or the issuer that refreshes the session
)

func checkCommand() *cobra.Command {
	described := description{method: "GET", peer: "127.0.0.1"}
	var from configSource
	cmd := &cobra.Command{
		Use:   "check [--config <path> [--adapter <name>] | --address <interface>] [--envfile <path>] [--peer <ip>] [--method <method>] [-H 'Name: value']... [--set '{placeholder}=value']... [--cert <file>] [--json] [--color auto|always|never] <url>",
		Short: "Shows what becomes of a request, step by step",
		Long: `
Shows what becomes of a request, step by step. Credentials are shortened to a hash.

Exit codes: 0 the request is forwarded, 1 the configuration or the command is
wrong, 3 the request is refused or redirected to the login, 4 it could not be
decided, 5 no kube_identity guards its route, 6 a handler before kube_identity
(see --set) or the issuer that refreshes the session decides whether the request goes on.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit(cmd, exitFailed, urlError(args))
			}
			described.url = args[0]
			code, err := check(cmd.OutOrStdout(), &from, &described)
			return exit(cmd, code, err)
		},
	}
	from.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&described.peer, "peer", described.peer, "Address of the direct peer")
	flags.StringVarP(&described.method, "method", "X", described.method, "Method of the request")
	flags.StringArrayVarP(&described.headers, "header", "H", nil, "Header field of the request; may be given more than once")
	flags.StringVar(&described.color, "color", "auto", "Colours: always, never, or auto for those on a terminal, unless NO_COLOR is set")
	flags.BoolVar(&described.json, "json", false, "Print the report as JSON")
	flags.StringArrayVar(&described.set, "set", nil,
		"'{placeholder}=value': what a handler before kube_identity (basic_auth, forward_auth) finds out; may be given more than once")
	flags.StringVar(&described.certFile, "cert", "", "PEM file with the peer's TLS client certificate, and its chain")
	return cmd
}

// urlError says what is missing behind check.
func urlError(args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("there are %d URLs, or an argument is not quoted: check takes one URL, after its flags", len(args))
	}
	return errors.New("there is no URL: write that of the request, such as https://dashboard.example.com/")
}

// unknownCommand is for words that are not a command. Without a word it prints the help.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return cmd.Help()
	}
	var names []string
	for _, command := range cmd.Commands() {
		names = append(names, command.Name())
	}
	word := args[0]
	if strings.HasPrefix(word, "-") {
		return exit(cmd, exitFailed, unknownFlag(word, args[1:], names))
	}
	if nearest := option.Nearest(word, names); nearest != nil {
		return exit(cmd, exitFailed, fmt.Errorf("%q is not a command: did you mean %q?", word, nearest[0]))
	}
	return exit(cmd, exitFailed, fmt.Errorf("%q is not a command: the commands are check, flush, rbac and state", word))
}

// unknownFlag is for a flag before a command, or without one.
func unknownFlag(flag string, args, names []string) error {
	flag, _, _ = strings.Cut(flag, "=") // its value may be a credential
	for _, word := range args {
		if nearest := option.Nearest(word, names); nearest != nil && !strings.HasPrefix(word, "-") {
			return fmt.Errorf("%q stands before a command: did you mean %q, and its flags behind it?", flag, nearest[0])
		}
	}
	if nearest := option.Nearest(flag, names); nearest != nil {
		return fmt.Errorf("%q is not a command: did you mean %q?", flag, nearest[0])
	}
	return fmt.Errorf("%q stands before a command: the commands are check, flush, rbac and state, and their flags come behind them", flag)
}

func rbacCommand() *cobra.Command {
	var config, adapter string
	options := rbacOptions{subject: "caddy/caddy"}
	cmd := &cobra.Command{
		Use:   "rbac [--config <path>] [--adapter <name>] [--subject <namespace>/<name>] [--constrained]",
		Short: "Prints the RBAC manifest that the configuration needs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			content, err := loadConfig(config, adapter)
			if err == nil {
				err = rbac(cmd.OutOrStdout(), content, options)
			}
			return exit(cmd, exitForwarded, err)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&config, "config", "c", "", configUsage)
	flags.StringVarP(&adapter, "adapter", "a", "", "Name of config adapter to apply")
	flags.StringVar(&options.subject, "subject", options.subject, "Service account that Caddy runs as")
	flags.BoolVar(&options.constrained, "constrained", false,
		"Use the verbs of constrained impersonation (KEP-5284), which Kubernetes has from 1.36")
	return cmd
}

// exit ends a command. cobra writes an error to stderr; the usage is not shown with it. A
// refusal has been printed already, and is only an exit code.
func exit(cmd *cobra.Command, code int, err error) error {
	cmd.SilenceUsage = true
	if err != nil {
		return errors.New(plainLines(err.Error()))
	}
	if code == exitForwarded {
		return nil
	}
	cmd.SilenceErrors = true
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}
