// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// hangingLog is a log that hangs while there is a channel, as a full pipe does.
type hangingLog struct{ io.WriteCloser }

var hanging struct {
	until   atomic.Pointer[chan struct{}]
	dropped atomic.Int32
}

func (*hangingLog) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.logging.writers.hanging", New: func() caddy.Module { return new(hangingLog) }}
}

func (*hangingLog) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*hangingLog) String() string    { return "hanging" }
func (*hangingLog) WriterKey() string { return "hanging" }

func (l *hangingLog) OpenWriter() (io.WriteCloser, error) { return l, nil }

func (*hangingLog) Close() error { return nil }

func (*hangingLog) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "event dropped") {
		hanging.dropped.Add(1)
	}
	if until := hanging.until.Load(); until != nil {
		<-*until
	}
	return len(line), nil
}

var _ caddy.WriterOpener = (*hangingLog)(nil)

// The operator's handler of events hangs, and then the log does too. Whatever emits an event, such
// as a request that finds a token file gone, must go on.
func TestAnEventThatIsDroppedDoesNotWaitForTheLog(t *testing.T) {
	hang := make(chan struct{})
	forget(t, func() { <-hang })
	o := start(t, recording, impersonating(toHeaders))
	config := "{\n" + o.global("persist_config off\n\tauto_https off\n\tlog {\n\t\toutput hanging\n\t\tlevel error\n\t}\n\t"+recording) + "\n}\n" + o.of(impersonating(toHeaders))
	if status, body := ask(t, http.MethodPost, "http://"+o.admin+"/load", config, "Content-Type: text/caddyfile"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	emit := func(times int) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			for range times {
				guest.Emit(guest.CredentialRenewed, map[string]any{"credential": "of a test"})
			}
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("who emits an event waits")
		}
	}
	emit(1)
	testhandler.WaitUntil(t, "the handler hangs", func() bool {
		recorded.Lock()
		defer recorded.Unlock()
		return len(recorded.events) == 1
	})
	full := make(chan struct{})
	hanging.until.Store(&full)
	emit(64)
	emit(3) // are dropped
	hanging.until.Store(nil)
	close(full)
	close(hang)
	testhandler.WaitUntil(t, "the log says what was dropped", func() bool { return hanging.dropped.Load() == 3 })
	testhandler.WaitUntil(t, "the others were handled", func() bool {
		recorded.Lock()
		defer recorded.Unlock()
		return len(recorded.events) == 65
	})
}
