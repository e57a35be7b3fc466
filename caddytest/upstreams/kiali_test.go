// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"bufio"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestUpstreamKialiActsAsTheUser(t *testing.T) {
	const name, user = "up-kiali-acts", "kiali-kim"
	account := "system:serviceaccount:" + name + ":" + name
	token := testkube.Account(t, name, nil)
	kubernetes, _ := testkube.CaddyAccount(t, testkube.Server(t), name, nil)
	kialiReaders(t, name, user)
	for credential, block := range map[string]string{
		"with a token from a file":         kialiByFile(t, token),
		"with tokens of a service account": kubernetes + "inject kiali {\n service_account " + name + "/" + name + "\n }\n",
	} {
		t.Run(credential, func(t *testing.T) {
			k := kiali.New(t)
			g := kialiGuard(t, k, testkube.Forwarded+block)
			testkube.WaitFor(t, "the user's permission", func() bool {
				got, _ := kialiGets(t, g, kialiUser(user)...)
				return strings.Contains(got.Text, `"default"`)
			})
			k.Take()

			got, audit := kialiGets(t, g, kialiUser(user, "Cookie: theme=dark", "Kiali-UI: true", "X-CSRFToken: abc")...)
			if got.Status != http.StatusOK || !strings.Contains(got.Text, `"default"`) {
				t.Errorf("status %d, %s", got.Status, got.Text)
			}
			requests := k.Take()
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			sent := requests[0].Header["Authorization"]
			if credential == "with a token from a file" && !slices.Equal(sent, []string{"Bearer " + token}) || len(sent) != 1 {
				t.Errorf("Authorization = %q", sent)
			}
			if _, who, err := k.API.SelfSubjectReview(t.Context(), strings.TrimPrefix(sent[0], "Bearer ")); err != nil || who.Username != account {
				t.Errorf("the token is %q's (%v), want %q's", who.Username, err, account)
			}
			want := testhandler.Proxied(testhandler.TrustedPeer, http.Header{
				"Authorization": sent, "Impersonate-User": {user}, "Impersonate-Group": {"developers", "ops"},
				"Cookie": {"theme=dark"}, "Kiali-Ui": {"true"}, "X-Csrftoken": {"abc"},
			})
			if !reflect.DeepEqual(requests[0].Header, want) {
				t.Errorf("Kiali received\n%v\nwant\n%v", requests[0].Header, want)
			}
			audit.WantImpersonated(t, account, user, "developers", "ops")

			mark := rand.Text() // the API server decides what the user may do: Kiali answers 500 to its refusal
			if got := g.Send(t, testhandler.TrustedPeer, "PATCH /kiali/api/namespaces/default?mark="+mark+" HTTP/1.1",
				kialiUser(user, "Content-Length: 0"), ""); got.Status != http.StatusInternalServerError || !strings.Contains(got.Text, "kiali-kim") {
				t.Errorf("patching: status %d, %s", got.Status, got.Text)
			}
			testkube.Answer{Mark: mark}.WantImpersonated(t, account, user, "developers", "ops")
		})
	}
}

func TestUpstreamKialiExtraWithAPlainKeyArrives(t *testing.T) {
	const name, user = "up-kiali-extra", "kiali-ed"
	token := testkube.Account(t, name, func(manifest string) string {
		return strings.ReplaceAll(testkube.AllRules(manifest), "userextras/example.com/tenant", "userextras/tenant")
	})
	kialiReaders(t, name, user)
	k := kiali.New(t)
	g := kialiGuard(t, k, "forwarded kube_front_proxy\n"+kialiByFile(t, token, "extra tenant"))
	fields := []string{"X-Remote-User: " + user, "X-Remote-Group: developers", "X-Remote-Uid: 1", "X-Remote-Extra-Tenant: acme", "X-Remote-Extra-Other: x"}
	testkube.WaitFor(t, "the user's permission", func() bool {
		got, _ := kialiGets(t, g, fields...)
		return strings.Contains(got.Text, `"default"`)
	})
	k.Take()
	_, audit := kialiGets(t, g, fields...)
	k.WantOnly(t, "GET /kiali/api/namespaces?mark="+audit.Mark, testhandler.Proxied(testhandler.TrustedPeer, http.Header{
		"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Impersonate-Group": {"developers"},
		"Impersonate-Extra-Tenant": {"acme"},
	}))
	events := audit.Events(t)
	if len(events) != 1 || events[0].ImpersonatedUser == nil || !reflect.DeepEqual(events[0].ImpersonatedUser.Extra, map[string][]string{"tenant": {"acme"}}) {
		t.Errorf("the API server saw %+v", events)
	}
}

func TestUpstreamKialiMakesOneClientForAUser(t *testing.T) {
	const name = "up-kiali-clients"
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, name, nil)
	k := kiali.New(t)
	block := testkube.Forwarded + kubernetes + "inject kiali {\n service_account " + name + "/" + name + "\n }\n"
	g := kialiGuard(t, k, block)
	testkube.WaitFor(t, "the first answer", func() bool { got, _ := kialiGets(t, g, kialiUser("kiali-one")...); return got.Status == http.StatusOK })
	many := func() {
		t.Helper()
		for range 30 {
			if got, _ := kialiGets(t, g, kialiUser("kiali-one")...); got.Status != http.StatusOK {
				t.Fatalf("status %d", got.Status)
			}
		}
	}
	many()
	g.Reload(t, "", strings.Replace(kialiSite(k, block), "reverse_proxy", "header X-Again 1\n reverse_proxy", 1))
	many()
	if n := k.Made(); n != 1 {
		t.Errorf("Kiali has made %d clients for one user, want 1", n)
	}
	_, _ = kialiGets(t, g, kialiUser("kiali-two")...)
	if n := k.Made(); n != 2 {
		t.Errorf("Kiali has made %d clients for two users, want 2", n)
	}
	if n := testkube.Requests(t, name); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

func TestUpstreamKialiAClientsOwnFieldsHaveNoEffect(t *testing.T) {
	const name, user = "up-kiali-hostile", "kiali-hana"
	token, admin := testkube.Account(t, name, nil), testkube.AdminToken(t)
	k := kiali.New(t)
	g := kialiGuard(t, k, testkube.Forwarded+kialiByFile(t, token))
	hostile := []string{
		"Authorization: Bearer " + admin, "Authorization: Bearer " + admin, "Impersonate-User: root", "Impersonate-Group: system:masters",
		"impersonate-group: cluster-admins", "Impersonate-Uid: 0", "Impersonate-Extra-Scopes: all", "Impersonate_User: root",
		"Kiali-User: root", "kiali_user: root", "Cookie: kiali-token-Kubernetes=stale", "X-Remote-User: root",
		"X-Forwarded-Proto: https", "X-Forwarded-Proto: http",
	}
	want := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Impersonate-Group": {"developers", "ops"}}
	got, audit := kialiGets(t, g, kialiUser(user, hostile...)...)
	if got.Status != http.StatusOK {
		t.Errorf("status %d, %s", got.Status, got.Text)
	}
	k.WantOnly(t, "GET /kiali/api/namespaces?mark="+audit.Mark, testhandler.Proxied(testhandler.TrustedPeer, want))
	audit.WantImpersonated(t, "system:serviceaccount:"+name+":"+name, user, "developers", "ops")

	// the token is not sent without a user: Kiali would act as the account itself
	for what, fields := range map[string][]string{
		"no user": hostile, "an empty user": append([]string{"X-Forwarded-User:"}, hostile...),
		"groups alone": append([]string{"X-Forwarded-Groups: developers"}, hostile...),
	} {
		t.Run(what, func(t *testing.T) {
			got, audit := kialiGets(t, g, fields...)
			if got.Status != http.StatusUnauthorized || len(audit.Events(t)) > 0 {
				t.Errorf("status %d, %+v", got.Status, audit.Events(t))
			}
			k.WantNothing(t)
		})
	}
	t.Run("an untrusted peer", func(t *testing.T) {
		if got := g.Send(t, testhandler.StrangerPeer, "GET /kiali/api/namespaces HTTP/1.1", kialiUser(user, hostile...), ""); got.Status != http.StatusUnauthorized {
			t.Errorf("status %d", got.Status)
		}
		k.WantNothing(t)
	})
}

func TestUpstreamKialiAStreamIsNotHeldBack(t *testing.T) {
	const name = "up-kiali-stream"
	k := kiali.New(t)
	g := kialiGuard(t, k, testkube.Forwarded+kialiByFile(t, testkube.Account(t, name, nil)))
	conn := g.Dial(t, testhandler.TrustedPeer)
	testhandler.WriteRequest(t, conn, "POST /kiali/api/chat HTTP/1.1", kialiUser("kiali-sue", "Accept: text/event-stream", "Content-Length: 0"), "")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer conn.Close()
	want := http.Header{"Content-Type": {"text/event-stream"}}
	got := maps.Clone(response.Header)
	for _, field := range []string{"Date", "Via", "Server"} {
		delete(got, field)
	}
	if response.StatusCode != http.StatusOK || !reflect.DeepEqual(got, want) {
		t.Errorf("status %d, %v, want 200, %v", response.StatusCode, got, want)
	}
	lines := bufio.NewReader(response.Body)
	for _, event := range []string{"data: one\n", "data: two\n"} {
		line, err := lines.ReadString('\n') // before the next one is sent: this would wait for ever
		if err != nil || line != event {
			t.Fatalf("%q, %v, want %q", line, err, event)
		}
		_, _ = lines.ReadString('\n')
		k.More <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}
