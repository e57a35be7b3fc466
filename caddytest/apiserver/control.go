// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// One test at a time controls the server: Kill, Restart, Pause, Resume and Close are not
// for concurrent use.

func errNotRunning() error { return errors.New("kube-apiserver is not running") }

// Kill ends the server at once, as a crash does, and the kubelet with it: requests in
// progress break off, and further connections are refused. Data, files and issuers stay,
// and Restart uses them again.
func (s *Server) Kill() error {
	if s.child == nil {
		return errNotRunning()
	}
	s.child.destroy()
	s.child = nil
	s.disconnect()
	return nil
}

// Restart starts the server again, after Kill if it runs, with the same address, data,
// keys, flags and audit log, and returns when it is ready: after about four seconds. The
// server's caches of issuers' keys and of tokens are empty then.
func (s *Server) Restart(ctx context.Context) error {
	if s.child != nil {
		if err := s.Kill(); err != nil {
			return err
		}
	}
	if err := s.trimAudit(); err != nil {
		return fmt.Errorf("trimming the audit log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restarting kube-apiserver: %w%s", err, logTail(s.logFile()))
	}
	return nil
}

// trimAudit removes the last line if the end of the process cut it in half.
func (s *Server) trimAudit() error {
	content, err := os.ReadFile(s.auditFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Truncate(s.auditFile(), int64(bytes.LastIndexByte(content, '\n')+1))
}

// Pause stops the server's process: the system still accepts connections for it, but it
// answers nothing until Resume. Pause returns when the last thread has stopped, if the
// system can tell.
func (s *Server) Pause() error {
	if s.child == nil {
		return errNotRunning()
	}
	if err := s.child.pause(); err != nil {
		return fmt.Errorf("pausing kube-apiserver: %w", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !stopped(s.child.process.Pid) {
		if time.Now().After(deadline) {
			return errors.New("pausing kube-apiserver: it still runs")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Resume continues a paused server: it now answers the requests that have come in.
func (s *Server) Resume() error {
	if s.child == nil {
		return errNotRunning()
	}
	if err := s.child.resume(); err != nil {
		return fmt.Errorf("resuming kube-apiserver: %w", err)
	}
	return nil
}

// stopped says whether all threads of a process have stopped. Without a Linux /proc,
// which would tell, it returns true: see proc_pid_stat(5).
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return true
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			continue // it has just ended
		}
		// The state follows the name, which is in parentheses and may itself contain
		// them.
		if state := stat[bytes.LastIndexByte(stat, ')')+1:]; !bytes.HasPrefix(state, []byte(" T")) {
			return false
		}
	}
	return true
}
