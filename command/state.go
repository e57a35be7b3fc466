// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func stateCommand() *cobra.Command {
	var at endpoint
	var users string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "state [--users none|hashed|names] [--json] [--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Shows what the running Caddy keeps",
		Long: `
Shows what the running Caddy keeps: issuers and the age of their keys, caches,
credentials, lists of revoked certificates, and the peers that are trusted.

Users are counted; --users hashed or names lists them. A hash is the one that
Caddy's log filter hash writes.

Exit codes: 0 the state is shown, 1 the command is wrong, or the admin API does
not answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := map[string]string{"none": "hashed", "hashed": "hashed", "names": "names"}[users]
			if query == "" {
				return exit(cmd, exitFailed, errors.New("--users is not none, hashed or names"))
			}
			state := new(guest.State)
			answer, err := at.askFor(http.MethodGet, "/kube_identity/state?users="+query, nil, state)
			switch {
			case err != nil:
				return exit(cmd, exitFailed, err)
			case asJSON:
				fmt.Fprint(cmd.OutOrStdout(), plainJSON(answer))
			default:
				printState(cmd.OutOrStdout(), state, users != "none")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&users, "users", "none", "List the users with a verdict: none, hashed or names")
	flags.BoolVar(&asJSON, "json", false, "Print the answer as JSON")
	at.flags(cmd)
	return cmd
}

// table is one table of the state. The last column is empty for what is well.
type table struct {
	title string
	head  []string
	rows  [][]string
}

// printState prints a table for each kind of thing that is there.
func printState(out io.Writer, state *guest.State, users bool) {
	tables := []table{
		handlersTable(state), issuersTable(state), loginsTable(state), credentialsTable(state), listsTable(state),
		apiServersTable(state), servicesTable(state), filesTable(state), sessionsTable(state), cachesTable(state),
	}
	if users {
		tables = append(tables, usersTable(state))
	}
	printed := false
	for _, t := range tables {
		if len(t.rows) == 0 {
			continue
		}
		if printed {
			fmt.Fprintln(out)
		}
		printed = true
		fmt.Fprintln(out, t.title)
		aligned := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			for n, cell := range row {
				row[n] = cmp.Or(plain(cell), "-")
			}
			fmt.Fprintf(aligned, "  %s\n", strings.Join(row, "\t"))
		}
		_ = aligned.Flush()
	}
	if !printed {
		fmt.Fprintln(out, "No kube_identity is in force.")
	}
}

// plain keeps a name from writing anything but itself to a terminal. A mark of direction would
// reorder the row (CVE-2021-42574): the state shows users that no policy has seen.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// plainLines is for an error, which may have several lines.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for n := range lines {
		lines[n] = plain(strings.ReplaceAll(lines[n], "\t", " "))
	}
	return strings.Join(lines, "\n")
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// distance is how far a time is from that of the state.
func distance(state *guest.State, at *time.Time) string {
	if at == nil {
		return ""
	}
	left := at.Sub(state.Time).Truncate(time.Second)
	if left <= 0 {
		return (-left).String() + " ago"
	}
	return "in " + left.String()
}

func handlersTable(state *guest.State) table {
	t := table{title: "Trusted peers", head: []string{"KUBE_IDENTITY", "RANGES", "UNIX SOCKET", "CERTIFICATE"}}
	for _, h := range state.Handlers {
		cert := yesNo(h.TrustedCert)
		if len(h.TrustedCertNames) > 0 {
			cert = strings.Join(h.TrustedCertNames, " ")
		}
		t.rows = append(t.rows, []string{h.Handler, strings.Join(h.TrustedRanges, " "), yesNo(h.TrustedUnix), cert})
	}
	return t
}

func issuersTable(state *guest.State) table {
	t := table{title: "Issuers", head: []string{"ISSUER", "SOURCE", "USABLE", "KEYS", "FETCHED", "COUNT UNTIL", "ERROR"}}
	for _, i := range state.Issuers {
		t.rows = append(t.rows, []string{i.Issuer, i.Source, yesNo(i.Usable), fmt.Sprint(i.Keys), distance(state, i.Fetched), distance(state, i.UsableTill), i.Error})
	}
	return t
}

func loginsTable(state *guest.State) table {
	t := table{title: "Logins", head: []string{"ISSUER", "SOURCE", "USABLE", "FETCHED", "ERROR"}}
	for _, l := range state.Logins {
		t.rows = append(t.rows, []string{l.Issuer, l.Source, yesNo(l.Usable), distance(state, l.Fetched), l.Error})
	}
	return t
}

func credentialsTable(state *guest.State) table {
	t := table{title: "Credentials", head: []string{"CREDENTIAL", "USABLE", "EXPIRES", "ERROR"}}
	for _, c := range state.Credentials {
		t.rows = append(t.rows, []string{c.Credential, yesNo(c.Usable), distance(state, c.Expires), c.Error})
	}
	return t
}

func listsTable(state *guest.State) table {
	t := table{title: "Lists of revoked certificates", head: []string{"CRL", "USABLE", "READ", "NEXT UPDATE", "REVOKED", "ERROR"}}
	for _, l := range state.Lists {
		t.rows = append(t.rows, []string{l.List, yesNo(l.Usable), distance(state, l.Read), distance(state, l.NextUpdate), fmt.Sprint(l.Revoked), l.Error})
	}
	return t
}

func apiServersTable(state *guest.State) table {
	t := table{title: "API servers", head: []string{"SERVER", "ANSWERS", "LAST ANSWER", "ERROR"}}
	for _, a := range state.APIServers {
		answers := ""
		if a.Answers != nil {
			answers = yesNo(*a.Answers)
		}
		t.rows = append(t.rows, []string{a.Server, answers, distance(state, a.Answered), a.Error})
	}
	return t
}

func servicesTable(state *guest.State) table {
	t := table{title: "Services of proxies", head: []string{"SERVICE", "USABLE", "ENDPOINTS", "LAST HEARD", "ERROR"}}
	for _, s := range state.Services {
		t.rows = append(t.rows, []string{s.Service, yesNo(s.Usable), fmt.Sprint(s.Endpoints), distance(state, s.Heard), s.Error})
	}
	return t
}

func filesTable(state *guest.State) table {
	t := table{title: "Files", head: []string{"FILE", "SOURCE", "ERROR"}}
	for _, f := range state.Files {
		t.rows = append(t.rows, []string{f.File, f.Source, f.Error})
	}
	return t
}

func sessionsTable(state *guest.State) table {
	t := table{title: "Browser sessions", head: []string{"SITES", "READY"}}
	for _, s := range state.Sessions {
		t.rows = append(t.rows, []string{fmt.Sprint(s.Sites), yesNo(s.Ready)})
	}
	return t
}

func cachesTable(state *guest.State) table {
	t := table{title: "Caches", head: []string{"SOURCE", "VERDICTS", "REFUSALS", "SIZE", "USERS", "JUDGING", "HIT RATE", "ISSUERS"}}
	for _, c := range state.Caches {
		rate := ""
		if c.HitRate != nil {
			rate = fmt.Sprintf("%.1f %%", 100**c.HitRate)
		}
		t.rows = append(t.rows, []string{
			c.Source, fmt.Sprint(c.Verdicts), fmt.Sprint(c.Refusals), fmt.Sprint(c.Size),
			fmt.Sprint(len(c.Users)), fmt.Sprint(c.Judging), rate, strings.Join(c.Issuers, " "),
		})
	}
	return t
}

func usersTable(state *guest.State) table {
	t := table{title: "Users", head: []string{"SOURCE", "USER", "VERDICTS"}}
	for _, c := range state.Caches {
		for _, user := range slices.Sorted(maps.Keys(c.Users)) {
			t.rows = append(t.rows, []string{c.Source, user, fmt.Sprint(c.Users[user])})
		}
	}
	return t
}
