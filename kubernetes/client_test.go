// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

const (
	// secret is the token in the question, which errors must not show.
	secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2ln"

	// goodReview is what the API server answers about a good token.
	goodReview = `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{"creationTimestamp":null,"managedFields":[]},
		"spec":{"token":"` + secret + `"},"status":{"authenticated":true,"user":{"username":"alice","uid":"42","groups":["dev","system:authenticated"],
		"extra":{"example.com/tenant":["acme"]}},"audiences":["https://kubernetes.default.svc"]}}`
)

// twice is an answer with these members in its status.
func twice(members ...string) string {
	return `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"error":"",` + strings.Join(members, ",") + `}}`
}

func TestReviewTokenAsksOnceAsTheAPISays(t *testing.T) {
	var asked atomic.Int64
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodPost || r.RequestURI != "/prefix/apis/authentication.k8s.io/v1/tokenreviews" || r.Proto != "HTTP/1.1" {
			t.Errorf("%s %s %s", r.Method, r.RequestURI, r.Proto)
		}
		for field, want := range map[string]string{
			"Authorization": "Bearer own", "User-Agent": "caddy-kube-identity",
			"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "", "Cookie": "",
		} {
			if got := r.Header.Get(field); got != want {
				t.Errorf("%s is %q, want %q", field, got, want)
			}
		}
		var review struct {
			Kind, APIVersion string
			Spec             map[string]any
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		want := map[string]any{"token": secret, "audiences": []any{"a", "b"}}
		if review.Kind != "TokenReview" || review.APIVersion != "authentication.k8s.io/v1" || !reflect.DeepEqual(review.Spec, want) {
			t.Errorf("%+v", review)
		}
		answer(http.StatusCreated, goodReview)(w, r)
	})
	cluster := clusterOf(server)
	cluster["server"] = server.URL + "/prefix" // as in Rancher's kubeconfig
	client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, cluster, map[string]any{"token": "own"})})
	status, err := client.ReviewToken(t.Context(), secret, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if !status.Authenticated || status.User.Username != "alice" || status.User.UID != "42" || len(status.User.Groups) != 2 ||
		status.User.Extra["example.com/tenant"][0] != "acme" || len(status.Audiences) != 1 || status.Error != "" {
		t.Errorf("%+v", status)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestReviewTokenWithoutAudiencesSendsNone(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || strings.Contains(string(body), "audiences") {
			t.Errorf("%q, %v", body, err)
		}
		answer(http.StatusCreated, goodReview)(w, r)
	})
	if _, err := newClient(t, server).ReviewToken(t.Context(), secret, nil); err != nil {
		t.Error(err)
	}
}

// The API server's answer about a token is returned as it is, even if it says little.
func TestReviewTokenReturnsTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		status        int
		body          string
		authenticated bool
		text          string
	}{
		"a good token":                           {201, goodReview, true, ""},
		"a good token with status 200":           {200, goodReview, true, ""},
		"a bad token":                            {201, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"user":{},"error":"invalid bearer token"}}`, false, "invalid bearer token"},
		"a bad token without a reason":           {201, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"user":{}}}`, false, ""},
		"fields of a newer API server":           {201, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","new":1,"status":{"authenticated":true,"new":{},"user":{"username":"alice"}}}`, true, ""},
		"a field that differs in case, unread":   {201, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"Authenticated":true,"user":{"username":"alice"}}}`, false, ""},
		"blanks up to the limit of one mebibyte": {201, goodReview + strings.Repeat(" ", 1<<20-len(goodReview)), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, err := newClient(t, newServer(t, answer(test.status, test.body))).ReviewToken(t.Context(), secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status.Authenticated != test.authenticated || status.Error != test.text {
				t.Errorf("%+v", status)
			}
		})
	}
}

// badAnswers are answers that are not about any token. SECRET must not appear in an
// error.
func badAnswers() map[string]struct {
	handler http.HandlerFunc
	want    string
} {
	const open = `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",`
	failure := func(message string) string {
		return `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"` + message + `","code":403}`
	}
	with := func(field, value string, next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(field, value)
			next(w, r)
		}
	}
	return map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"a page of HTML with status 200": {with("Content-Type", "text/html", answer(200, "<html>SECRET")), "not an object of the Kubernetes API"},
		"nothing with status 200":        {answer(200, ""), "not an object of the Kubernetes API"},
		"nothing with status 204":        {answer(204, ""), "status 204"},
		"a good answer with status 202":  {answer(202, goodReview), "status 202"},
		"an empty object":                {answer(201, `{}`), "no kind or apiVersion"},
		"a list":                         {answer(201, `[]`), "not an object of the Kubernetes API"},
		"null":                           {answer(201, `null`), "no kind or apiVersion"},
		"no kind":                        {answer(201, `{"apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"SECRET"}}}`), "no kind or apiVersion"},
		"no apiVersion":                  {answer(201, `{"kind":"TokenReview","status":{"authenticated":true,"user":{"username":"SECRET"}}}`), "no kind or apiVersion"},
		"no status":                      {answer(201, open+`"spec":{}}`), "has no status"},
		"a status that is null":          {answer(201, open+`"status":null}`), "has no status"},
		"a status that is text":          {answer(201, open+`"status":"SECRET"}`), "not an object of the Kubernetes API"},
		"authenticated as text":          {answer(201, open+`"status":{"authenticated":"true","user":{"username":"SECRET"}}}`), "not an object of the Kubernetes API"},
		"an older version of the API":    {answer(201, strings.Replace(goodReview, "/v1", "/v1beta1", 1)), "of another kind"},
		"another kind of the same group": {answer(201, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"SECRET"}}`), "of another kind"},
		"an unknown kind":                {answer(201, `{"kind":"SECRET","apiVersion":"SECRET/v1"}`), "of another kind"},
		"a Status of success":            {answer(200, `{"kind":"Status","apiVersion":"v1","status":"Success","message":"SECRET"}`), "of another kind"},
		// one reader takes the first value, another the last, and a third does not mind the case
		"two users":                        {answer(201, twice(`"user":{"username":"alice"}`, `"user":{"username":"admin"}`)), "names a field twice"},
		"two users in two cases":           {answer(201, twice(`"user":{"username":"alice"}`, `"User":{"username":"admin"}`)), "names a field twice"},
		"two verdicts":                     {answer(201, twice(`"authenticated":false`, `"authenticated":true`)), "names a field twice"},
		"two names":                        {answer(201, twice(`"user":{"username":"alice","username":"admin"}`)), "names a field twice"},
		"two names, with a long s":         {answer(201, twice(`"user":{"username":"alice","u\u017fername":"admin"}`)), "names a field twice"},
		"two names, one of them escaped":   {answer(201, twice(`"user":{"username":"alice","user\u006eame":"admin"}`)), "names a field twice"},
		"two lists of groups":              {answer(201, twice(`"user":{"username":"a","groups":["dev"],"groups":["admins"]}`)), "names a field twice"},
		"two lists of audiences":           {answer(201, twice(`"audiences":["a"]`, `"audiences":["b"]`)), "names a field twice"},
		"two values of an extra key":       {answer(201, twice(`"user":{"username":"a","extra":{"k":["1"],"K":["2"]}}`)), "names a field twice"},
		"two statuses":                     {answer(201, strings.Replace(goodReview, `"status"`, `"status":{},"status"`, 1)), "names a field twice"},
		"two statuses in two cases":        {answer(201, strings.Replace(goodReview, `"status"`, `"STATUS":{},"status"`, 1)), "names a field twice"},
		"two kinds":                        {answer(201, strings.Replace(goodReview, `"kind"`, `"kind":"X","kind"`, 1)), "names a field twice"},
		"a status in another case":         {answer(201, strings.Replace(goodReview, `"status"`, `"Status"`, 1)), "has no status"},
		"half an object":                   {answer(201, goodReview[:len(goodReview)-20]), "not an object of the Kubernetes API"},
		"two objects":                      {answer(201, goodReview+goodReview), "not an object of the Kubernetes API"},
		"YAML":                             {answer(201, "kind: TokenReview\napiVersion: authentication.k8s.io/v1\nstatus: {authenticated: true, user: {username: SECRET}}\n"), "not an object of the Kubernetes API"},
		"one byte more than a mebibyte":    {answer(201, goodReview+strings.Repeat(" ", 1<<20-len(goodReview)+1)), "larger than 1048576 bytes"},
		"an unrequested compressed answer": {with("Content-Encoding", "gzip", answer(201, "\x1f\x8b\x08SECRET")), "not an object of the Kubernetes API"},
		"a header of a hundred kilobytes":  {with("X-Long", strings.Repeat("SECRET", 17000), answer(201, goodReview)), "header is larger than 65536 bytes"},
		"a body that ends too early":       {with("Content-Length", "5000", answer(201, "SECRET")), "reading the answer"},
		"status 400":                       {answer(400, failure("token is required")), `status 400): "token is required"`},
		"status 401":                       {answer(401, failure("Unauthorized")), `refuses the proxy's own credential (status 401): "Unauthorized"`},
		"status 403":                       {answer(403, failure("tokenreviews is forbidden")), `does not allow the proxy to create tokenreviews.authentication.k8s.io (status 403): "tokenreviews is forbidden"`},
		"status 404 in plain text":         {with("Content-Type", "text/plain", answer(404, "404 SECRET not found")), "status 404"},
		"status 429":                       {with("Retry-After", "0", answer(429, failure("too many requests"))), `busy (status 429): "too many requests"`},
		"status 500":                       {answer(500, "SECRET"), "status 500"},
		"status 503 with Retry-After":      {with("Retry-After", "0", answer(503, "SECRET")), "status 503"},
		"a good answer with status 403":    {answer(403, goodReview), "status 403)"},
		"a message of many bytes":          {answer(403, failure(strings.Repeat("x", 5000))), "5000 bytes"},
		"a message that forges lines":      {answer(403, failure(`a\n\u001b[2J`)), `a\n\x1b[2J`},
		"a message that repeats the token": {answer(403, failure("no "+secret)), "status 403)"},
		"a message of success":             {answer(500, `{"kind":"Status","apiVersion":"v1","status":"Success","message":"SECRET"}`), "status 500)"},
		"not HTTP at all":                  {hijacked("SECRET not HTTP\r\n\r\n"), "not HTTP"},
		"a bad line in the header":         {hijacked("HTTP/1.1 201 Created\r\nSECRET\r\n\r\n"), "not HTTP"},
		"a connection that closes at once": {hijacked(""), "EOF"},
		"an unrequested upgrade (101)":     {hijacked("HTTP/1.1 101 Switching Protocols\r\nUpgrade: SECRET\r\nConnection: Upgrade\r\n\r\n"), "status 101"},
	}
}

// hijacked answers with bytes, and closes.
func hijacked(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		conn.Close()
	}
}

func TestReviewTokenRefusesBadAnswers(t *testing.T) {
	for name, test := range badAnswers() {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			client := newClient(t, newServer(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				test.handler(w, r)
			}))
			status, err := client.ReviewToken(t.Context(), secret, nil)
			wantUnavailable(t, err, test.want)
			if status != nil {
				t.Errorf("there is %+v beside the error", status)
			}
			if asked.Load() != 1 {
				t.Errorf("asked %d times", asked.Load())
			}
		})
	}
}

// CVE-2022-3172: the server redirects the client, and gets the token and the proxy's own
// credential.
func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := newServer(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{other.URL + "/", "/apis/authentication.k8s.io/v1/elsewhere"} {
			var asked atomic.Int64
			client := newClient(t, newServer(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				http.Redirect(w, r, target, status)
			}))
			_, err := client.ReviewToken(t.Context(), secret, nil)
			wantUnavailable(t, err, fmt.Sprintf("redirects, which is not followed (status %d)", status))
			if asked.Load() != 1 || elsewhere.Load() != 0 {
				t.Errorf("%d to %s: asked %d times, and %d elsewhere", status, target, asked.Load(), elsewhere.Load())
			}
		}
	}
}

func TestCallEndsInTime(t *testing.T) {
	done := make(chan struct{})
	hang := func(first string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if first != "" {
				_, _ = io.WriteString(w, first)
				w.(http.Flusher).Flush()
			}
			<-done
		}
	}
	for name, handler := range map[string]http.HandlerFunc{"before the header": hang(""), "in the body": hang("{")} {
		server := newServer(t, handler)
		config := kubernetes.Config{Kubeconfig: kubeconfig(t, clusterOf(server), nil), Timeout: 50 * time.Millisecond}
		_, err := open(t, config).ReviewToken(t.Context(), secret, nil)
		wantUnavailable(t, err, "no answer within 50ms")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		config.Timeout = time.Hour
		_, err = open(t, config).ReviewToken(ctx, secret, nil)
		wantUnavailable(t, err, "context canceled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(done)
}

func TestServerThatIsNotTheConfiguredOne(t *testing.T) {
	server := newServer(t, answer(201, goodReview))
	another := newServer(t, answer(201, goodReview)) // with httptest's certificate, like every test server
	withoutCA := clusterOf(server)
	delete(withoutCA, "certificate-authority-data")
	wrongName := clusterOf(server)
	wrongName["tls-server-name"] = "kubernetes.default.svc"
	plain := httptest.NewServer(answer(201, goodReview))
	t.Cleanup(plain.Close)
	notTLS := clusterOf(another)
	notTLS["server"] = strings.Replace(plain.URL, "http:", "https:", 1)
	gone := clusterOf(server)
	gone["server"] = "https://" + freeport.For(t)
	for name, test := range map[string]struct {
		cluster map[string]any
		want    string
	}{
		"a CA that is not trusted": {withoutCA, "x509"},
		"another name":             {wrongName, "x509"},
		"no TLS":                   {notTLS, "tls: "},
		"no server there":          {gone, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, test.cluster, map[string]any{"token": "own"})})
			_, err := client.ReviewToken(t.Context(), secret, nil)
			wantUnavailable(t, err, test.want)
		})
	}
	named := clusterOf(server)
	named["tls-server-name"] = "example.com" // one of httptest's
	client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, named, nil)})
	if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
		t.Error(err)
	}
}

// client-go writes its comments about a server to standard error, past any log of ours.
func TestNothingIsPrinted(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = write
	for _, test := range badAnswers() {
		client := newClient(t, newServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Warning", `299 - "SECRET"`)
			test.handler(w, r)
		}))
		_, _ = client.ReviewToken(t.Context(), secret, nil)
	}
	_, _ = kubernetes.New(kubernetes.Config{})
	os.Stderr = stderr
	write.Close()
	if printed, err := io.ReadAll(read); err != nil || len(printed) > 0 {
		t.Errorf("printed is %q, %v", printed, err)
	}
}

func TestCloseEndsIdleConnections(t *testing.T) {
	opened, closed := make(chan struct{}, 10), make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(answer(201, goodReview))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened <- struct{}{}
		case http.StateClosed:
			closed <- struct{}{}
		default:
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	cluster := clusterOf(server)
	delete(cluster, "certificate-authority-data")
	cluster["certificate-authority"] = writeFile(t, t.TempDir(), "ca.crt", string(authority(server)))
	client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, cluster, map[string]any{"token": "own", "as": "other"})})
	for range 2 {
		for range 3 {
			if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
				t.Fatal(err)
			}
		}
		client.Close() // a later call makes another connection
		<-closed
	}
	if len(opened) != 2 {
		t.Errorf("%d connections, not two", len(opened))
	}
}
