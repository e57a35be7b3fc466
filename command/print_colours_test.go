// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAReportHasColoursOnATerminalThatShowsThem(t *testing.T) {
	type environment = map[string]string
	for name, test := range map[string]struct {
		flag     string
		terminal bool
		env      environment
		want     bool
	}{
		"a terminal":                         {"auto", true, environment{"TERM": "xterm-256color"}, true},
		"a pipe":                             {"auto", false, environment{"TERM": "xterm"}, false},
		"a terminal, and NO_COLOR":           {"auto", true, environment{"TERM": "xterm", "NO_COLOR": "1"}, false},
		"NO_COLOR with any value":            {"auto", true, environment{"TERM": "xterm", "NO_COLOR": "false"}, false},
		"an empty NO_COLOR":                  {"auto", true, environment{"TERM": "xterm", "NO_COLOR": ""}, true},
		"a terminal without colours":         {"auto", true, environment{"TERM": "dumb"}, false},
		"a terminal that does not say which": {"auto", true, nil, false},
		"a pipe, and the flag":               {"always", false, nil, true},
		"NO_COLOR, and the flag":             {"always", true, environment{"NO_COLOR": "1"}, true},
		"a terminal, and the other flag":     {"never", true, environment{"TERM": "xterm"}, false},
	} {
		got, err := coloured(test.flag, test.terminal, func(variable string) string { return test.env[variable] })
		if got != test.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := coloured("", true, os.Getenv); err == nil || err.Error() != `--color: "" is neither auto, always nor never` {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	reader, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer pipe.Close()
	if isTerminal(new(bytes.Buffer)) || isTerminal(file) || isTerminal(null) || isTerminal(pipe) {
		t.Error("a buffer, a file, the null device or a pipe is taken for a terminal")
	}
}

// Without colours a report has no byte of them; with colours it has the same words.
func TestColoursChangeNoWord(t *testing.T) {
	report := func(colours bool) string {
		var out strings.Builder
		p := &printer{&out, colours}
		p.section("peer")
		p.peer(&Report{NoneTrusted: true})
		p.hints([]string{"do this"})
		p.own(&OwnPage{Name: "logout", Status: 403})
		return out.String()
	}
	none, all := report(false), report(true)
	if strings.Contains(none, "\x1b") || !strings.Contains(all, "\x1b[33mis not trusted\x1b[0m") {
		t.Errorf("got %q and %q", none, all)
	}
	for _, colour := range []string{"0", heading, good, care, bad} {
		all = strings.ReplaceAll(all, "\x1b["+colour+"m", "")
	}
	if all != none {
		t.Errorf("got %q, want %q", all, none)
	}
}
