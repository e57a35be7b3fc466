// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// StatusError is an answer that is not a good one.
type StatusError struct {
	Status int
	Err    error
}

// Error explains the status, as the errors of all calls do.
func (e *StatusError) Error() string { return e.Err.Error() }

// Stream gets a list, or watches it, and returns the body of the answer. The caller limits what
// it reads of it, and closes it. The answer begins within the timeout of one call; the body
// lasts until ctx ends. A status other than 200 is a [*StatusError]. verb and resource are as
// RBAC calls them, for errors.
func (c *Client) Stream(ctx context.Context, verb, resource, path string, query url.Values) (io.ReadCloser, error) {
	if c.fault != nil {
		return nil, c.fault
	}
	within, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(c.timeout, cancel)
	response, err := c.get(within, path, query)
	if !late.Stop() && err == nil {
		_ = response.Body.Close()
		err = context.DeadlineExceeded
	}
	status := 0
	if err == nil {
		status = response.StatusCode
	}
	c.answered(ctx, status, err)
	switch {
	case err != nil:
		late := within.Err() != nil && ctx.Err() == nil
		cancel()
		if late {
			return nil, fmt.Errorf("no answer within %v: %w", c.timeout, context.DeadlineExceeded)
		}
		return nil, err
	case status != http.StatusOK:
		defer cancel()
		defer response.Body.Close()
		defer time.AfterFunc(c.timeout, cancel).Stop()
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			body = nil // it only explains the status
		}
		return nil, &StatusError{status, c.notStreamed(verb+" "+resource, status, body)}
	}
	return &stream{response.Body, ctx.Err, cancel}, nil
}

// notStreamed explains a status as [Client.refused] does.
func (c *Client) notStreamed(what string, status int, body []byte) error {
	if status == http.StatusForbidden {
		return c.explained("the API server does not allow the proxy to "+what, creation{}, status, body)
	}
	return c.refused(creation{}, status, body)
}

// get sends the request, and does not read the body of the answer.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	target := c.server.JoinPath(path)
	target.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("preparing the request: %w", err)
	}
	request.Header.Set("Accept", runtime.ContentTypeJSON)
	response, err := c.transport.RoundTrip(request) // not by an http.Client, which would follow redirects
	if err != nil {
		return nil, &faultError{err}
	}
	return response, nil
}

// stream is the body of an answer.
type stream struct {
	body   io.ReadCloser
	ended  func() error // why the caller has ended it
	cancel context.CancelFunc
}

// Read implements io.Reader. Its errors show nothing of what was read.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	switch {
	case err == nil:
	case s.ended() != nil: // also where the transport takes the closed connection for the end of the body
		err = &faultError{s.ended()}
	case !errors.Is(err, io.EOF):
		err = &faultError{err}
	}
	return n, err
}

// Close implements io.Closer.
func (s *stream) Close() error {
	s.cancel()
	return s.body.Close()
}
