// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// wire is a connection to a server that always gives the same answer.
type wire struct {
	status int
	body   []byte
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: w.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(w.body)), Request: r}, nil
}

// FuzzAnswer gives any answer to both calls. An accepted answer has the right kind and
// version and the requested content; any other is an error of one line.
func FuzzAnswer(f *testing.F) {
	const review, request = `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",`, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1",`
	for _, body := range []string{
		review + `"status":{"authenticated":true,"user":{"username":"alice","groups":["a"],"extra":{"k":["v"]}},"audiences":["a"]}}`,
		review + `"status":{"user":{},"user":{},"USER":{}}}`, review + `"status":{"user":{"extra":{"k":1e999}}}}`,
		review + `"status":{"user":{"other":{"k":1e999}}}}`, review + `"status":{"user":{},"error":"invalid bearer token"}}`, review + `"status":null}`, review + `"spec":{}}`,
		request + `"status":{"token":"a.b.c","expirationTimestamp":"2999-01-01T00:00:00Z"}}`, request + `"status":{}}`,
		`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no\n"}`, `{"kind":"TokenReview"}`,
		`{"kind":"TokenReview","apIVersion":"authentication.k8s.io/v1","status":{}}`, `{}`, `[]`, `null`, ``, `<html>`,
	} {
		for _, status := range []int{200, 201, 204, 307, 401, 403, 429, 500} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		client, err := newClient(&rest.Config{Host: "https://192.0.2.1"}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		client.transport = wire{status, body}
		reviewed, err := client.ReviewToken(t.Context(), "asked-about", nil)
		checkFuzzed(t, wire{status, body}, "TokenReview", reviewed != nil, err)
		token, expires, err := client.RequestToken(t.Context(), "ns", "name", nil, 0)
		checkFuzzed(t, wire{status, body}, "TokenRequest", token != "", err)
		if err == nil && (!identity.IsBearerToken(token) || !expires.After(time.Now())) {
			t.Errorf("%q until %v", token, expires)
		}
	})
}

func checkFuzzed(t *testing.T, answer wire, kind string, answered bool, err error) {
	t.Helper()
	if answered != (err == nil) {
		t.Errorf("an answer: %t, %v", answered, err)
	}
	if err != nil {
		if !identity.IsRefusal(err) || !errors.Is(err, identity.ErrUnavailable) || strings.ContainsAny(err.Error(), "\n\r\x1b") || len(err.Error()) > 500 {
			t.Errorf("%q", err)
		}
		return
	}
	if strings.Contains(string(answer.body), `"user":{},"user":{}`) {
		t.Errorf("%q is accepted, which has two users", answer.body)
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(answer.body))
	decoder.UseNumber() // a field that is not read may have any number
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	if answer.status != 200 && answer.status != 201 || object["kind"] != kind || object["apiVersion"] != "authentication.k8s.io/v1" {
		t.Errorf("%d %q is accepted", answer.status, answer.body)
	}
}
