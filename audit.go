// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// The values of the option audit.
const (
	auditOff     = "off"
	auditRefused = "refused"
	auditAll     = "all"
)

// auditWords are the values in the order of what they log.
var auditWords = []string{auditOff, auditRefused, auditAll} //nolint:gochecknoglobals // a table

func checkAudit(word string) error {
	return option.OneOf(auditWords)(word)
}

// What a line of the log has of a request at most: bytes of one part, and groups of a user that is
// refused.
const (
	maxLogged       = 256
	maxLoggedGroups = 256
)

// requestFields say which request a line is about, and who sent it. The query is left out: tokens
// and codes stand in queries.
func requestFields(r *http.Request, ex *exchange, source string) []zap.Field {
	method, host, asked := ex.asked(r)
	clientIP, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	fields := append(make([]zap.Field, 0, 12),
		zap.String("source", source),
		zap.String("peer", ex.Peer.String()),
		zap.String("client_ip", clientIP),
		zap.String("method", shown(method)),
		zap.String("host", shown(host)),
		zap.String("path", shown(asked.EscapedPath()))) // "/a%2Fb" is another path than "/a/b"
	if id := requestID(r); id != "" {
		fields = append(fields, zap.String("uuid", id))
	}
	return fields
}

// requestID is the id of the request, by which Caddy's access log knows it too; empty where
// the configuration does not use {http.request.uuid}, and so there is none. Caddy keeps it in the
// variable uuid; what an operator puts there by the directive vars is a text.
func requestID(r *http.Request) string {
	if id, ok := caddyhttp.GetVar(r.Context(), "uuid").(fmt.Stringer); ok {
		return shorten(id.String())
	}
	return ""
}

// userFields say who a user is. Filters of Caddy's log reach the groups only in this form.
func userFields(user *identity.User) []zap.Field {
	return []zap.Field{
		zap.String("user", user.Username),
		zap.Array("groups", caddyhttp.LoggableStringArray(user.Groups)),
	}
}

// shown is a text that has passed no policy, for the log. It is quoted where it has characters that
// an operator's terminal does not show: marks of direction would have the line read in another
// order (CVE-2021-42574).
func shown(text string) string {
	isHidden := func(r rune) bool { return !strconv.IsPrint(r) }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isHidden) {
		text = strconv.Quote(text)
	}
	return shorten(text)
}

// shownUser is a user that the policy refused, for the log. A proxy or an issuer may name as many
// groups as its header or token has room for.
func shownUser(user *identity.User) *identity.User {
	groups := user.Groups[:min(len(user.Groups), maxLoggedGroups)]
	refused := &identity.User{Username: shown(user.Username), Groups: make([]string, 0, len(groups)+1)}
	for _, group := range groups {
		refused.Groups = append(refused.Groups, shown(group))
	}
	if len(groups) < len(user.Groups) {
		refused.Groups = append(refused.Groups, fmt.Sprintf("… (%d groups)", len(user.Groups)))
	}
	return refused
}

// shorten keeps a client from filling the log with one request.
func shorten(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return strings.ToValidUTF8(text[:maxLogged], "") + fmt.Sprintf("… (%d bytes)", len(text))
}

// logRefusal logs why a request is refused, in the handler's log and for an audit: which
// request, by which source, and who was proven where only the policy refused.
func (h *Handler) logRefusal(level zapcore.Level, status int, r *http.Request, ex *exchange, src *configuredSource, err error) {
	entry := h.logger.Check(level, "refused")
	var audited *zapcore.CheckedEntry
	if h.Audit != auditOff {
		audited = h.audit.Check(zap.InfoLevel, "refused")
	}
	if entry == nil && audited == nil {
		return
	}
	fields := append(requestFields(r, ex, src.label()), zap.Int("status", status), zap.String("reason", err.Error()))
	if proven := ex.refused(status); proven != nil {
		fields = append(fields, userFields(proven)...)
	}
	fields = append(fields, ex.wishFields()...)
	audited.Write(fields...)
	var broke interface{ Stack() []byte } // a panic, in a guest or while a token was verified
	if errors.As(err, &broke) {
		fields = append(fields, zap.ByteString("stack", broke.Stack()))
	}
	entry.Write(fields...)
}

// logAllowed logs for an audit that a request goes on, and as whom; a preflight has no user.
func (h *Handler) logAllowed(r *http.Request, ex *exchange, source string, user *identity.User) {
	if h.Audit != auditAll {
		return
	}
	entry := h.audit.Check(zap.InfoLevel, "allowed")
	if entry == nil {
		return
	}
	fields := requestFields(r, ex, source)
	if user != nil {
		fields = append(fields, userFields(user)...)
	}
	fields = append(fields, ex.wishFields()...)
	if ex.use != nil {
		fields = append(fields, zap.String("session", shortID(ex.use.session.ID)))
	}
	entry.Write(fields...)
}

// refused is the user that a source proved, and whom the policy refused: nil if the request is
// refused for another reason.
func (ex *exchange) refused(status int) *identity.User {
	if status != http.StatusForbidden || ex.proven == nil {
		return nil
	}
	return shownUser(ex.proven)
}

// logAccess adds one object to the line of Caddy's access log. The reason is empty if the
// request goes on; the user is nil if it is not known, or does not count.
func logAccess(r *http.Request, ex *exchange, source, reason string, user *identity.User) {
	extra := extraFields(r)
	if extra == nil {
		return
	}
	fields := []zap.Field{zap.String("source", source), zap.String("peer", ex.Peer.String())}
	if user != nil {
		fields = append(fields, userFields(user)...)
	}
	fields = append(fields, ex.wishFields()...)
	if reason != "" {
		fields = append(fields, zap.String("reason", reason))
	}
	fields = append(fields, ex.about.fields()...)
	extra.Set(zap.Dict("kube_identity", fields...))
}

// extraFields are the fields that Caddy's access log adds to a request; nil without one.
func extraFields(r *http.Request) *caddyhttp.ExtraLogFields {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil || server.Logs == nil {
		return nil
	}
	extra, _ := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	return extra
}
