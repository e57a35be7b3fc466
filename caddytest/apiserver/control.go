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

// The server has one test at a time that controls it: Kill, Restart, Pause,
// Resume and Close are not for concurrent use.

func errNotRunning() error { return errors.New("kube-apiserver is not running") }

// Kill ends the server at once, as a crash does, and the kubelet with it: requests
// under way break off, further ones are refused a connection. Data, files and
// issuers stay, and Restart goes on with them.
func (s *Server) Kill() error {
	if s.child == nil {
		return errNotRunning()
	}
	s.child.destroy()
	s.child = nil
	s.disconnect()
	return nil
}

// Restart starts the server again, after Kill if it runs, with the same address,
// data, keys, flags and audit log, and returns when it is ready: after about four
// seconds. The server has forgotten the keys of the issuers and the tokens that it
// had seen.
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

// trimAudit cuts the line off that the end of the process may have cut in half.
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

// Pause makes the server stand still: the system still takes connections for it,
// but nothing is answered until Resume. It returns when the last of its threads
// stands still, where the system can tell.
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
			return errors.New("pausing kube-apiserver: it goes on")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Resume lets a paused server go on: what has come in meanwhile is answered now.
func (s *Server) Resume() error {
	if s.child == nil {
		return errNotRunning()
	}
	if err := s.child.resume(); err != nil {
		return fmt.Errorf("resuming kube-apiserver: %w", err)
	}
	return nil
}

// stopped says whether all threads of a process stand still, or that it is not
// known, which is so without a Linux /proc: see proc_pid_stat(5).
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
		// The state follows the name, which is in parentheses and may hold any.
		if state := stat[bytes.LastIndexByte(stat, ')')+1:]; !bytes.HasPrefix(state, []byte(" T")) {
			return false
		}
	}
	return true
}
