// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// container implements the few commands that tests of a proxy need. None of them affects
// this machine:
//
//	echo ARGS…    the arguments and a line feed on stdout
//	warn ARGS…    the same on stderr
//	cat           stdin to stdout until it ends
//	fill N        N bytes of x on stdout
//	sleep N       a line "tick 1", "tick 2" … each 100 ms, for N seconds
//	exit N        ends with that exit code
//
// Any other command is "not found", with exit code 127.
type container struct{}

// ExecInContainer runs a command. Streams that the client did not ask for are nil.
func (c container) ExecInContainer(_ context.Context, _, _, _ string, command []string,
	in io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	stdin, stdout, stderr := streams(in, out, errOut)
	if len(command) == 0 {
		return errors.New("there is no command")
	}
	name, args := command[0], command[1:]
	switch name {
	case "echo", "warn":
		if name == "warn" {
			stdout = stderr
		}
		_, err := fmt.Fprintln(stdout, strings.Join(args, " "))
		return err
	case "cat":
		_, err := io.Copy(stdout, stdin)
		return err
	case "fill", "sleep", "exit":
		number, err := argument(args)
		if err != nil {
			_, _ = fmt.Fprintln(stderr, name+":", err)
			return exitCode(2)
		}
		return counted(name, number, stdout)
	default:
		_, _ = fmt.Fprintln(stderr, name+": not found")
		return exitCode(127)
	}
}

// counted runs the commands whose argument is a number.
func counted(name string, number int, stdout io.Writer) error {
	switch name {
	case "fill":
		_, err := io.Copy(stdout, io.LimitReader(filler{}, int64(number)))
		return err
	case "sleep":
		return ticks(stdout, time.Duration(number)*time.Second)
	default:
		if number == 0 {
			return nil
		}
		return exitCode(number)
	}
}

// AttachContainer returns its input, or ticks for an hour without one.
func (c container) AttachContainer(_ context.Context, _, _, _ string,
	in io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize,
) error {
	stdin, stdout, _ := streams(in, out, errOut)
	if in == nil {
		return ticks(stdout, time.Hour)
	}
	_, err := io.Copy(stdout, stdin)
	return err
}

// PortForward is an echo service on every port.
func (c container) PortForward(_ context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	_, err := io.Copy(stream, stream)
	return err
}

func streams(in io.Reader, out, errOut io.Writer) (stdin io.Reader, stdout, stderr io.Writer) {
	if in == nil {
		in = bytes.NewReader(nil)
	}
	if out == nil {
		out = io.Discard
	}
	if errOut == nil {
		errOut = io.Discard
	}
	return in, out, errOut
}

// ticks writes until the time is over or writing fails. The context of the request does
// not end with an upgraded connection, so it cannot end this.
func ticks(stdout io.Writer, duration time.Duration) error {
	end := time.Now().Add(duration)
	for number := 1; time.Now().Before(end); number++ {
		if _, err := fmt.Fprintf(stdout, "tick %d\n", number); err != nil {
			return err
		}
		time.Sleep(tick)
	}
	return nil
}

func argument(args []string) (int, error) {
	if len(args) != 1 {
		return 0, fmt.Errorf("it takes one number, not %d arguments", len(args))
	}
	number, err := strconv.ParseUint(args[0], 10, 31)
	return int(number), err
}

func exitCode(code int) error {
	return utilexec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
}

// filler is an endless file of x.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
