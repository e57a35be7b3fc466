// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons_test

import (
	"go/ast"
	"go/constant"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/reasons"
)

// statuses returns the status of each sentinel, by the handler's table of results.
func statuses(t *testing.T, c *code) map[string]int {
	t.Helper()
	of := make(map[string]int)
	table, _ := c.initial[c.packages[module].Scope().Lookup("results")].(*ast.CompositeLit)
	for _, element := range table.Elts {
		row := element.(*ast.CompositeLit).Elts
		status, _ := constant.Int64Val(c.info.Types[row[2]].Value)
		of[row[0].(*ast.SelectorExpr).Sel.Name] = int(status)
	}
	if len(of) != len(identity.Sentinels()) {
		t.Fatalf("refuse.go has a status for %v", of)
	}
	return of
}

// entry is one text of the table.
type entry struct {
	status int
	text   string
}

// table returns the texts of the table. A text is there once for a status, and a cause once.
func table(t *testing.T) map[entry]bool {
	t.Helper()
	entries := make(map[entry]bool)
	for _, subject := range reasons.Subjects() {
		for _, row := range subject.Rows {
			if !strings.HasSuffix(row.Means, ".") || !strings.HasSuffix(row.Do, ".") || len(row.Texts) == 0 {
				t.Errorf("%s: the row of %q does not say in sentences what it means and what to do", subject.Title, row.Texts)
			}
			for _, text := range row.Texts {
				if _, twice := entries[entry{row.Status, text}]; twice {
					t.Errorf("%s: %d %q has two rows", subject.Title, row.Status, text)
				}
				entries[entry{row.Status, text}] = false
			}
		}
	}
	return entries
}

// find returns the row's entry for a text of the code. A refusal has the status of its sentinel.
// A cause is a row of causes, or, where it always gets the same sentinel, a row with a status.
// The place in a file of authentication_config may come before a text.
func find(entries map[entry]bool, f format, status int) (entry, bool) {
	for _, text := range []string{f.text, strings.TrimPrefix(f.text, "…: ")} {
		if f.sentinel != "" {
			e := entry{status, text}
			if _, ok := entries[e]; ok {
				return e, true
			}
			continue
		}
		found := []entry{}
		for e := range entries {
			if e.text == text {
				found = append(found, e)
			}
		}
		slices.SortFunc(found, func(a, b entry) int { return a.status - b.status })
		if len(found) > 0 {
			return found[0], true
		}
	}
	return entry{}, false
}

// TestReasons: each text with which the code refuses a request, or gives the cause, has a row in
// the table, and each text of the table is in the code.
func TestReasons(t *testing.T) {
	read := load(t)
	if read.packages[module+"/internal/reasons"] != nil {
		t.Error("the server carries the table: it is for tests alone")
	}
	found, status := formats(reach(read)), statuses(t, read)
	entries, used := table(t), make(map[string]bool)
	var refusals, causes, excluded int
	for _, f := range found {
		if reason, name := excludes(f); reason != "" {
			used[name] = true
			excluded++
			continue
		}
		e, ok := find(entries, f, status[f.sentinel])
		if !ok {
			t.Errorf("%s: the table has no row for %s %d %q", f.at, f.sentinel, status[f.sentinel], f.text)
			continue
		}
		entries[e] = true
		if f.sentinel == "" {
			causes++
		} else {
			refusals++
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(entries), func(a, b entry) int { return strings.Compare(a.text, b.text) }) {
		if !entries[e] {
			t.Errorf("the table has a row for %d %q, which the code does not give", e.status, e.text)
		}
	}
	for name := range exclusions() {
		if !used[name] {
			t.Errorf("%s is excluded, and has no text", name)
		}
	}
	t.Logf("%d texts of refusals and %d of causes in the code, %d entries in the table, %d texts excluded", refusals, causes, len(entries), excluded)
}
