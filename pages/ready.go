// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(Ready))
	httpcaddyfile.RegisterHandlerDirective("kube_identity_ready", parseReady)
	// A probe asks before anything else may refuse or redirect it: tracing is the first directive.
	httpcaddyfile.RegisterDirectiveOrder("kube_identity_ready", httpcaddyfile.Before, "tracing")
}

// Ready answers a readiness probe: 200 if each issuer of this configuration has had keys, the
// endpoints of each issuer at which browsers log in are known, each credential of the proxy's own
// exists, and each list of revoked certificates and the endpoints of each Service of proxies could
// be read; and otherwise 503 with a JSON list of those that are missing. It stays 200 while an
// issuer or a server is out of reach, as long as the last good keys, token and lists count: all
// replicas of a proxy would otherwise leave a Service at the same moment. Nothing is waited for.
// Another server is asked only for a discovery document that is still missing, no more often than
// a login would ask.
//
// With the query ?verbose the answer is text, with a line for each of them, as that of
// kube-apiserver's /readyz. The reasons are in the log and at the admin API.
type Ready struct {
	of *prometheus.Registry // of this configuration
}

// CaddyModule returns the Caddy module information.
func (*Ready) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.kube_identity_ready", New: func() caddy.Module { return new(Ready) }}
}

// Provision starts nothing.
func (p *Ready) Provision(ctx caddy.Context) error {
	p.of = ctx.GetMetricsRegistry()
	return nil
}

// ServeHTTP answers every request.
func (p *Ready) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := checkMethod(w, r, "kube_identity_ready"); err != nil {
		return err
	}
	all := guest.Ready(r.Context(), p.of, time.Now())
	missing := slices.DeleteFunc(slices.Clone(all), func(c guest.Condition) bool { return c.Met })
	status := http.StatusOK
	if len(missing) > 0 {
		status = http.StatusServiceUnavailable
	}
	kind, body := "text/plain; charset=utf-8", "ok"
	_, verbose := r.URL.Query()["verbose"]
	switch {
	case verbose:
		body = report(all, len(missing) == 0)
	case len(missing) > 0:
		list, err := json.Marshal(missing)
		if err != nil {
			return caddyhttp.Error(http.StatusInternalServerError, err)
		}
		kind, body = "application/json", string(list)+"\n"
	}
	write(w, r, status, kind, []byte(body))
	return nil
}

// report is written as kube-apiserver writes its own.
func report(all []guest.Condition, passed bool) string {
	var b strings.Builder
	b.WriteString("[+]ping ok\n")
	for _, condition := range all {
		sign, end := "+", "ok"
		if !condition.Met {
			sign, end = "-", "failed: reason withheld"
		}
		fmt.Fprintf(&b, "[%s]%s %s %s\n", sign, condition.Kind, condition.Name, end)
	}
	if passed {
		b.WriteString("readyz check passed\n")
	} else {
		b.WriteString("readyz check failed\n")
	}
	return b.String()
}

func parseReady(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	p := new(Ready)
	err := p.UnmarshalCaddyfile(h.Dispenser)
	return p, err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	kube_identity_ready [<matcher>]
func (*Ready) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// noOptions refuses arguments and blocks.
func noOptions(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		return d.Errf("unrecognized subdirective '%s': write the directive alone, without a block", d.Val())
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Ready)(nil)
	_ caddyfile.Unmarshaler       = (*Ready)(nil)
	_ caddyhttp.MiddlewareHandler = (*Ready)(nil)
)
