// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

const toHeaders = "inject headers {\n\t\t\tuser X-User\n\t\t}"

func atIssuer(issuer *testissuer.Issuer) string {
	return guarded(fmt.Sprintf(`oidc %s {
			audience dash
			username_claim sub -
			groups_claim groups
		}`, issuer.URL), toHeaders)
}

// An issuer is down when the proxy starts, comes up, is lost, and comes back. The proxy is not
// ready before it has had keys, and stays ready as long as the last good ones count.
func TestAnIssuerThatIsNeverUpLostAndBack(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	issuer.Stop()
	forget(t, nil)
	o := start(t, recording, atIssuer(issuer))
	token := testhandler.Bearer(issuer.Token(t, nil))

	// never up
	wantEvents(t, guest.KeysLost)
	o.wantReady(t, http.StatusServiceUnavailable, `[{"kind":"issuer","name":"`+issuer.URL+`"}]`+"\n")
	if status, body := o.get(t, "/ready?verbose"); status != http.StatusServiceUnavailable ||
		body != "[+]ping ok\n[-]issuer "+issuer.URL+" failed: reason withheld\nreadyz check failed\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := o.get(t, "/", token); status != http.StatusServiceUnavailable {
		t.Errorf("a token gets %d", status)
	}
	if got := o.state(t, "").Issuers; len(got) != 1 || got[0].Usable || got[0].Fetched != nil || !strings.Contains(got[0].Error, "refused") {
		t.Errorf("the issuers are %+v", got)
	}
	o.flush(t, `{"issuer": "`+issuer.URL+`"}`)

	// up
	issuer.Start(t)
	testhandler.WaitUntil(t, "a token is accepted", func() bool {
		status, _ := o.get(t, "/", token)
		return status == http.StatusOK
	})
	wantEvents(t, guest.KeysLost, guest.KeysBack)
	o.wantReady(t, http.StatusOK, "ok")
	if status, body := o.get(t, "/ready?verbose"); status != http.StatusOK || body != "[+]ping ok\n[+]issuer "+issuer.URL+" ok\nreadyz check passed\n" {
		t.Errorf("%d %s", status, body)
	}
	if got := o.state(t, "").Issuers; len(got) != 1 || !got[0].Usable || got[0].Keys != 2 || got[0].AgeSeconds == nil || got[0].Error != "" {
		t.Errorf("the issuers are %+v", got)
	}

	// lost, which a flush notices, since it has the keys fetched again
	issuer.Stop()
	testhandler.WaitUntil(t, "the issuer is lost", func() bool {
		o.flush(t, `{"issuer": "`+issuer.URL+`"}`)
		return o.state(t, "").Issuers[0].Error != ""
	})
	if e := wantEvents(t, guest.KeysLost, guest.KeysBack, guest.KeysLost); e.Data["kept"] != true || e.Data["issuer"] != issuer.URL || e.Data["source"] != "oidc" || e.Origin().CaddyModule().ID != "http.handlers.kube_identity" {
		t.Errorf("the data are %v, from %v", e.Data, e.Origin())
	}
	o.wantReady(t, http.StatusOK, "ok")
	if status, _ := o.get(t, "/", token); status != http.StatusOK {
		t.Errorf("a token gets %d, although the last good keys count", status)
	}
	o.reload(t, strings.Replace(atIssuer(issuer), "respond", "header X-Other x\n\trespond", 1))
	o.wantReady(t, http.StatusOK, "ok") // the state outlives the configuration

	// back
	issuer.Start(t)
	o.Reload(t, o.global(recording), o.of(atIssuer(issuer)))
	testhandler.WaitUntil(t, "the issuer is back", func() bool {
		o.flush(t, `{"issuer": "`+issuer.URL+`"}`)
		return o.state(t, "").Issuers[0].Error == ""
	})
	wantEvents(t, guest.KeysLost, guest.KeysBack, guest.KeysLost, guest.KeysBack)
}

// A configuration is set up, and fails when it begins to listen. Caddy keeps its admin API, and
// the old configuration.
func TestAFailedReloadChangesNothing(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	o := start(t, "", atIssuer(issuer))
	testhandler.WaitUntil(t, "the proxy is ready", func() bool { return o.isReady(t) })
	if status, _ := o.get(t, "/", testhandler.Bearer(issuer.Token(t, nil))); status != http.StatusOK {
		t.Fatalf("a token gets %d", status)
	}
	before := o.state(t, "")
	other := testissuer.NewBy(t, nil)
	other.Stop()
	failing := o.of(atIssuer(other)) + "http://127.0.0.1:1 {\n\tbind 192.0.2.1\n\trespond x\n}\n"
	status, body := ask(t, http.MethodPost, "http://"+o.admin+"/load", "{\n"+o.global("")+"\n}\n"+failing, "Content-Type: text/caddyfile")
	if status == http.StatusOK || !strings.Contains(body, "cannot assign requested address") {
		t.Fatalf("%d %s", status, body)
	}
	after := o.state(t, "")
	if len(after.Handlers) != 1 || len(after.Issuers) != 1 || after.Issuers[0].Issuer != issuer.URL || after.Caches[0].Verdicts != 1 || before.Caches[0].Verdicts != 1 {
		t.Errorf("the state is %+v, was %+v", after, before)
	}
	o.wantReady(t, http.StatusOK, "ok")
	if got := o.flush(t, `{"user": "alice"}`); got != (guest.Flushed{Verdicts: 1}) {
		t.Errorf("dropped %+v", got)
	}
}

// fileOf is an AuthenticationConfiguration with these issuers.
func fileOf(t *testing.T, issuers ...*testissuer.Issuer) string {
	t.Helper()
	var jwt []any
	for _, issuer := range issuers {
		jwt = append(jwt, map[string]any{
			"issuer":        map[string]any{"url": issuer.URL, "audiences": []string{"dash"}, "certificateAuthority": testpki.PEM(issuer.CA)},
			"claimMappings": map[string]any{"username": map[string]any{"claim": "sub", "prefix": ""}},
		})
	}
	return testreview.JSONFile(t, map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt,
	})
}

// A ConfigMap with one more issuer, which is out of reach, took all replicas from their Service in
// the same second.
func TestAnIssuerThatALaterFileAddsIsNoReasonToLeaveAService(t *testing.T) {
	issuer, other := testissuer.New(t), testissuer.New(t)
	other.Stop()
	file := fileOf(t, issuer)
	o := start(t, "", guarded("authentication_config "+file, toHeaders))
	testhandler.WaitUntil(t, "the proxy is ready", func() bool { return o.isReady(t) })
	content, err := os.ReadFile(fileOf(t, issuer, other))
	if err != nil {
		t.Fatal(err)
	}
	testhandler.Write(t, file, string(content))
	testhandler.WaitUntil(t, "the file is in force", func() bool {
		o.wantReady(t, http.StatusOK, "ok")
		issuers := o.state(t, "").Issuers
		return len(issuers) == 2 && issuers[0].Usable != issuers[1].Usable
	})
	o.wantReady(t, http.StatusOK, "ok")
}
