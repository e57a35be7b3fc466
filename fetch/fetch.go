// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrUnreachable says that no whole HTTP answer came, as opposed to a bad one. The error
// of net/http that is wrapped beside it may show names from certificates and bytes of the
// answer: see [Explain].
var ErrUnreachable = errors.New("unreachable")

// StatusError is an answer with a status other than 200.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// Get returns the body of the answer with status 200, and its header. An answer that is
// longer than limit, in bytes, is an error.
func Get(ctx context.Context, via http.RoundTripper, from *url.URL, limit int64) ([]byte, http.Header, error) {
	return do(ctx, via, http.MethodGet, from, "", nil, limit)
}

// Post sends a body, and returns the body of the answer like [Get].
func Post(ctx context.Context, via http.RoundTripper, to *url.URL, mediaType string, body []byte, limit int64) ([]byte, error) {
	content, _, err := do(ctx, via, http.MethodPost, to, mediaType, body, limit)
	return content, err
}

// do uses the transport and not an http.Client, which would follow redirects.
func do(
	ctx context.Context, via http.RoundTripper, method string, to *url.URL, mediaType string, body []byte, limit int64,
) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, errors.New("the url cannot be requested")
	}
	request.Header.Set("User-Agent", "caddy-kube-identity")
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := via.RoundTrip(request)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, StatusError(response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case int64(len(content)) > limit:
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return content, response.Header, nil
}
