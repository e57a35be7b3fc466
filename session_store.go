// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// ownStorage is the option store without a module.
const ownStorage = `{}`

// parseStore parses "store [<module>]" with the module's own arguments and block.
func parseStore(raw *json.RawMessage) option.Parser {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			*raw = json.RawMessage(ownStorage)
			return option.NoBlock(d)
		}
		guest, err := option.Guest(d, "caddy.storage", "module", "storage")
		*raw = guest
		return err
	}
}

// store says whether sessions are in a storage, and whether that is a module's own one.
func (s *Session) store() (stored, own bool, err error) {
	switch text := bytes.TrimSpace(s.StoreRaw); {
	case len(text) == 0 || string(text) == "null":
		return false, false, nil
	case text[0] != '{':
		return false, false, errors.New("store: it is not an object")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(s.StoreRaw, &members); err != nil {
		return false, false, fmt.Errorf("store: %w", err)
	}
	return true, len(members) > 0, nil
}

// sessionStorage is what the instances of this site share: Caddy's own storage, or that of the
// option store. It has the keys and the logouts, too. The place is for the key of the state: a
// module's settings are in the key already.
func (h *Handler) sessionStorage(ctx caddy.Context) (storage session.Storage, place string, err error) {
	stored, own, err := h.Session.store()
	if err != nil {
		return nil, "", err
	}
	h.Session.stored = stored
	if !own {
		storage := ctx.Storage()
		place, err := json.Marshal(storage)
		if err != nil {
			place = fmt.Appendf(nil, "%p", storage) // not shared with another configuration
		}
		return storage, fmt.Sprintf("%T %s", storage, place), nil
	}
	loaded, err := ctx.LoadModule(h.Session, "StoreRaw")
	if err != nil {
		return nil, "", fmt.Errorf("store: %w", err)
	}
	converter, ok := loaded.(caddy.StorageConverter)
	if !ok {
		return nil, "", fmt.Errorf("store: %T is not a storage", loaded)
	}
	storage, err = converter.CertMagicStorage()
	if err != nil {
		return nil, "", fmt.Errorf("store: %w", err)
	}
	return storage, "", nil
}

// newKeeper is where sessions are: in cookies, or in the storage with tickets in cookies.
func newKeeper(options *Session, jar *session.Jar, storage session.Storage) session.Keeper {
	if options.stored {
		return session.NewStore(jar, storage)
	}
	return jar
}

// keep makes a place for the session of a login, and returns the cookies.
func (s *sessions) keep(ctx context.Context, made *session.Session, site session.Site, now time.Time) (kept *session.Session, lines []string, err error) {
	if kept, err = s.state.keeper.Add(ctx, made); err != nil {
		return nil, nil, err
	}
	lines, err = s.state.keeper.Seal(kept, site, now)
	return kept, lines, err
}

// endReplaced ends the session that a browser had before a login. One at the same login, without
// a place in the storage and without a refresh token, ends soon by itself.
func (s *sessions) endReplaced(ctx context.Context, ex *exchange) {
	before, err := s.openAny(ctx, ex)
	if err == nil && (before.RefreshToken != "" || s.options.stored || before.Source != ex.login.Key) {
		s.end(ctx, before, "replaced")
	}
}

// remove denies a session everywhere, and deletes it from the storage. Neither waits for the
// other: the storage may be slow.
func (s *sessions) remove(ctx context.Context, found *session.Session) error {
	removed := make(chan error, 1)
	go func() { removed <- s.state.removeFrom(ctx, found) }()
	err := s.state.denied.Deny(ctx, session.DenySession(found.ID, s.limits.End(found)))
	return errors.Join(err, <-removed)
}

// removeFrom deletes a session from the storage, whose module may panic.
func (s *sessionState) removeFrom(ctx context.Context, found *session.Session) (err error) {
	defer identity.Recovered(&err, nil, "removing a session")
	return s.keeper.Remove(ctx, found)
}

// removeDenied deletes a session again that was logged out while it was being refreshed: the
// refresh has just stored it.
func (s *sessionState) removeDenied(refreshed *session.Session) {
	limits := s.jar.Limits()
	if !errors.Is(s.denied.Check(limits.Facts(refreshed, "", ""), time.Now()), session.ErrDenied) {
		return
	}
	if err := s.removeFrom(context.Background(), refreshed); err != nil {
		s.problem("a session that was logged out is still in the storage", err)
	}
}
