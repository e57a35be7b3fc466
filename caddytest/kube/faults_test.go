// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// A client without a token, or with one that the API server refuses, shares Caddy's
// connections to it with other clients. Over HTTP/2 a 401 of the API server ends the
// connection (GOAWAY, its gate UnauthenticatedHTTP2DOSMitigation), and with it all
// requests on it. A POST that this interrupts cannot be sent again, and gets 502. That
// needs a token that Caddy accepts and the API server does not, so only "inject token" is
// affected: with one in five requests of that kind about one good POST in five failed,
// and the race detector found Caddy's reverse_proxy (bodyNopCloserIfNotRead) reading and
// closing a body at the same time. So there is no such row here, and the transport should
// have "versions 1.1". In all other rows no good request may fail.
func TestKubeBadTokensCostGoodUsersNothing(t *testing.T) {
	server, stranger := testkube.Server(t), testkube.NewIssuer(t)
	const name = "kube-beside"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, testkube.OIDCGroups)
	kubeTeam(t, name)
	sources := testkube.OIDC(server.Issuer) + testkube.OIDC(stranger)
	for way, block := range map[string]string{
		"by impersonation": sources + kubernetes + kubeByAccount(name),
		"by token":         sources + "inject token\n",
	} {
		for protocol, transport := range map[string]string{"HTTP/1.1": "versions 1.1", "HTTP/2": ""} {
			if protocol == "HTTP/2" && way == "by token" {
				continue
			}
			t.Run(way+" over "+protocol, func(t *testing.T) {
				c := testhandler.Start(t, "", "http://:0 {\n kube_identity {\n "+block+" }\n "+kubeUpstream(server, transport)+"}\n")
				good := testkube.Sign(t, server.Issuer, nil)
				bad := []string{
					"garbage",
					testkube.Sign(t, server.Issuer, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
				}
				if way == "by token" {
					bad = append(bad, testkube.Sign(t, stranger, nil)) // Caddy accepts it, and the API server does not
				}
				kubeBeside(t, c, "/api/v1/namespaces/"+name+"/configmaps", good, bad)
			})
		}
	}
}

// kubeBeside has four clients post with a good token while four others post with bad
// ones.
func kubeBeside(t *testing.T, c *testhandler.Caddy, path, good string, bad []string) {
	t.Helper()
	const object = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"beside-"},"data":{"key":"value"}}`
	crowd := newKubeCrowd(t, "http://"+c.Addr)
	testkube.WaitFor(t, "alice's permission", func() bool {
		status, _, _, err := crowd.post(t.Context(), path, good, object)
		return err == nil && status == http.StatusCreated
	})
	testkube.WaitFor(t, "the keys of all issuers", func() bool {
		status, _, _, err := crowd.post(t.Context(), path, bad[len(bad)-1], object)
		return err == nil && status == http.StatusUnauthorized
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ask := func(who, token string) {
		status, from, _, err := crowd.post(t.Context(), path, token, object)
		if err != nil {
			crowd.count(fmt.Sprintf("%s: %v", who, err))
			return
		}
		crowd.count(fmt.Sprintf("%s: %d by %s", who, status, from))
	}
	var goods, bads sync.WaitGroup
	for n := range 4 {
		bads.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				ask("bad", bad[i%len(bad)])
			}
		})
		goods.Go(func() {
			deadline := time.Now().Add(7 * time.Second)
			for i := 0; i < 170 && time.Now().Before(deadline); i++ {
				ask("good", good)
			}
		})
	}
	goods.Wait()
	stop()
	bads.Wait()
	crowd.wantOnly(t, "good: 201 by the API server", "bad: 401 by Caddy", "bad: 401 by the API server")
	if n := crowd.answers["bad: 401 by the API server"]; (n > 0) != (len(bad) > 2) {
		t.Errorf("the API server has refused %d", n)
	}
	if crowd.answers["good: 201 by the API server"] < 50 {
		t.Error("this machine is too slow for this test")
	}
}

// An API server is killed and comes back, or is paused: verified users keep their access
// as long as verdicts are kept, a user is never taken for another or for anonymous, and
// all recover without a restart of Caddy.
func TestKubeTheServerIsKilledAndPaused(t *testing.T) {
	const ttl, timeout = 6 * time.Second, 2 * time.Second
	server := kubeOwn(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-killed", testkube.OIDCGroups)
	review := fmt.Sprintf("%s token_review {\n cache_ttl %s\n timeout %s\n }\n", kubernetes, ttl, timeout)
	upstream := testhandler.NewUpstream(t)
	c := testhandler.Start(t, "", "http://:0 {\n handle /elsewhere {\n kube_identity {\n "+review+
		"inject headers {\n user X-User\n }\n }\n reverse_proxy "+upstream.Addr+"\n }\n handle {\n kube_identity {\n "+
		testkube.OIDC(server.Issuer)+review+"inject token {\n sources token_review\n }\n "+kubeByAccount("kube-killed", "sources oidc")+
		"}\n "+kubeUpstream(server, "versions 1.1\n response_header_timeout 3s")+"}\n }\n")
	k := &kubeKilled{kubeCrowd: newKubeCrowd(t, "http://"+c.Addr), server: server, tokens: kubeUsers(t, server)}
	spare := make([]string, 4) // not seen by Caddy yet
	for n := range spare {
		spare[n] = kubeUsers(t, server)["system:serviceaccount:ci:one"]
	}
	testkube.WaitFor(t, "all users", func() bool { return k.allIn(t) })

	stop := k.load(t)
	time.Sleep(time.Second)
	known := spare[0]
	k.wantElsewhere(t, known, http.StatusOK, timeout)
	reviewed := time.Now()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	k.wantElsewhere(t, known, http.StatusOK, time.Second)
	k.wantElsewhere(t, spare[1], http.StatusServiceUnavailable, timeout+2*time.Second)
	testkube.WaitFor(t, "the end of the cached verdict", func() bool {
		status, _, _, err := k.post(t.Context(), "/elsewhere", known, "")
		return err == nil && status == http.StatusServiceUnavailable
	})
	if lasted := time.Since(reviewed); lasted < ttl-timeout || lasted > ttl+timeout {
		t.Errorf("the cached verdict was used for %v", lasted)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	testkube.WaitFor(t, "all users", func() bool { return k.allIn(t) })
	t.Logf("all users are back after %v", time.Since(back))
	if took := time.Since(back); took > 12*time.Second {
		t.Errorf("it took %v until all users were back", took)
	}
	stop()
	k.wantOnly(t, "201", "502 by Caddy", "503 by Caddy", "an answer that was cut off",
		"403 by the API server", "500 by the API server", "503 by the API server") // its own, while it starts
	if k.answers["502 by Caddy"] == 0 || k.answers["503 by Caddy"] == 0 || k.answers["201"] < 20 {
		t.Errorf("the answers under load are not as expected: %v", k.answers)
	}

	known = spare[2]
	k.wantElsewhere(t, known, http.StatusOK, timeout)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	k.wantElsewhere(t, known, http.StatusOK, time.Second)
	k.wantElsewhere(t, spare[3], http.StatusServiceUnavailable, timeout+2*time.Second)
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	resumed := time.Now()
	testkube.WaitFor(t, "all users", func() bool { return k.allIn(t) })
	k.wantElsewhere(t, kubeUsers(t, server)["system:serviceaccount:ci:one"], http.StatusOK, timeout)
	if took := time.Since(resumed); took > 12*time.Second {
		t.Errorf("it took %v until all users were back", took)
	}
	for _, received := range upstream.Take() {
		if user := received.Header.Get("X-User"); user != "system:serviceaccount:ci:one" {
			t.Errorf("elsewhere the user is %q", user)
		}
	}
}

// kubeKilled is the users of a server that is killed.
type kubeKilled struct {
	*kubeCrowd

	server *apiserver.Server
	tokens map[string]string // by the name of the user
}

// allIn says whether the API server sees each user under the user's own name.
func (k *kubeKilled) allIn(t *testing.T) bool {
	t.Helper()
	for user, token := range k.tokens {
		if status, _, got, err := k.post(t.Context(), testkube.ReviewPath, token, testkube.ReviewBody); err != nil || status != http.StatusCreated || got != user {
			return false
		}
	}
	return true
}

// load has all users ask until stop is called.
func (k *kubeKilled) load(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var users sync.WaitGroup
	for user, token := range k.tokens {
		users.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				status, from, got, err := k.post(context.WithoutCancel(ctx), testkube.ReviewPath, token, testkube.ReviewBody)
				switch {
				case err != nil && status == http.StatusCreated:
					k.count("an answer that was cut off")
				case err != nil:
					k.count(err.Error())
				case status == http.StatusCreated && got == user:
					k.count("201")
				case status == http.StatusCreated:
					k.count("201 for " + got + " and not " + user)
				default:
					k.count(fmt.Sprintf("%d by %s", status, from))
				}
			}
		})
	}
	return func() { cancel(); users.Wait() }
}

// wantElsewhere asks an upstream other than the API server; Caddy asks the API server
// only which user the token belongs to.
func (k *kubeKilled) wantElsewhere(t *testing.T, token string, want int, within time.Duration) {
	t.Helper()
	begun := time.Now()
	status, _, _, err := k.post(t.Context(), "/elsewhere", token, "")
	if took := time.Since(begun); err != nil || status != want || took > within {
		t.Errorf("elsewhere: %d, %v after %v, want %d within %v", status, err, took, want, within)
	}
}

// The issuer is down when Caddy starts, comes up later, and changes its keys; both sides
// recover by waiting. The API server sees the same token as Caddy.
func TestKubeTheIssuerComesLateAndChangesItsKeys(t *testing.T) {
	server := kubeOwn(t)
	if err := server.Issuer.Down(); err != nil {
		t.Fatal(err)
	}
	c := testhandler.Start(t, "", kubePlain(server, testkube.OIDC(server.Issuer)+"inject token\n"))
	crowd := newKubeCrowd(t, "http://"+c.Addr)
	ask := func(token string) (int, string) {
		status, from, user, err := crowd.post(t.Context(), testkube.ReviewPath, token, testkube.ReviewBody)
		if err != nil {
			t.Fatal(err)
		}
		return status, user + " by " + from
	}
	first := testkube.Sign(t, server.Issuer, nil)
	for range 3 {
		if status, who := ask(first); status != http.StatusServiceUnavailable || who != " by Caddy" {
			t.Errorf("without keys: %d %s, want Caddy's 503", status, who)
		}
	}
	until := func(token string, want int, within time.Duration, what string) {
		t.Helper()
		begun := time.Now()
		testkube.WaitFor(t, what, func() bool {
			status, who := ask(token)
			if status == http.StatusCreated && who != "oidc:alice by the API server" {
				t.Errorf("%s: %s", what, who)
			}
			return status == want
		})
		t.Logf("%s: %v", what, time.Since(begun))
		if took := time.Since(begun); took > within {
			t.Errorf("%s took %v", what, took)
		}
	}
	if err := server.Issuer.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(first, http.StatusCreated, 20*time.Second, "the keys")
	if err := server.Issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	second := testkube.Sign(t, server.Issuer, nil)
	until(second, http.StatusCreated, 15*time.Second, "the new keys")
	until(first, http.StatusUnauthorized, 15*time.Second, "the end of the old keys")
	until(second, http.StatusCreated, time.Second, "the new keys again")
}
