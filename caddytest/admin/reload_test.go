// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// A handler shows itself from the middle of its Provision on, while it is still being set up. The
// race detector says so if it writes what the state, a probe, a scrape or a flush reads.
func TestOperatorsAskWhileConfigurationsChange(t *testing.T) {
	issuer := testissuer.NewLogin(t, testissuer.LoginConfig{Client: testissuer.Client{ID: "dash"}})
	cluster, ca := testreview.New(t), testpki.NewCA(t, nil, "clients", testpki.AnyTime)
	site := func(n int) string {
		return guarded(fmt.Sprintf(`%s
		trusted_proxies static 127.0.0.1
		client_cert {
			header X-Client-Cert
			encoding url_pem
			trust_pool watched_file %s
			max_intermediates %d
			revocation {
				crl %s
			}
		}
		oidc %s {
			audience dash
			clock_skew %ds
			login {
				client_id dash
				client_auth none
			}
		}
		token_review
		forwarded {
			user X-Forwarded-User
		}
		cross_origin https://portal.example
		session {
			insecure_http
		}`, cluster.Kubeconfig(t), testpki.PEMFile(t, ca), n%3+1, testpki.ListFile(t, filepath.Join(t.TempDir(), "clients.crl"), ca, 1), issuer.URL, n%2),
			"inject impersonation {\n\t\t\tservice_account kiali/proxy\n\t\t}") + "\n\tmetrics /metrics"
	}
	o := start(t, "", site(0))
	end := make(chan struct{})
	var operators sync.WaitGroup
	try := func(path string) { // a connection may end with its server
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+o.site+path, http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("X-Forwarded-User", "alice")
		if response, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	}
	for _, act := range []func(){
		func() { guest.Inspect(time.Now(), true) },
		func() { guest.Drop(guest.Flush{User: "alice"}) },
		func() { try("/ready?verbose") },
		func() { try("/metrics") },
		func() { try("/whoami") },
	} {
		operators.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					act()
				}
			}
		})
	}
	for n := range 12 {
		o.reload(t, site(n+1))
	}
	close(end)
	operators.Wait()
	if got := o.state(t, "").Handlers; len(got) != 1 {
		t.Errorf("the handlers are %+v", got)
	}
	testhandler.WaitUntil(t, "it serves", func() bool {
		status, _ := o.get(t, "/", "X-Forwarded-User: alice")
		return status == http.StatusOK
	})
}
