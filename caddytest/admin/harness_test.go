// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// operated is a running Caddy with an admin API.
type operated struct {
	*testhandler.Caddy

	site, admin string // host and port
}

// start runs Caddy with one site, at an address that stays the same over reloads. global are
// more global options.
func start(t *testing.T, global, site string) *operated {
	t.Helper()
	ports := freeport.Ports(t, 2)
	o := &operated{site: "127.0.0.1:" + ports[0], admin: "127.0.0.1:" + ports[1]}
	o.Caddy = testhandler.Start(t, o.global(global), o.of(site))
	return o
}

func (o *operated) global(more string) string { return "admin " + o.admin + "\n\t" + more }

func (o *operated) of(site string) string {
	return "http://:" + strings.TrimPrefix(o.site, "127.0.0.1:") + " {\n" + site + "\n}\n"
}

// reload gives Caddy another site.
func (o *operated) reload(t *testing.T, site string) {
	t.Helper()
	o.Reload(t, o.global(""), o.of(site))
}

// ask sends a request to the site or the admin API, and returns status and body.
func ask(t *testing.T, method, url, body string, fields ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// get asks the site.
func (o *operated) get(t *testing.T, path string, fields ...string) (int, string) {
	t.Helper()
	return ask(t, http.MethodGet, "http://"+o.site+path, "", fields...)
}

// state asks the admin API.
func (o *operated) state(t *testing.T, query string) *guest.State {
	t.Helper()
	status, body := ask(t, http.MethodGet, "http://"+o.admin+"/kube_identity/state"+query, "")
	state := new(guest.State)
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(state); status != http.StatusOK || err != nil {
		t.Fatalf("status %d, %v: %s", status, err, body)
	}
	return state
}

// flush asks the admin API.
func (o *operated) flush(t *testing.T, body string) guest.Flushed {
	t.Helper()
	status, answer := ask(t, http.MethodPost, "http://"+o.admin+"/kube_identity/flush", body, "Content-Type: application/json")
	var dropped guest.Flushed
	if err := json.Unmarshal([]byte(answer), &dropped); status != http.StatusOK || err != nil {
		t.Fatalf("status %d, %v: %s", status, err, answer)
	}
	return dropped
}

// wantReady asserts what the probe says.
func (o *operated) wantReady(t *testing.T, status int, body string) {
	t.Helper()
	if gotStatus, got := o.get(t, "/ready"); gotStatus != status || got != body {
		t.Errorf("ready is %d %q, want %d %q", gotStatus, got, status, body)
	}
}

// isReady asks the probe.
func (o *operated) isReady(t *testing.T) bool {
	t.Helper()
	status, _ := o.get(t, "/ready")
	return status == http.StatusOK
}

// guarded is a site with a probe, a page whoami, and these sources.
func guarded(sources, inject string) string {
	return fmt.Sprintf(`	kube_identity_ready /ready
	kube_identity {
		%s
		%s
	}
	kube_identity_whoami /whoami
	respond "{http.auth.user.id} {http.auth.user.groups}"`, sources, inject)
}
