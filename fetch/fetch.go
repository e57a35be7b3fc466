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

// Answer is a whole answer, with any status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get returns the body of the answer with status 200, and its header. The text of an error
// names the host, and shows nothing of a certificate and nothing of the answer. If ctx is
// canceled, the error wraps its cause.
func Get(ctx context.Context, via http.RoundTripper, from *url.URL, limit Limit) ([]byte, http.Header, error) {
	answer, err := send(ctx, via, http.MethodGet, from, "", nil, limit)
	if err != nil {
		return nil, nil, err
	}
	return answer.Body, answer.Header, nil
}

// Post sends a body, and returns the body of the answer like [Get].
func Post(ctx context.Context, via http.RoundTripper, to *url.URL, mediaType string, body []byte, limit Limit) ([]byte, error) {
	answer, err := send(ctx, via, http.MethodPost, to, mediaType, body, limit)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Do sends a request of the caller's, who may have put a credential into it, and returns
// the answer with any status: in OAuth the body tells why a request failed (RFC 6749, section
// 5.2). Errors are as with [Get], and show nothing of the request but its host.
func Do(via http.RoundTripper, request *http.Request, limit Limit) (*Answer, error) {
	return ask(request.Context(), via, request, limit, func(int) bool { return true })
}

func send(
	ctx context.Context, via http.RoundTripper, method string, to *url.URL, mediaType string, body []byte, limit Limit,
) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: the url cannot be requested", identity.Quote(to.Host))
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	return ask(ctx, via, request, limit, func(status int) bool { return status == http.StatusOK })
}

// ask limits the time, and says in an error which host was asked and why there is no answer.
func ask(ctx context.Context, via http.RoundTripper, request *http.Request, limit Limit, wanted func(status int) bool) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit.Time)
	defer cancel()
	answer, err := do(via, request.Clone(ctx), limit.Bytes, wanted)
	if ended := ctx.Err(); ended != nil {
		// net/http may return what the server wrote when it saw the connection close: that
		// is often an empty answer with status 200.
		err = fmt.Errorf("%w: %w", ErrUnreachable, ended)
	}
	switch {
	case err == nil:
		return answer, nil
	case !errors.Is(err, ErrUnreachable):
	case errors.Is(ctx.Err(), context.Canceled):
		err = unreachable{context.Cause(ctx)}
	default:
		err = unreachable{explain(err, limit.Time)}
	}
	return nil, fmt.Errorf("asking %s: %w", identity.Quote(request.URL.Host), err)
}

// do uses the transport and not an http.Client, which would follow redirects.
func do(via http.RoundTripper, request *http.Request, limit int64, wanted func(status int) bool) (*Answer, error) {
	request.Header.Set("User-Agent", "caddy-kube-identity")
	response, err := via.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer response.Body.Close()
	if !wanted(response.StatusCode) {
		return nil, StatusError(response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return &Answer{response.StatusCode, response.Header, content}, nil
}
