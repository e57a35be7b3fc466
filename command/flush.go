// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func flushCommand() *cobra.Command {
	var at endpoint
	var what guest.Flush
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "flush {--user <name> | --issuer <url> | --source <name>}... [--json] [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Drops verdicts that the running Caddy keeps",
		Long: `
Drops verdicts that the running Caddy keeps, so that credentials are judged
again. Of several flags all must match. Refusals have no user, and are dropped
with every flush of their source. With --issuer its keys are fetched again, too.

A browser session stays: its ID token is judged again. Connections that are
open stay open.

Exit codes: 0 the verdicts are dropped, 1 the command is wrong, or the admin API
does not answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if what == (guest.Flush{}) {
				return exit(cmd, exitFailed, errors.New("there is neither --user nor --issuer nor --source"))
			}
			var dropped guest.Flushed
			answer, err := at.askFor(http.MethodPost, "/kube_identity/flush", what, &dropped)
			switch {
			case err != nil:
				return exit(cmd, exitFailed, err)
			case asJSON:
				fmt.Fprint(cmd.OutOrStdout(), plainJSON(answer))
			default:
				fmt.Fprintf(cmd.OutOrStdout(), "verdicts dropped: %d, refusals dropped: %d\n", dropped.Verdicts, dropped.Refusals)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&what.User, "user", "", "Drop the verdicts on this user")
	flags.StringVar(&what.Issuer, "issuer", "", "Drop the verdicts on tokens of this issuer")
	flags.StringVar(&what.Source, "source", "", "Drop the verdicts of this source, such as oidc")
	flags.BoolVar(&asJSON, "json", false, "Print the answer as JSON")
	at.flags(cmd)
	return cmd
}
