// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/reasons"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// docsReasonsPage is the page with every reason. Its part from the first marker to the second is
// written by go test . -run TestDocsReasons -update, from the table of package reasons, which has
// a test of its own against the code.
const (
	docsReasonsPage  = "docs/troubleshooting.md"
	docsReasonsBegin = "<!-- reasons: go test . -run TestDocsReasons -update -->\n"
	docsReasonsEnd   = "<!-- end of reasons -->"
)

// TestDocsReasons: the page has every reason of the table.
func TestDocsReasons(t *testing.T) {
	page := testgolden.Read(t, docsReasonsPage)
	before, rest, begins := strings.Cut(page, docsReasonsBegin)
	_, after, ends := strings.Cut(rest, docsReasonsEnd)
	if !begins || !ends {
		t.Fatalf("%s does not have the markers of the reasons", docsReasonsPage)
	}
	testgolden.Compare(t, docsReasonsPage, page, before+docsReasonsBegin+"\n"+docsReasons()+docsReasonsEnd+after)
}

// docsReasons renders the table: the refusals by their status, then the causes, then the other
// lines of the log.
func docsReasons() string {
	var b strings.Builder
	statuses := make(map[int]bool)
	for _, subject := range reasons.Subjects() {
		for _, row := range subject.Rows {
			statuses[row.Status] = statuses[row.Status] || subject.Line == ""
		}
	}
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		if status != 0 && statuses[status] {
			fmt.Fprintf(&b, "## %d %s\n\n%s\n\n", status, http.StatusText(status), docsStatus(status))
			docsReasonTables(&b, fmt.Sprintf("### %d: ", status), status)
		}
	}
	b.WriteString("## Causes\n\nThese texts follow a reason, behind a colon, or stand in lines of the log that are not about a request.\n\n")
	docsReasonTables(&b, "### Cause: ", 0)
	for _, subject := range reasons.Subjects() {
		if subject.Line != "" {
			fmt.Fprintf(&b, "## %s\n\n%s\n\n", subject.Title, subject.About)
			docsReasonRows(&b, subject.Rows)
		}
	}
	return b.String()
}

// docsStatus says what the refusals of a status have in common.
func docsStatus(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request cannot be read, or two readers could read it in two ways. The reason begins with `malformed`."
	case http.StatusUnauthorized:
		return "The request has no credential (the reason begins with `no credential`), or one that proves nothing (`rejected`). A browser that " +
			"opens a page may be sent to log in instead."
	case http.StatusForbidden:
		return "The credential is good, and the policy refuses its user or the request. The reason begins with `forbidden`. Another login does " +
			"not help."
	case http.StatusMethodNotAllowed:
		return "The reason begins with `method not allowed`."
	case http.StatusTooEarly:
		return "The reason begins with `too early`."
	case http.StatusInternalServerError:
		return "A mistake of the configuration, or in a module. The reason begins with `internal error`."
	default:
		return "It could not be decided now: the same request may pass later. The reason begins with `unavailable`. The answer has `Retry-After: 5`."
	}
}

// docsReasonTables renders the rows of a status, a table for each subject.
func docsReasonTables(b *strings.Builder, heading string, status int) {
	for _, subject := range reasons.Subjects() {
		rows := slices.DeleteFunc(slices.Clone(subject.Rows), func(row reasons.Row) bool { return row.Status != status })
		if len(rows) == 0 || subject.Line != "" {
			continue
		}
		fmt.Fprintf(b, "%s%s%s\n\n", heading, strings.ToLower(subject.Title[:1]), subject.Title[1:])
		if status == 0 && subject.About != "" {
			fmt.Fprintf(b, "%s\n\n", subject.About)
		}
		docsReasonRows(b, rows)
	}
}

func docsReasonRows(b *strings.Builder, rows []reasons.Row) {
	b.WriteString("| reason | what it means | what to do |\n| --- | --- | --- |\n")
	for _, row := range rows {
		texts := strings.NewReplacer("|", `\|`, "……", "…").Replace("`" + strings.Join(row.Texts, "`<br>`") + "`")
		fmt.Fprintf(b, "| %s | %s | %s |\n", texts, row.Means, row.Do)
	}
	b.WriteString("\n")
}

// TestDocsReasonsOfCheck: a reader finds each reason of check's reports on the page, by its status
// and its words.
func TestDocsReasonsOfCheck(t *testing.T) {
	report := regexp.MustCompile(`(?m)^  reason: (.*)\n(?:    .*\n)*  the client gets (\d+)`)
	found := 0
	for _, path := range testgolden.List(t, "command/testdata/check/*.txt", 50) {
		for _, match := range report.FindAllStringSubmatch(testgolden.Read(t, path), -1) {
			found++
			reason, status := match[1], strings.Replace(match[2], "302", "401", 1) // instead of which a browser is sent to log in
			for _, sentinel := range identity.Sentinels() {
				reason = strings.TrimPrefix(reason, sentinel.Error()+": ")
			}
			if !slices.ContainsFunc(reasons.Subjects(), func(subject reasons.Subject) bool { return docsExplains(subject, status, reason) }) {
				t.Errorf("%s: %s does not explain %q with status %s", path, docsReasonsPage, match[1], status)
			}
		}
	}
	if found < 30 {
		t.Errorf("check's reports have %d reasons", found)
	}
}

// docsExplains says whether a subject has a row for a reason with a status, or for a cause.
func docsExplains(subject reasons.Subject, status, reason string) bool {
	for _, row := range subject.Rows {
		if strconv.Itoa(row.Status) != status && row.Status != 0 {
			continue
		}
		for _, text := range row.Texts {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*")
			if strings.Trim(text, "… :") != "" && regexp.MustCompile(`^(\S+: )?`+pattern+"$").MatchString(reason) {
				return true
			}
		}
	}
	return false
}
