// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// child is the API server's process. It ends when stdin is closed.
type child struct {
	stdin   io.WriteCloser
	stdout  io.ReadCloser
	process *os.Process
	kill    context.CancelFunc
	done    chan struct{} // closed when the process has ended, after err is set
	err     error
}

// startChild starts program and appends its log to logFile. The process outlives ctx.
func startChild(ctx context.Context, logFile, program string, args []string) (*child, error) {
	log, err := os.OpenFile(logFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer writer.Close() // the child has its own copy; this one would hide the end of the output
	ctx, kill := context.WithCancel(context.WithoutCancel(ctx))
	command := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program that build made
	command.Stdout, command.Stderr = writer, log
	dieWithParent(command)
	stdin, err := command.StdinPipe()
	if err != nil {
		kill()
		return nil, errors.Join(err, reader.Close())
	}
	started := &child{stdin: stdin, stdout: reader, kill: kill, done: make(chan struct{})}
	failed := make(chan error)
	go started.run(command, failed)
	if err := <-failed; err != nil {
		kill()
		return nil, errors.Join(err, reader.Close())
	}
	return started, nil
}

// run starts the process and waits for it on the same thread: Linux ends the child when
// its parent ends, and the parent is the thread that started it, not the process; Go ends
// threads at any time.
func (c *child) run(command *exec.Cmd, failed chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	err := command.Start()
	c.process = command.Process
	failed <- err
	if err == nil {
		c.err = command.Wait()
	}
}

// ready waits for the line with the child's address.
func (c *child) ready(ctx context.Context) (string, error) {
	type announcement struct {
		Address string `json:"address"`
	}
	said := make(chan announcement, 1)
	go func() {
		defer close(said)
		line, err := bufio.NewReader(c.stdout).ReadBytes('\n')
		var parsed announcement
		if err == nil && json.Unmarshal(line, &parsed) == nil {
			said <- parsed
		}
	}()
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("waiting until it is ready: %w", ctx.Err())
	case parsed := <-said:
		if parsed.Address == "" {
			return "", errors.New("it ended, or wrote something else, before it was ready")
		}
		return parsed.Address, nil
	}
}

// destroy kills the process and waits for it.
func (c *child) destroy() {
	c.kill()
	<-c.done
	_ = c.stdin.Close() // an error is fine: Wait closes it as well
	_ = c.stdout.Close()
}

// close ends the process and waits for it.
func (c *child) close() error {
	_ = c.resume() // a paused process does not see that its stdin is closed
	err := c.stdin.Close()
	if errors.Is(err, os.ErrClosed) { // it had already ended, and Wait closed the pipe
		err = nil
	}
	defer c.stdout.Close()
	defer c.kill()
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		c.kill()
		<-c.done
		return errors.Join(err, errors.New("kube-apiserver did not end with its stdin and was killed"))
	}
	if c.err != nil {
		return errors.Join(err, fmt.Errorf("running kube-apiserver: %w", c.err))
	}
	return err
}

// logTail returns the end of the log, to show why a start failed.
func logTail(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "" // it ended before it had a log
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	lines = slices.Clone(lines[max(0, len(lines)-40):])
	return "\n" + strings.Join(lines, "\n")
}
