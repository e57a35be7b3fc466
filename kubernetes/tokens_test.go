// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// granted is an answer to a TokenRequest.
func granted(token string, expires time.Time) string {
	return fmt.Sprintf(`{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{"audiences":["a"],"expirationSeconds":600},
		"status":{"token":%q,"expirationTimestamp":%q}}`, token, expires.UTC().Format(time.RFC3339))
}

func TestRequestTokenAsksAsTheAPISays(t *testing.T) {
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	for name, test := range map[string]struct {
		audiences  []string
		expiration time.Duration
		spec       map[string]any
	}{
		"with all":     {[]string{"a"}, 10 * time.Minute, map[string]any{"audiences": []any{"a"}, "expirationSeconds": 600.0}},
		"with nothing": {nil, 0, map[string]any{"audiences": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || r.RequestURI != "/api/v1/namespaces/kube-system/serviceaccounts/the.proxy/token" || r.Proto != "HTTP/1.1" {
					t.Errorf("%s %s %s", r.Method, r.RequestURI, r.Proto)
				}
				var request struct {
					Kind, APIVersion string
					Spec             map[string]any
				}
				if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
					t.Error(err)
				}
				delete(request.Spec, "boundObjectRef")
				if request.Spec["expirationSeconds"] == nil {
					delete(request.Spec, "expirationSeconds")
				}
				if request.Kind != "TokenRequest" || request.APIVersion != "authentication.k8s.io/v1" || !reflect.DeepEqual(request.Spec, test.spec) {
					t.Errorf("%+v", request)
				}
				answer(http.StatusCreated, granted("a.b.c", expires))(w, r)
			}))
			token, until, err := client.RequestToken(t.Context(), "kube-system", "the.proxy", test.audiences, test.expiration)
			if err != nil || token != "a.b.c" || !until.Equal(expires) {
				t.Errorf("%q until %v, %v", token, until, err)
			}
		})
	}
}

func TestRequestTokenRefusesBadAnswers(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	const open = `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1",`
	failure := func(message string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"` + message + `"}`
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"no status":                 {201, open + `"spec":{}}`, "has no token"},
		"no token":                  {201, granted("", soon), "has no token"},
		"a token with a blank":      {201, granted("SECRET SECRET", soon), "has no token"},
		"a token with a line break": {201, granted("SECRET\n", soon), "has no token"},
		"a token of many bytes":     {201, granted(strings.Repeat("x", identity.MaxToken+1), soon), "has no token"},
		"no time":                   {201, open + `"status":{"token":"SECRET"}}`, "has no expirationTimestamp"},
		"a time that is null":       {201, open + `"status":{"token":"SECRET","expirationTimestamp":null}}`, "has no expirationTimestamp"},
		"a time that is a number":   {201, open + `"status":{"token":"SECRET","expirationTimestamp":1}}`, "not an object of the Kubernetes API"},
		"a time that is past":       {201, granted("SECRET", time.Now().Add(-time.Second)), "expired at 20"},
		"two tokens":                {201, open + `"status":{"token":"SECRET","token":"SECRET2","expirationTimestamp":"2999-01-01T00:00:00Z"}}`, "names a field twice"},
		"two times in two cases":    {201, open + `"status":{"token":"SECRET","expirationTimestamp":"2999-01-01T00:00:00Z","ExpirationTimestamp":"2998-01-01T00:00:00Z"}}`, "names a field twice"},
		"a TokenReview":             {201, goodReview, "of another kind"},
		"a page of HTML":            {200, "<html>SECRET", "not an object of the Kubernetes API"},
		"a missing service account": {404, failure(`serviceaccounts \"x\" not found`), `status 404): "serviceaccounts \"x\" not found"`},
		"too short a time":          {422, failure("may not specify a duration less than 10 minutes"), "less than 10 minutes"},
		"not allowed":               {403, failure("no"), "does not allow the proxy to create serviceaccounts/token of ns/name"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, newServer(t, answer(test.status, test.body)))
			token, until, err := client.RequestToken(t.Context(), "ns", "name", nil, 0)
			wantUnavailable(t, err, test.want)
			if token != "" || !until.IsZero() {
				t.Errorf("there is %q until %v beside the error", token, until)
			}
		})
	}
}

// A name becomes a part of the path.
func TestRequestTokenRefusesBadNames(t *testing.T) {
	var asked atomic.Int64
	client := newClient(t, newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, granted("x", time.Now().Add(time.Hour)))
	}))
	for _, names := range [][2]string{
		{"", "x"},
		{"x", ""},
		{"..", "x"},
		{"x", ".."},
		{"a/b", "x"},
		{"x", "a/b"},
		{"x", "a%2fb"},
		{"x", "a?b"},
		{"x", "a#b"},
		{"a.b", "x"},
		{"X", "x"},
		{"x", "SECRET" + strings.Repeat("x", 500)},
		{"x", "a\n"},
	} {
		_, _, err := client.RequestToken(t.Context(), names[0], names[1], nil, 0)
		if len(names[1]) < 500 {
			wantUnavailable(t, err, "is not the name of a service account")
		} else if !identity.IsRefusal(err) || len(err.Error()) > 300 {
			t.Error(err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("asked %d times", asked.Load())
	}
}
