// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// client is one keep-alive connection.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second) //nolint:noctx // closed with the block
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// do sends a request and reads its answer to the end: the status, and the user that the
// upstream saw.
func (c *client) do(request string) (status int, user string, err error) {
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get(seenUser), errors.Join(err, response.Body.Close())
}

func (c *client) close() { _ = c.conn.Close() }

// block sends requests over keep-alive connections and returns the CPU seconds that
// the server used, per 100,000 requests.
func (s *server) block(o options, request string) (float64, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	each := o.requests / o.connections
	errs := make(chan error, o.connections)
	for range o.connections {
		go func() { errs <- s.send(each, request) }()
	}
	for range o.connections {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return (after - before) * 100_000 / float64(each*o.connections), err
}

// send makes n requests over one connection, and stops at an answer that is not 200.
func (s *server) send(n int, request string) error {
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.close()
	for range n {
		status, _, err := c.do(request)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("answer %d", status)
		}
	}
	return nil
}
