// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/command"
)

// judging is set in the environment of a process that only judges requests, as the command
// check does. It is another process, since loading a configuration for check takes the log
// from the Caddy that runs.
const judging = "KUBE_IDENTITY_TEST_JUDGES"

func init() { //nolint:gochecknoinits // before the tests of whichever package
	if os.Getenv(judging) != "" {
		judgeAll(os.Stdin, os.Stdout)
		os.Exit(0)
	}
}

// judged is one request for the other process, with the bytes that a client sends.
type judged struct {
	Config  []byte
	Peer    string
	Request []byte
}

// judgement is the answer.
type judgement struct {
	Verdict *command.Verdict
	Err     string
}

func judgeAll(in io.Reader, out io.Writer) {
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var next judged
		if err := decoder.Decode(&next); err != nil {
			return
		}
		var answer judgement
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(next.Request)))
		if err == nil {
			r.RemoteAddr = net.JoinHostPort(next.Peer, "1")
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{}))
			answer.Verdict, err = command.Judge(next.Config, r)
		}
		if err != nil {
			answer.Err = err.Error()
		}
		if encoder.Encode(answer) != nil {
			return
		}
	}
}

// judge is the other process.
type judge struct {
	to   *json.Encoder
	from *json.Decoder
}

func newJudge(tb testing.TB) *judge {
	tb.Helper()
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	process := exec.CommandContext(tb.Context(), program)
	process.Env = append(os.Environ(), judging+"=1")
	in, err := process.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := process.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = process.Wait()
	})
	return &judge{json.NewEncoder(in), json.NewDecoder(out)}
}

// RunAndCheck is Run for a table that the command check shares: for each request check says the
// same status and the same source and reason, and shows the header that the upstream received.
func (g *Guarded) RunAndCheck(t *testing.T, exchanges []Exchange) {
	t.Helper()
	if g.judge == nil {
		g.judge = newJudge(g.tb)
	}
	for _, e := range exchanges {
		t.Run(e.Name, func(t *testing.T) {
			before := len(g.Refusals(t))
			g.Exchange(t, &e)
			if t.Failed() {
				return
			}
			var refusal *LogLine
			if refusals := g.Refusals(t); len(refusals) > before {
				refusal = &refusals[len(refusals)-1]
			}
			g.checkAgrees(t, &e, refusal)
		})
	}
}

// checkAgrees compares what check says with what the server did.
func (g *Guarded) checkAgrees(t *testing.T, e *Exchange, refusal *LogLine) {
	t.Helper()
	if e.Want == nil && refusal == nil {
		return // net/http itself refused the request, which check cannot be told
	}
	lines := append([]string{e.Line, "Host: " + SiteHost}, e.Fields...)
	request := strings.Join(lines, "\r\n") + "\r\n\r\n" + e.Body
	if err := g.judge.to.Encode(judged{g.config, e.From, []byte(request)}); err != nil {
		t.Fatal(err)
	}
	var got judgement
	if err := g.judge.from.Decode(&got); err != nil || got.Err != "" {
		t.Fatalf("check: %v %s", err, got.Err)
	}
	verdict := got.Verdict
	if refusal != nil {
		want := command.Verdict{Status: e.Status, Source: refusal.Source, Reason: refusal.Reason}
		if same, varies := strings.CutSuffix(e.Reason, "…"); varies && strings.HasPrefix(verdict.Reason, same) {
			want.Reason = verdict.Reason // it has the time, say
		}
		if !reflect.DeepEqual(*verdict, want) {
			t.Errorf("check says %+v, the server did %+v", *verdict, want)
		}
		return
	}
	if verdict.Status != 0 {
		t.Errorf("check refuses with %d, %s: the server forwarded", verdict.Status, verdict.Reason)
		return
	}
	if sent, want := ofRequest(verdict.Sent), ofRequest(e.Want); !reflect.DeepEqual(sent, want) {
		t.Errorf("check shows the header\n%+v\nand the upstream received\n%+v", sent, want)
	}
}

// ofRequest leaves out what reverse_proxy writes or removes. Names are compared as net/http reads
// them: reverse_proxy spells those of websockets in another way.
func ofRequest(header http.Header) http.Header {
	clone := make(http.Header)
	for name, lines := range header {
		if name = http.CanonicalHeaderKey(name); len(lines) > 0 && !slices.Contains(ofTransport, name) {
			clone[name] = lines
		}
		if name == "Authorization" && len(lines) == 1 && strings.HasPrefix(lines[0], accountToken) {
			clone[name] = []string{accountToken}
		}
	}
	return clone
}

// accountToken begins a token that testreview gives to a service account. The server and check
// each get their own.
const accountToken = "Bearer account-"

// ofTransport are the fields that belong to a connection, and those that reverse_proxy writes.
var ofTransport = []string{ //nolint:gochecknoglobals // a table
	"Accept-Encoding", "Connection", "Content-Length", "Host", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade",
	"User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}
