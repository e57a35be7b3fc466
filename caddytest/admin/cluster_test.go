// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// The API server is lost and back. Readiness does not depend on it: all replicas would leave.
func TestAnAPIServerThatIsLostAndBack(t *testing.T) {
	cluster := testreview.New(t)
	alice, bob, carol := cluster.Login(testreview.User{Username: "alice"}), cluster.Login(testreview.User{Username: "bob"}), cluster.Login(testreview.User{Username: "carol"})
	forget(t, nil)
	o := start(t, recording, reviewing(t, cluster))
	want := func(token string, status int, answers bool, events ...string) {
		t.Helper()
		if got, _ := o.get(t, "/", testhandler.Bearer(token)); got != status {
			t.Errorf("a token gets %d, want %d", got, status)
		}
		if state := o.state(t, "").APIServers; len(state) != 1 || state[0].Answers == nil || *state[0].Answers != answers || (state[0].Error == "") != answers {
			t.Errorf("the API servers are %+v", state)
		}
		o.wantReady(t, http.StatusOK, "ok")
		if len(events) > 0 {
			wantEvents(t, events...)
		}
	}
	if state := o.state(t, "").APIServers; len(state) != 1 || state[0].Answers != nil {
		t.Errorf("before the first question: %+v", state)
	}
	want(alice, http.StatusOK, true)
	cluster.Stop()
	want(bob, http.StatusServiceUnavailable, false, guest.APIServerLost)
	want(bob, http.StatusServiceUnavailable, false, guest.APIServerLost)
	want(alice, http.StatusOK, false)
	cluster.Start(t)
	want(bob, http.StatusOK, true, guest.APIServerLost, guest.APIServerBack)
	cluster.Answers(testreview.Down, nil)
	want(carol, http.StatusServiceUnavailable, false, guest.APIServerLost, guest.APIServerBack, guest.APIServerLost)
}

func impersonating(inject string) string {
	return guarded("trusted_proxies static 127.0.0.1\n\t\tforwarded {\n\t\t\tuser X-Forwarded-User\n\t\t}", inject)
}

// A token that was removed is not used any more, so that the proxy cannot serve.
func TestATokenFileThatIsRemoved(t *testing.T) {
	file := testhandler.TokenFile(t)
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forget(t, nil)
	o := start(t, recording, impersonating("inject impersonation {\n\t\t\ttoken_file "+file+"\n\t\t}"))
	want := func(status int, ready string, events ...string) {
		t.Helper()
		if got, body := o.get(t, "/", "X-Forwarded-User: alice"); got != status {
			t.Errorf("a request gets %d %s, want %d", got, body, status)
		}
		o.wantReady(t, status, ready)
		if state := o.state(t, "").Credentials; len(state) != 1 || state[0].Credential != "token_file "+file || state[0].Usable != (status == http.StatusOK) {
			t.Errorf("the credentials are %+v", state)
		}
		if len(events) > 0 {
			wantEvents(t, events...)
		}
	}
	want(http.StatusOK, "ok")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	missing := `[{"kind":"credential","name":"token_file ` + file + `"}]` + "\n"
	want(http.StatusServiceUnavailable, missing, guest.CredentialLost)
	want(http.StatusServiceUnavailable, missing, guest.CredentialLost)
	testhandler.Write(t, file, string(token))
	want(http.StatusOK, "ok", guest.CredentialLost, guest.CredentialRenewed)
}

func TestTheTokenOfAServiceAccount(t *testing.T) {
	cluster := testreview.New(t)
	cluster.Answers(nil, testreview.Down)
	forget(t, nil)
	o := start(t, recording, impersonating(cluster.Kubeconfig(t)+"\n\t\tinject impersonation {\n\t\t\tservice_account kiali/proxy\n\t\t}"))
	wantEvents(t, guest.APIServerLost, guest.CredentialLost)
	o.wantReady(t, http.StatusServiceUnavailable, `[{"kind":"credential","name":"service_account kiali/proxy"}]`+"\n")
	cluster.Answers(nil, nil)
	testhandler.WaitUntil(t, "the proxy is ready", func() bool { return o.isReady(t) })
	wantEvents(t, guest.APIServerLost, guest.CredentialLost, guest.APIServerBack, guest.CredentialRenewed)
	state := o.state(t, "").Credentials
	if len(state) != 1 || !state[0].Usable || state[0].Expires == nil || time.Until(*state[0].Expires) < 30*time.Minute || state[0].Error != "" {
		t.Errorf("the credentials are %+v", state)
	}
	if text := o.LogText(t); strings.Contains(text, cluster.LastToken()) {
		t.Error("the log has the token")
	}
}

// A list that becomes unreadable is kept until it ends, and the operator learns of it.
func TestAListOfRevokedCertificates(t *testing.T) {
	ca := testpki.NewCA(t, nil, "clients", testpki.AnyTime)
	list := testpki.ListFile(t, filepath.Join(t.TempDir(), "clients.crl"), ca, 1)
	forget(t, nil)
	o := start(t, recording, guarded(`trusted_proxies static 127.0.0.1
		client_cert {
			header X-Client-Cert
			encoding url_pem
			trust_pool watched_file `+testpki.PEMFile(t, ca)+`
			revocation {
				crl `+list+`
			}
		}`, toHeaders))
	cert := "X-Client-Cert: " + testpki.EscapedPEM(ca.Leaf(t, testpki.Named(testpki.CommonName, "alice")))
	if status, body := o.get(t, "/", cert); status != http.StatusOK {
		t.Errorf("a certificate gets %d %s", status, body)
	}
	o.wantReady(t, http.StatusOK, "ok")
	if state := o.state(t, "").Lists; len(state) != 1 || !state[0].Usable || state[0].NextUpdate == nil || state[0].Issuers[0] != "CN=clients" {
		t.Errorf("the lists are %+v", state)
	}
	testhandler.Write(t, list, "not a list")
	e := wantEvents(t, guest.FileRefused)
	if e.Data["file"] != list || e.Data["source"] != "client_cert" || e.Data["error"] == "" {
		t.Errorf("the data are %v", e.Data)
	}
	o.wantReady(t, http.StatusOK, "ok")
	if state := o.state(t, "").Lists; len(state) != 1 || !state[0].Usable || state[0].Error == "" {
		t.Errorf("the lists are %+v", state)
	}
	if got := o.flush(t, `{"user": "alice"}`); got != (guest.Flushed{Verdicts: 1}) {
		t.Errorf("dropped %+v", got)
	}
}

// An operator's handler of events may hang for a while, or panic. Requests do not notice, and
// later events come.
func TestAHandlerOfEventsThatBreaks(t *testing.T) {
	file := testhandler.TokenFile(t)
	hang := make(chan struct{})
	first := true
	forget(t, func() {
		if first {
			first = false
			<-hang
			panic("of the operator's handler")
		}
	})
	o := start(t, recording, impersonating("inject impersonation {\n\t\t\ttoken_file "+file+"\n\t\t}"))
	for range 3 {
		if err := os.Rename(file, file+".away"); err != nil {
			t.Fatal(err)
		}
		if status, _ := o.get(t, "/", "X-Forwarded-User: alice"); status != http.StatusServiceUnavailable {
			t.Errorf("a request gets %d", status)
		}
		if err := os.Rename(file+".away", file); err != nil {
			t.Fatal(err)
		}
		if status, _ := o.get(t, "/", "X-Forwarded-User: alice"); status != http.StatusOK {
			t.Errorf("a request gets %d", status)
		}
	}
	close(hang)
	lost, back := guest.CredentialLost, guest.CredentialRenewed
	wantEvents(t, lost, back, lost, back, lost, back)
	if !strings.Contains(o.LogText(t), "a handler of an event panicked") {
		t.Error("the log does not have the panic")
	}
}
