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
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// ErrUnreachable says that no whole HTTP answer came, as opposed to a bad one.
var ErrUnreachable = errors.New("unreachable")

// StatusError is an answer with a status other than 200.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// unreachable is an [ErrUnreachable] whose text is the explanation alone.
type unreachable struct{ why error }

func (e unreachable) Error() string   { return e.why.Error() }
func (e unreachable) Unwrap() []error { return []error{ErrUnreachable, e.why} }

// Limit is the most that one answer may take.
type Limit struct {
	Bytes int64         // of the body; a longer one is an error
	Time  time.Duration // from resolving the name to the last byte
}

// Get returns the body of the answer with status 200, and its header. The text of an error
// names the host, and shows nothing of a certificate and nothing of the answer. If ctx is
// canceled, the error wraps its cause.
func Get(ctx context.Context, via http.RoundTripper, from *url.URL, limit Limit) ([]byte, http.Header, error) {
	return ask(ctx, via, http.MethodGet, from, "", nil, limit)
}

// Post sends a body, and returns the body of the answer like [Get].
func Post(ctx context.Context, via http.RoundTripper, to *url.URL, mediaType string, body []byte, limit Limit) ([]byte, error) {
	content, _, err := ask(ctx, via, http.MethodPost, to, mediaType, body, limit)
	return content, err
}

// ask limits the time, and says in an error which host was asked and why there is no answer.
func ask(
	ctx context.Context, via http.RoundTripper, method string, to *url.URL, mediaType string, body []byte, limit Limit,
) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, limit.Time)
	defer cancel()
	content, header, err := do(ctx, via, method, to, mediaType, body, limit.Bytes)
	if ended := ctx.Err(); ended != nil {
		// net/http may return what the server wrote when it saw the connection close: that
		// is often an empty answer with status 200.
		err = fmt.Errorf("%w: %w", ErrUnreachable, ended)
	}
	switch {
	case err == nil:
		return content, header, nil
	case !errors.Is(err, ErrUnreachable):
	case errors.Is(ctx.Err(), context.Canceled):
		err = unreachable{context.Cause(ctx)}
	default:
		err = unreachable{explain(err, limit.Time)}
	}
	return nil, nil, fmt.Errorf("asking %s: %w", identity.Quote(to.Host), err)
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
