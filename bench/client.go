// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// exchanger is one connection of a client, with one request at a time.
type exchanger interface {
	// do sends a request and reads its answer to the end: the status, and the user that the
	// upstream saw.
	do(request string) (status int, user string, err error)
	close()
}

// client is one keep-alive connection with HTTP/1.1.
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

// dial makes a connection of the kind that the server's clients have.
func (s *server) dial() (exchanger, error) {
	if s.h2 {
		return newH2Client(s.addr, s.tls), nil
	}
	c, err := dial(s.addr)
	if err != nil || s.tls == nil {
		return c, err
	}
	secured := tls.Client(c.conn, s.tls)
	return &client{secured, bufio.NewReader(secured)}, nil
}

func (c *client) do(request string) (status int, user string, err error) {
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, "", err
	}
	return finish(http.ReadResponse(c.reader, nil))
}

func (c *client) close() { _ = c.conn.Close() }

// finish reads an answer to the end.
func finish(response *http.Response, err error) (status int, user string, _ error) {
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get(seenUser), errors.Join(err, response.Body.Close())
}

// h2Client is one connection with HTTP/2, made with the first request.
type h2Client struct {
	transport    *http.Transport
	scheme, addr string

	text    string // of the last request
	request *http.Request
}

// newH2Client speaks h2c without a configuration of TLS.
func newH2Client(addr string, secured *tls.Config) *h2Client {
	c := &h2Client{scheme: "http", addr: addr}
	c.transport = &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, TLSClientConfig: secured}
	c.transport.Protocols.SetUnencryptedHTTP2(secured == nil)
	if secured != nil {
		c.scheme = "https"
		c.transport.Protocols.SetHTTP2(true)
	}
	return c
}

func (c *h2Client) do(request string) (status int, user string, err error) {
	if c.text != request {
		parsed, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			return 0, "", err
		}
		parsed.RequestURI, parsed.URL.Scheme, parsed.URL.Host = "", c.scheme, c.addr
		c.text, c.request = request, parsed
	}
	response, err := c.transport.RoundTrip(c.request)
	if err == nil && response.ProtoMajor != 2 {
		_ = response.Body.Close()
		return 0, "", fmt.Errorf("the answer came by %s", response.Proto)
	}
	return finish(response, err)
}

func (c *h2Client) close() { c.transport.CloseIdleConnections() }

// block sends requests over keep-alive connections and returns the CPU seconds that
// the server used, per 100,000 requests.
func (s *subject) block(o options) (float64, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	each := o.requests / o.connections
	errs := make(chan error, o.connections)
	for range o.connections {
		go func() { errs <- s.send(each) }()
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

// send makes n requests over one connection, and stops at an answer that is not the
// upstream's to the expected user.
func (s *subject) send(n int) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.close()
	for range n {
		if err := s.ask(c); err != nil {
			return err
		}
	}
	return nil
}

// errWrong is an answer that another connection would not make better.
var errWrong = errors.New("wrong answer")

// ask makes one request.
func (s *subject) ask(c exchanger) error {
	status, user, err := c.do(s.request)
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return fmt.Errorf("%w: %s: status %d", errWrong, s.name, status)
	case user == "":
		return fmt.Errorf("%w: %s: it is not the upstream's", errWrong, s.name)
	case s.user != "" && user != s.user:
		return fmt.Errorf("%w: %s: the upstream saw user %q", errWrong, s.name, user)
	}
	return nil
}
