// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// crowd is a site with four kinds of sources and two configurations, and its users.
type crowd struct {
	port, accessLog string
	configurations  [2]string
	users           []crowdUser
}

// crowdUser has a request, and what the upstream may see of it, under either configuration.
type crowdUser struct {
	name, source string
	request      http.Header
	want         [2]http.Header
}

func newCrowd(t *testing.T, upstream string) *crowd {
	t.Helper()
	issuer, cluster := testissuer.New(t), testreview.New(t)
	cluster.RepeatTokens()
	authority := testpki.NewCA(t, nil, "clients", testpki.AnyTime)
	c := &crowd{port: freeport.Ports(t, 1)[0], accessLog: filepath.Join(t.TempDir(), "access.log")}
	sources := fmt.Sprintf(`trusted_proxies static %s
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups
		}
		client_cert {
			header     X-Client-Cert
			encoding   url_pem
			groups     organization
			trust_pool file %s
		}
		oidc %s {
			audience        dash
			username_claim  sub -
			groups_claim    groups
			trust_pool file %s
		}
		token_review
		%s`, testhandler.TrustedPeer, testpki.PEMFile(t, authority), issuer.URL, testpki.PEMFile(t, issuer.CA), cluster.Kubeconfig(t))
	for n, rest := range []string{
		"allow_groups all dev*\n\t\tinject impersonation {\n\t\t\ttoken_file " + testhandler.TokenFile(t) + "\n\t\t}",
		"allow_groups all ops*\n\t\tinject headers {\n\t\t\tuser X-User\n\t\t\tgroups X-Groups |\n\t\t}",
	} {
		c.configurations[n] = fmt.Sprintf(`http://:%s {
	log {
		output file %q {
			roll_disabled
		}
		format json
	}
	kube_identity {
		%s
		%s
	}
	reverse_proxy %s {
		transport http {
			keepalive off
		}
	}
}
`, c.port, c.accessLog, sources, rest, upstream)
	}
	for n := range 16 {
		for _, source := range []string{"forwarded", "client_cert", "oidc", "token_review"} {
			name := fmt.Sprintf("%s-%d", source, n)
			groups := []string{"all", fmt.Sprintf("dev-%s", name), fmt.Sprintf("ops-%s", name)}
			user := crowdUser{name: name, source: source, want: [2]http.Header{
				testhandler.As(name, groups[0], groups[1]), {"X-User": {name}, "X-Groups": {groups[0] + "|" + groups[2]}},
			}}
			switch source {
			case "forwarded":
				user.request = http.Header{"X-Forwarded-User": {name}, "X-Forwarded-Groups": groups}
			case "client_cert":
				leaf := authority.Leaf(t, testpki.Named(testpki.CommonName, name, testpki.Organization, groups[0], testpki.Organization, groups[1], testpki.Organization, groups[2]))
				user.request = http.Header{"X-Client-Cert": {testpki.EscapedPEM(leaf)}}
			case "oidc":
				user.request = http.Header{"Authorization": {"Bearer " + issuer.Token(t, map[string]any{"sub": name, "groups": groups})}}
			default:
				user.request = http.Header{"Authorization": {"Bearer " + cluster.Login(testreview.User{Username: name, Groups: groups})}}
			}
			user.request.Set("X-Sent-By", name)
			c.users = append(c.users, user)
		}
	}
	return c
}

// identityOf is the part of a header that says who the client is.
func identityOf(header http.Header) http.Header {
	said := make(http.Header)
	for name, lines := range header {
		if name == "Authorization" || name == "X-User" || name == "X-Groups" || strings.HasPrefix(name, "Impersonate-") {
			said[name] = lines
		}
	}
	return said
}

// Users of all kinds send requests while the configuration changes to and fro. The upstream
// sends each header back to the client, who must find itself there, under one of the two.
func TestNoClientIsTakenForAnotherWhileConfigurationsChange(t *testing.T) {
	upstream := testhandler.NewUpstreamWith(t, func(conn net.Conn, _ *bufio.Reader, r testhandler.Received) bool {
		echo, _ := json.Marshal(r.Header)
		_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(echo), echo)
		return err == nil
	})
	c := newCrowd(t, upstream.Addr)
	caddy := testhandler.Start(t, "", c.configurations[0])
	transport := &http.Transport{
		MaxIdleConnsPerHost: len(c.users),
		DialContext:         (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(testhandler.TrustedPeer)}}).DialContext,
	}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var seen [2]atomic.Int64
	for _, user := range c.users {
		running.Go(func() {
			for ctx.Err() == nil {
				header, err := echoed(context.WithoutCancel(ctx), transport, "http://127.0.0.1:"+c.port+"/", user.request)
				if err != nil {
					t.Errorf("%s: %v", user.name, err)
					return
				}
				said := identityOf(header)
				n := slices.IndexFunc(user.want[:], func(want http.Header) bool { return reflect.DeepEqual(said, want) })
				if n < 0 || header.Get("X-Sent-By") != user.name {
					t.Errorf("%s became %v, with X-Sent-By %q", user.name, said, header["X-Sent-By"])
					return
				}
				seen[n].Add(1)
			}
		})
	}
	for n := 1; n <= 30 && !t.Failed(); n++ {
		time.Sleep(100 * time.Millisecond) // the interval of the reloads is what is tested
		caddy.Reload(t, "", c.configurations[n%2])
	}
	stop()
	running.Wait()
	if least := int64(len(c.users)); seen[0].Load() < least || seen[1].Load() < least {
		t.Errorf("the configurations served %d and %d requests", seen[0].Load(), seen[1].Load())
	}
	checkAccessLog(t, c)
}

// echoed returns the header that the upstream received. A connection that ends before an
// answer is that of a server that shuts down.
func echoed(ctx context.Context, transport *http.Transport, url string, header http.Header) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header = header
	response, err := transport.RoundTrip(request)
	for again := 0; again < 10 && testhandler.Dropped(err); again++ {
		response, err = transport.RoundTrip(request)
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	received := make(http.Header)
	err = json.Unmarshal(text, &received)
	return received, err
}

// checkAccessLog compares the user of each line with the one who sent the request.
func checkAccessLog(t *testing.T, c *crowd) {
	t.Helper()
	file, err := os.Open(c.accessLog)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := 0
	for decoder := json.NewDecoder(file); decoder.More(); lines++ {
		var line struct {
			Identity struct {
				User, Source string
				Groups       []string
			} `json:"kube_identity"`
			Request struct{ Headers http.Header }
		}
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		sender := line.Request.Headers.Get("X-Sent-By")
		source, _, _ := strings.Cut(sender, "-")
		one, other := []string{"all", "dev-" + sender}, []string{"all", "ops-" + sender}
		if line.Identity.User != sender || line.Identity.Source != source || !slices.Equal(line.Identity.Groups, one) && !slices.Equal(line.Identity.Groups, other) {
			t.Fatalf("the log has the request of %s as that of %s by %s in %q", sender, line.Identity.User, line.Identity.Source, line.Identity.Groups)
		}
	}
	if lines == 0 {
		t.Error("the access log is empty")
	}
}
