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

// line prints a line. Its arguments write nothing but themselves to a terminal.
func (p *printer) line(format string, args ...any) {
	safe := make([]any, len(args))
	for n, arg := range args {
		switch arg := arg.(type) {
		case string:
			safe[n] = harmless(arg)
		case error:
			safe[n] = harmless(arg.Error())
		case fmt.Stringer:
			safe[n] = harmless(arg.String())
		default: // a painted text, a number, or a list that is quoted
			safe[n] = arg
		}
	}
	fmt.Fprintf(p.out, format+"\n", safe...)
}

// harmless is a text that may be hostile. Quoted it shows what it is; otherwise a mark stands for
// each sign that a terminal takes for a command.
type harmless string

func (h harmless) Format(state fmt.State, verb rune) {
	if verb == 'q' {
		fmt.Fprintf(state, "%q", string(h))
		return
	}
	fmt.Fprint(state, plain(string(h)))
}

// painted is a text that has its colour, and is harmless.
type painted string

// in colours a text.
func (p *printer) in(colour, text string) painted {
	text = plain(text)
	if !p.colours {
		return painted(text)
	}
	return painted("\x1b[" + colour + "m" + text + "\x1b[0m")
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
