// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(API))
}

// API adds two paths to Caddy's admin endpoint: GET /kube_identity/state shows what the plugin
// keeps, and POST /kube_identity/flush drops verdicts. They are paths of their own, so that
// admin.remote can allow one without the other. There is nothing to configure.
//
// It holds no configuration: Caddy sets it up before the apps of a configuration, and keeps it
// when these fail to load. It shows what is kept in the process, whichever configuration made it.
type API struct{}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.kube_identity", New: func() caddy.Module { return new(API) }}
}

// Provision is called for each configuration that is loaded, also for one that then fails.
func (*API) Provision(ctx caddy.Context) error { return guest.KeepMetrics(ctx) }

// Routes implements caddy.AdminRouter.
func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/kube_identity/state", Handler: caddy.AdminHandlerFunc(a.state)},
		{Pattern: "/kube_identity/flush", Handler: caddy.AdminHandlerFunc(a.flush)},
	}
}

// state answers with [guest.State]. The query says whether users are shown by name, and never
// has one: Caddy logs the URL of each admin request.
func (*API) state(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return notAllowed(w, r, "GET, HEAD")
	}
	names, err := wantsNames(r.URL.RawQuery)
	if err != nil {
		return refused(err)
	}
	return answer(w, guest.Inspect(time.Now(), names))
}

func wantsNames(query string) (bool, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false, errors.New("the query cannot be read")
	}
	if users, ok := values["users"]; ok && len(users) == 1 && len(values) == 1 {
		switch users[0] {
		case "names":
			return true, nil
		case "hashed":
			return false, nil
		}
	} else if len(values) == 0 {
		return false, nil
	}
	return false, errors.New("the query is not users=hashed or users=names")
}

// flush drops verdicts. Its words are in the body, not in the URL.
func (*API) flush(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return notAllowed(w, r, "POST")
	}
	what, err := readFlush(r)
	if err != nil {
		return refused(err)
	}
	if err := known(what); err != nil {
		return refused(err)
	}
	dropped := guest.Drop(what)
	fields := []zap.Field{zap.Int("verdicts", dropped.Verdicts), zap.Int("refusals", dropped.Refusals)}
	for _, field := range []zap.Field{
		zap.String("issuer", what.Issuer), zap.String("source", what.Source), zap.String("user_hash", hashed(what.User)),
	} {
		if field.String != "" {
			fields = append(fields, field)
		}
	}
	caddy.Log().Named("admin.api.kube_identity").Info("verdicts were dropped", fields...)
	return answer(w, dropped)
}

func hashed(user string) string {
	if user == "" {
		return ""
	}
	return guest.HashUser(user)
}

// known refuses a source or an issuer that is not configured: it is misspelt, and dropping
// nothing would look as if nothing had been kept.
func known(what guest.Flush) error {
	state := guest.Inspect(time.Now(), false)
	if names := state.SourceNames(); what.Source != "" && !slices.Contains(names, what.Source) {
		return fmt.Errorf("no kube_identity has a source %s: the sources are %s", identity.Quote(what.Source), list(names))
	}
	var issuers []string
	for _, issuer := range state.Issuers {
		issuers = append(issuers, issuer.Issuer)
	}
	if what.Issuer != "" && !slices.Contains(issuers, what.Issuer) {
		return fmt.Errorf("%s is not the issuer of a kube_identity: the issuers are %s", identity.Quote(what.Issuer), list(slices.Compact(issuers)))
	}
	return nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func answer(w http.ResponseWriter, content any) error {
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(append(text, '\n'))
	return err
}

func refused(err error) error {
	return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) error {
	w.Header().Set("Allow", allow)
	return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("the method is %s, and not %s", r.Method, allow)}
}

// Interface guards
var (
	_ caddy.AdminRouter = (*API)(nil)
	_ caddy.Provisioner = (*API)(nil)
)
