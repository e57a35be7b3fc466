// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// answer is the report as JSON. It has no more of a credential than the text has.
type answer struct {
	Server   string              `json:"server"`
	ExitCode int                 `json:"exit_code"`
	Result   string              `json:"result"` // forwarded, refused, undecided, unguarded, open
	Status   int                 `json:"status,omitempty"`
	Reason   string              `json:"reason,omitempty"`
	Header   map[string]string   `json:"response_header,omitempty"`
	Hints    []string            `json:"hints,omitempty"`
	Notes    []string            `json:"notes,omitempty"`
	Before   string              `json:"before,omitempty"`        // the handler that decides whether the request goes on
	Handlers []string            `json:"kube_identity,omitempty"` // those that the request meets, in order
	Peer     *answeredPeer       `json:"peer,omitempty"`
	Unseen   []string            `json:"dropped_by_caddy,omitempty"`
	Stripped map[string]string   `json:"stripped,omitempty"`
	Sources  []answeredSource    `json:"sources,omitempty"`
	Login    *answeredLogin      `json:"login,omitempty"`
	Session  *answeredSession    `json:"session,omitempty"`
	Handler  string              `json:"answered_by,omitempty"`
	Upstream map[string][]string `json:"upstream_header,omitempty"`
	Beside   []answeredWay       `json:"unguarded_ways,omitempty"`

	Elsewhere []string `json:"guarded_elsewhere,omitempty"`             // requests that reach an upstream of this site behind kube_identity
	Unsought  string   `json:"unguarded_ways_not_looked_for,omitempty"` // why some may be missing
}

type answeredPeer struct {
	Address string   `json:"address"`
	Trusted bool     `json:"trusted"`
	Error   string   `json:"error,omitempty"`
	Ranges  []string `json:"trusted_peers,omitempty"`
}

type answeredSource struct {
	Source  string     `json:"source"`
	Issuer  string     `json:"issuer,omitempty"`
	Reads   []string   `json:"reads,omitempty"`
	Asked   bool       `json:"asked"`
	Error   string     `json:"error,omitempty"`
	User    string     `json:"user,omitempty"`
	Groups  []string   `json:"groups,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Hints   []string   `json:"hints,omitempty"`
	Remarks []string   `json:"remarks,omitempty"`
}

type answeredLogin struct {
	Navigation string   `json:"navigation,omitempty"` // where a browser is sent to log in
	Callbacks  []string `json:"redirect_uris,omitempty"`
	Begins     bool     `json:"begins,omitempty"`
	Why        string   `json:"begins_not,omitempty"` // why the request begins no login
	Uncovered  []string `json:"unguarded_redirect_uris,omitempty"`
}

type answeredSession struct {
	Counts      bool       `json:"counts"`
	Error       string     `json:"error,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Ends        *time.Time `json:"ends,omitempty"`
	TokenEnds   *time.Time `json:"token_ends,omitempty"`
	MustRefresh bool       `json:"must_refresh,omitempty"`
	Page        string     `json:"page,omitempty"` // of the session, which the request is for
	Does        []string   `json:"page_does,omitempty"`
}

// results are the words for exit codes.
var results = map[int]string{ //nolint:gochecknoglobals // a table
	exitForwarded: "forwarded", exitRefused: "refused", exitUndecided: "undecided", exitUnprotected: "unguarded", exitBefore: "open",
}

// writeJSON prints the outcome as JSON.
func (o *outcome) writeJSON(out io.Writer, server string) (int, error) {
	k := o.walk
	a := answer{Server: server, ExitCode: o.print(&printer{out: io.Discard}), Notes: k.notes, Before: k.before, Unseen: o.unseen, Handler: k.answers}
	if a.Result = results[a.ExitCode]; k.before != "" {
		a.Handler = ""
	}
	for _, report := range k.reports {
		a.Handlers = append(a.Handlers, report.Title)
	}
	if k.report != nil {
		o.addReport(&a, k.report)
	}
	a.addBeside(o)
	content, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return exitFailed, fmt.Errorf("encoding the report: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n", plainJSON(content))
	return a.ExitCode, err
}

func (o *outcome) addReport(a *answer, report *Report) {
	a.Peer = &answeredPeer{Address: report.Peer.String(), Trusted: report.Peer.Trusted, Error: text(report.PeerErr), Ranges: report.Trusted}
	for _, name := range slices.Sorted(maps.Keys(report.Before)) {
		if !slices.Equal(report.After[name], report.Before[name]) {
			if a.Stripped == nil {
				a.Stripped = make(map[string]string)
			}
			a.Stripped[name] = report.reader(name)
		}
	}
	for n := range report.Sources {
		a.Sources = append(a.Sources, report.Sources[n].answered())
	}
	o.addLogin(a, report)
	switch {
	case a.ExitCode == exitRefused || a.ExitCode == exitUndecided:
		o.addRefusal(a, report)
	case a.ExitCode == exitForwarded && o.walk.sent != nil:
		a.Upstream = make(map[string][]string)
		for name, lines := range o.walk.sent {
			for _, line := range lines {
				a.Upstream[name] = append(a.Upstream[name], report.shown(name, line))
			}
		}
	}
}

func (o *outcome) addRefusal(a *answer, report *Report) {
	a.Status, a.Reason = o.status(), o.reason()
	if a.Reason == report.Policy {
		a.Hints = report.Hints
	}
	for _, name := range answerFields {
		if value := o.recorder.Header().Get(name); value != "" {
			if a.Header == nil {
				a.Header = make(map[string]string)
			}
			a.Header[http.CanonicalHeaderKey(name)] = withoutQuery(value)
		}
	}
}

func (s *SourceReport) answered() answeredSource {
	src := answeredSource{
		Source: s.Name, Issuer: s.Issuer, Reads: slices.Concat(s.Reads, s.Besides), Asked: s.Asked, Error: text(s.Err),
		Hints: s.Hints, Remarks: s.Remarks,
	}
	if s.Asked && s.Err == nil {
		src.User, src.Groups, src.Expires = s.Said.Username, s.Said.Groups, moment(s.Said.Expires)
	}
	return src
}

func (o *outcome) addLogin(a *answer, report *Report) {
	if report.Navigation != "" || report.Login != nil {
		a.Login = &answeredLogin{Navigation: report.Navigation}
	}
	if report.Login != nil {
		for n, at := range report.Login.Logins {
			a.Login.Callbacks = append(a.Login.Callbacks, at.Callback)
			if n < len(o.uncovered) && o.uncovered[n] != "" {
				a.Login.Uncovered = append(a.Login.Uncovered, at.Callback)
			}
		}
		if flow, begins := o.login(); flow != nil {
			a.Login.Begins, a.Login.Why = begins, flow.Why
		}
	}
	s := report.Session
	if s == nil || !s.Present && s.Own == nil {
		return
	}
	a.Session = &answeredSession{
		Counts: s.Counts(), Error: text(s.Err), Issuer: s.Issuer,
		Ends: moment(s.Ends), TokenEnds: moment(s.TokenEnds), MustRefresh: s.MustRefresh,
	}
	if s.Own != nil {
		a.Session.Page, a.Session.Does = s.Own.Name, s.Own.Lines
	}
}

// plainJSON writes what a terminal could take for a command as JSON may have it.
func plainJSON(content []byte) string {
	var plain strings.Builder
	for _, r := range string(content) {
		switch {
		case r == '\n' || r == '\t' || strconv.IsPrint(r):
			plain.WriteRune(r)
		case r == '\r': // only a blank: a string cannot have it
			plain.WriteByte(' ')
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&plain, `\u%04x`, unit)
			}
		}
	}
	return plain.String()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// moment is a time in UTC; nil for none.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
