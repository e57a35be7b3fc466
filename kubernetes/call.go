// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxAnswer is how large the body of an answer may be, in bytes. A larger one is an
	// error: the part that is cut off may matter.
	maxAnswer = 1 << 20

	// maxFault is how much of the text of a connection's error is shown, in bytes.
	maxFault = 256
)

// errOtherKind is about an answer that is an API object, but not of the requested kind.
var errOtherKind = errors.New("the answer is of another kind")

// creation is one call: POST of an object.
type creation struct {
	// resource as RBAC calls it, for errors.
	resource string

	// path below the server's URL, of valid segments.
	path string

	// object is what is sent: a runtime.Object for create.
	object any

	// header are fields of this call alone.
	header http.Header

	// secret is a value that errors must not show, even if the API server repeats it.
	secret string
}

// create sends an object, once, and returns the API server's version of it, which is of
// the same kind, both decoded and as bytes. Its errors wrap no sentinel, and show nothing
// of a body except the message of a metav1.Status, bounded.
func (c *Client) create(ctx context.Context, call creation) (runtime.Object, []byte, error) {
	if c.fault != nil {
		return nil, nil, c.fault
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	status, body, err := c.post(within, call)
	c.answered(ctx, status, err)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, nil, fmt.Errorf("no answer within %v: %w", c.timeout, err)
		}
		return nil, nil, err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return nil, nil, c.refused(call, status, body)
	}
	answer, _, err := c.decoder.Decode(body, nil, nil)
	switch {
	case err == nil && hasRepeatedName(body):
		return nil, nil, errors.New("the answer names a field twice")
	case err == nil && answer.GetObjectKind().GroupVersionKind() == kindOf(call.object):
		return answer, body, nil
	case runtime.IsMissingKind(err), runtime.IsMissingVersion(err): // its text is the body
		return nil, nil, errors.New("the answer has no kind or apiVersion")
	case err == nil, runtime.IsNotRegisteredError(err):
		return nil, nil, errOtherKind
	default:
		return nil, nil, errors.New("the answer is not an object of the Kubernetes API")
	}
}

func kindOf(object any) schema.GroupVersionKind {
	if known, ok := object.(runtime.Object); ok {
		return known.GetObjectKind().GroupVersionKind()
	}
	return schema.GroupVersionKind{}
}

// answered tells who watches.
func (c *Client) answered(ctx context.Context, status int, err error) {
	switch {
	case c.watch == nil || err != nil && ctx.Err() != nil:
		return
	case err == nil && status >= http.StatusInternalServerError:
		err = fmt.Errorf("the API server answers with status %d", status)
	}
	c.watch(err)
}

func hasRepeatedName(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // of any size
	return repeatsName(d)
}

// repeatsName says whether an object of the next JSON value has two members of one name, also in
// another case: of two users in an answer one reader takes the first, another the last. What
// cannot be read counts as repeated.
func repeatsName(d *json.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		return true
	}
	open, ok := token.(json.Delim)
	if !ok {
		return false
	}
	seen := make(map[string]bool)
	for d.More() {
		if open == '{' {
			name, _ := d.Token()
			text, ok := name.(string)
			folded := strings.ToUpper(strings.ToLower(text)) // both: there are letters that only one of them joins
			if !ok || seen[folded] {
				return true
			}
			seen[folded] = true
		}
		if repeatsName(d) {
			return true
		}
	}
	_, err = d.Token() // the end of the object or list
	return err != nil
}

// post sends the request and reads the answer, whatever its status.
func (c *Client) post(ctx context.Context, call creation) (status int, body []byte, err error) {
	content, err := json.Marshal(call.object)
	if err != nil {
		return 0, nil, fmt.Errorf("encoding the request: %w", err)
	}
	target := c.server.JoinPath(call.path).String()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(content))
	if err != nil {
		return 0, nil, fmt.Errorf("preparing the request: %w", err)
	}
	request.Header.Set("Accept", runtime.ContentTypeJSON)
	request.Header.Set("Content-Type", runtime.ContentTypeJSON)
	maps.Copy(request.Header, call.header)
	// The field is not sent. It allows net/http to repeat the request when an idle
	// connection turns out to be dead: a second review or token is harmless.
	request.Header["Idempotency-Key"] = nil
	response, err := c.transport.RoundTrip(request) // not by an http.Client, which would follow redirects
	if err != nil {
		return 0, nil, &faultError{err}
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("reading the answer: %w", &faultError{err})
	case len(body) > maxAnswer:
		return 0, nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return response.StatusCode, body, nil
}

// refused explains a status, with the API server's own message.
func (c *Client) refused(call creation, status int, body []byte) error {
	var text string
	switch {
	case status == http.StatusUnauthorized:
		text = "the API server refuses the proxy's own credential"
	case status == http.StatusForbidden:
		text = "the API server does not allow the proxy to create " + call.resource
	case status == http.StatusTooManyRequests:
		text = "the API server is busy"
	case status >= 300 && status < 400:
		text = "the API server redirects, which is not followed"
	default:
		text = "the API server answers with an error"
	}
	return c.explained(text, call, status, body)
}

// explained adds the status, and the API server's own message unless that has the secret.
func (c *Client) explained(text string, call creation, status int, body []byte) error {
	if message := c.message(body); message != "" && (call.secret == "" || !identity.LeaksToken(message, call.secret)) {
		return fmt.Errorf("%s (status %d): %s", text, status, identity.Quote(message))
	}
	return fmt.Errorf("%s (status %d)", text, status)
}

// message is how the API server explains an error, if it does.
func (c *Client) message(body []byte) string {
	answer, _, err := c.decoder.Decode(body, nil, nil)
	if err != nil {
		return ""
	}
	if status, ok := answer.(*metav1.Status); ok && status.Status == metav1.StatusFailure {
		return status.Message
	}
	return ""
}

// faultError is an error of the connection. If the other end does not speak HTTP, the
// text of net/http's error repeats its bytes.
type faultError struct{ cause error }

func (e *faultError) Error() string {
	text := e.cause.Error()
	switch {
	case strings.Contains(text, "server response headers exceeded"):
		return fmt.Sprintf("the answer's header is larger than %d bytes", maxHeader)
	case strings.Contains(text, "HTTP/1.x transport connection broken"):
		return "the connection broke, or the answer is not HTTP"
	case len(text) > maxFault || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return identity.Quote(text)
	default:
		return text
	}
}

func (e *faultError) Unwrap() error { return e.cause }
