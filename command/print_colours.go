// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"io"
	"os"
)

// The colours of a terminal (ECMA-48, section 8.3.117). They stress what the words say already.
const (
	heading = "1"  // bold
	good    = "32" // green
	care    = "33" // yellow
	bad     = "31" // red
)

// printer writes the sections.
type printer struct {
	out     io.Writer
	colours bool
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}

// in colours a text. The text may be hostile, but it is quoted where it comes off the wire.
func (p *printer) in(colour, text string) string {
	if !p.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// section begins one.
func (p *printer) section(title string) { p.line("\n%s", p.in(heading, title)) }

// coloured says whether a report has colours. The flag --color decides; "auto", its default, looks
// for a terminal that can show them, and for NO_COLOR (https://no-color.org).
func coloured(flag string, terminal bool, environment func(string) string) (bool, error) {
	switch flag {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		kind := environment("TERM")
		return terminal && environment("NO_COLOR") == "" && kind != "" && kind != "dumb", nil
	}
	return false, fmt.Errorf("--color: %q is neither auto, always nor never", flag)
}

// isTerminal says whether out is a terminal, and not a file, a pipe or the null device.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	about, err := file.Stat()
	if err != nil || about.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(about, null)
}
