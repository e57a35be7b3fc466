// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package monitoring_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// full is a site with everything that has a metric.
func full(t *testing.T) (sites string, issuer *testissuer.Login) {
	t.Helper()
	ca := testpki.NewCA(t, nil, "clients", nil)
	issuer = testissuer.NewLogin(t, testissuer.LoginConfig{})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("dash-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
http://:0 {
	handle /metrics {
		metrics
	}
	route /* {
		kube_identity {
			trusted_proxies static 127.0.0.1
			kubernetes {
				kubeconfig %s
			}
			client_cert kong {
				trust_pool file %s
				revocation {
					crl %s
				}
			}
			oidc %s {
				login {
					client_id dash
					client_secret_file %s
				}
			}
			token_review
			inject impersonation {
				service_account kiali/proxy
			}
		}
		respond "reached"
	}
}`, testreview.New(t).KubeconfigFile(t), testpki.PEMFile(t, ca), testpki.ListFile(t, "", ca, 1), issuer.URL, secret), issuer
}

// scraped returns what Prometheus gets.
func scraped(t *testing.T, c *testhandler.Caddy) string {
	t.Helper()
	return request(t, c, "/metrics", "")
}

func request(t *testing.T, c *testhandler.Caddy, path, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// metricsIn are the names of this project's metrics in a text, without the suffixes of histograms.
func metricsIn(text string) []string {
	var names []string
	for _, name := range regexp.MustCompile(`caddy_kube_identity_\w+`).FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A panel or an alert about a metric that does not exist shows nothing, for ever.
func TestPanelsAndAlertsAreAboutMetricsThatExist(t *testing.T) {
	sites, _ := full(t)
	c := testhandler.Start(t, "metrics", sites)
	request(t, c, "/", "")
	got := metricsIn(scraped(t, c))
	want := []string{
		"authentication_duration_seconds", "cache_requests_total", "credential_expiry_timestamp_seconds", "crl_next_update_timestamp_seconds",
		"key_set_last_success_timestamp_seconds", "logins_total", "logouts_total", "refresh_duration_seconds", "refreshes_total",
		"requests_total", "review_duration_seconds", "reviews_waiting", "session_size_bytes", "untrusted_fields_total",
	}
	for n := range want {
		want[n] = "caddy_kube_identity_" + want[n]
	}
	if !slices.Equal(got, want) {
		t.Errorf("the server has %q, want %q", got, want)
	}
	if shown := metricsIn(strings.Join(expressions(t), "\n")); !slices.Equal(shown, want) {
		t.Errorf("the dashboard has %q, want %q", shown, want)
	}
	for _, name := range metricsIn(read(t, alertsFile)) {
		if !slices.Contains(want, name) {
			t.Errorf("an alert is about %s", name)
		}
	}
}

func TestPrometheusAcceptsTheMetrics(t *testing.T) {
	sites, _ := full(t)
	c := testhandler.Start(t, "metrics", sites)
	var own bytes.Buffer
	for line := range strings.Lines(scraped(t, c)) {
		if strings.Contains(line, "caddy_kube_identity_") {
			own.WriteString(line)
		}
	}
	command := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	command.Stdin = &own
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}

// value is that of a series.
func value(t *testing.T, text, series string) float64 {
	t.Helper()
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		if rest, found := strings.CutPrefix(scanner.Text(), series+" "); found {
			number, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Errorf("there is no %s", series)
	return 0
}

// rate() does not see the first step of a counter that was not there before.
func TestCountersBeginAtZero(t *testing.T) {
	sites, issuer := full(t)
	c := testhandler.Start(t, "metrics", sites)
	text := scraped(t, c)
	const name = "caddy_kube_identity_"
	for _, series := range []string{
		name + `requests_total{result="rejected",source="oidc"}`, name + `requests_total{result="ok",source="token_review"}`,
		name + `requests_total{result="absent",source="none"}`, name + `cache_requests_total{cache="oidc",result="hit"}`,
		name + `logins_total{result="loop",source="oidc"}`, name + `refreshes_total{result="ended",source="oidc"}`,
		name + `logouts_total{kind="back_channel"}`, name + `untrusted_fields_total`, name + `reviews_waiting`,
	} {
		if got := value(t, text, series); got != 0 {
			t.Errorf("%s begins at %v", series, got)
		}
	}
	testhandler.WaitUntil(t, "the keys were read", func() bool {
		at := value(t, scraped(t, c), name+`key_set_last_success_timestamp_seconds{issuer="`+issuer.URL+`"}`)
		return time.Since(time.Unix(int64(at), 0)) < time.Minute
	})
}

// After a reload that fails, the admin endpoint shows the registry of the configuration that
// failed; the one in force must still count there, and a reload must not begin at zero.
func TestCountersOutliveReloads(t *testing.T) {
	sites, _ := full(t)
	c := testhandler.Start(t, "metrics", sites)
	const series = `caddy_kube_identity_requests_total{result="absent",source="none"}`
	before := value(t, scraped(t, c), series)
	request(t, c, "/", "")
	bad := testhandler.Adapt(t, "{\n\tadmin off\n}\n"+strings.Replace(sites, "client_id dash", "client_id dash\n redirect_url https://a.example/elsewhere", 1))
	if err := caddy.Load(bad, true); err == nil {
		t.Fatal("a bad configuration loads")
	}
	request(t, c, "/", "")
	c.Reload(t, "metrics", sites)
	request(t, c, "/", "")
	if got := value(t, scraped(t, c), series); got != before+3 {
		t.Errorf("%v requests are counted, want %v", got, before+3)
	}
}
