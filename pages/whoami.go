// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(Whoami))
	httpcaddyfile.RegisterHandlerDirective("kube_identity_whoami", parseWhoami)
	// Behind kube_identity, and before a handle that takes all other paths.
	httpcaddyfile.RegisterDirectiveOrder("kube_identity_whoami", httpcaddyfile.Before, "invoke")
}

// Whoami shows users who they are: as kube_identity, which must be before it, sees them. The
// answer is JSON in the shape of Kubernetes' SelfSubjectReview, or a page if the client does not
// want JSON: the name and groups, by which source and until when, which groups do not go on,
// which fields were taken off the request, and which the upstream receives. It has names of
// fields, and no value of a credential.
//
// It is the identity before it is written for the upstream. For a Kubernetes API server ask that
// server instead (kubectl auth whoami): it has the last word.
type Whoami struct {
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Whoami) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.kube_identity_whoami", New: func() caddy.Module { return new(Whoami) }}
}

// Provision asks the kube_identity before it to hand over what it finds out.
func (p *Whoami) Provision(ctx caddy.Context) error {
	p.logger = ctx.Logger()
	if !guest.WantDetails(ctx) && ctx.Value(caddyhttp.ServerCtxKey) != nil {
		return errors.New("kube_identity_whoami: this server has no kube_identity before it that could say who a client is")
	}
	return nil
}

// ServeHTTP answers every request.
func (p *Whoami) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := checkMethod(w, r, "kube_identity_whoami"); err != nil {
		return err
	}
	passed, _ := r.Context().Value(guest.PassedKey{}).(*guest.Passed)
	if passed == nil {
		err := errors.New("the request did not pass a kube_identity: it must be before kube_identity_whoami on the same route")
		p.logger.Error("kube_identity_whoami cannot answer", zap.Error(err))
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	header := w.Header()
	header.Add("Vary", "Accept")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	if browser.WantsJSON(r.Header) {
		body, err := review(passed, time.Now())
		if err != nil {
			return caddyhttp.Error(http.StatusInternalServerError, err)
		}
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		write(w, r, http.StatusOK, "application/json", body)
		return nil
	}
	body, err := page(passed, time.Now())
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	header.Set("Content-Security-Policy", pagePolicy())
	write(w, r, http.StatusOK, "text/html; charset=utf-8", body)
	return nil
}

func parseWhoami(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	p := new(Whoami)
	err := p.UnmarshalCaddyfile(h.Dispenser)
	return p, err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	kube_identity_whoami [<matcher>]
func (*Whoami) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return noOptions(d) }

// Interface guards
var (
	_ caddy.Provisioner           = (*Whoami)(nil)
	_ caddyfile.Unmarshaler       = (*Whoami)(nil)
	_ caddyhttp.MiddlewareHandler = (*Whoami)(nil)
)
