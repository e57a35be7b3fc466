// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(Placeholder))
}

// Placeholder is the source for an identity that an earlier Caddy handler has
// established: basic_auth or any other that sets {http.auth.user.id}, or forward_auth,
// whose authentication server's answer is in {http.reverse_proxy.header.*}.
//
// Each option is one placeholder, and must be one that authentication sets:
// {http.auth.user.*}, {http.reverse_proxy.header.*}, or one that the handler's
// trusted_placeholder names. Others may be the client's own words, which another handler
// (map, vars) has copied. Its value is data: a value that itself looks like a placeholder is
// not expanded, and "(null)" and "-" are not values. A list or an object where one text is meant
// is a mistake of the handler that set it (500). An answer to forward_auth is believed
// only if its status is 2xx; one with another status that names a user is a bad credential.
type Placeholder struct {
	// User is the name of the user. A request for which it is unknown or empty has no credential
	// for this source. Required.
	User string `json:"user,omitempty" placeholders:"request"`

	// Groups is a list of texts, whose elements are taken as they are, or a text, which is one
	// group or is split at the separator. Default: no groups.
	Groups string `json:"groups,omitempty" placeholders:"request"`

	// GroupsSeparator splits the text of Groups: one character that is neither letter nor digit.
	// forward_auth joins several lines of an answer with ",". Default: the text is one group.
	GroupsSeparator string `json:"groups_separator,omitempty"`

	// UID is an identifier that is never given to another user. Default: none.
	UID string `json:"uid,omitempty" placeholders:"request"`

	// Email is the user's mail address. Default: none.
	Email string `json:"email,omitempty" placeholders:"request"`

	// Name is a name for display. Default: none.
	Name string `json:"name,omitempty" placeholders:"request"`

	// PreferredUsername is the name that the user prefers. Default: none.
	PreferredUsername string `json:"preferred_username,omitempty" placeholders:"request"`

	user, groups, uid, email, name, preferredUsername string // keys in the replacer

	trusted    []string // the operator's trusted_placeholder
	kept       *kept
	fromAnswer bool // at least one key belongs to an authentication server's answer
}

const (
	// userPrefix begins the keys that Caddy's authentication handlers set.
	userPrefix = "http.auth.user."

	// answerPrefix begins the keys of the header fields in the last answer that
	// reverse_proxy, and with it forward_auth, has received.
	answerPrefix = "http.reverse_proxy.header."
)

// CaddyModule returns the Caddy module information.
func (*Placeholder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".placeholder", New: func() caddy.Module { return new(Placeholder) }}
}

// Provision derives the keys.
func (p *Placeholder) Provision(ctx caddy.Context) error {
	if err := guest.Expand(p); err != nil {
		return fmt.Errorf("placeholder: %w", err)
	}
	p.kept = newKept()
	p.trusted = guest.TrustedPlaceholders(ctx)
	p.user, p.groups = placeholderKey(p.User), placeholderKey(p.Groups)
	p.uid, p.email = placeholderKey(p.UID), placeholderKey(p.Email)
	p.name, p.preferredUsername = placeholderKey(p.Name), placeholderKey(p.PreferredUsername)
	p.fromAnswer = slices.ContainsFunc(
		[]string{p.user, p.groups, p.uid, p.email, p.name, p.preferredUsername},
		func(key string) bool { return strings.HasPrefix(key, answerPrefix) })
	return nil
}

// placeholderKey returns the key of {key}, with the name of a header field in the
// spelling in which reverse_proxy stores it.
func placeholderKey(text string) string {
	key := strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	if field, ok := strings.CutPrefix(key, answerPrefix); ok {
		return answerPrefix + http.CanonicalHeaderKey(field)
	}
	return key
}

// Validate refuses placeholders that a client may have written.
func (p *Placeholder) Validate() error {
	if err := errors.Join(p.CheckWhole(), p.checkTexts()); err != nil {
		return err
	}
	if err := option.CheckSeparator(p.GroupsSeparator); err != nil {
		return fmt.Errorf("placeholder groups: %w", err)
	}
	return nil
}

func (p *Placeholder) checkTexts() error {
	for _, text := range []string{p.User, p.Groups, p.UID, p.Email, p.Name, p.PreferredUsername} {
		if text == "" {
			continue
		}
		if err := p.check(text); err != nil {
			return fmt.Errorf("placeholder: %w", err)
		}
	}
	return nil
}

// check refuses a placeholder that neither authentication nor the operator vouches for.
func (p *Placeholder) check(text string) error {
	if err := checkPlaceholder(text); err != nil {
		return err
	}
	name, _ := option.PlaceholderName(text)
	if strings.HasPrefix(name, userPrefix) || strings.HasPrefix(name, answerPrefix) || slices.Contains(p.trusted, name) {
		return nil
	}
	return fmt.Errorf("{%s} may be what another handler (map, vars) copied from the request; "+
		"write 'trusted_placeholder %s' in kube_identity if a client cannot write it", name, name)
}

// checkPlaceholder is the part of the check that needs no other option.
func checkPlaceholder(text string) error {
	name, err := option.PlaceholderName(text)
	if err != nil {
		return err
	}
	return option.CheckNotTheClients(name)
}

// Reads implements [identity.Source]: no header field.
func (*Placeholder) Reads() identity.Fields { return identity.Fields{} }

// Authenticate implements [identity.Source].
func (p *Placeholder) Authenticate(ctx context.Context, _ *identity.Request) (*identity.Identity, error) {
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil, fmt.Errorf("%w: the request has no placeholders", identity.ErrInternal)
	}
	var texts [5]string
	for n, key := range [...]string{p.user, p.uid, p.email, p.name, p.preferredUsername} {
		var err error
		if texts[n], err = lookUp(repl, key); err != nil {
			return nil, err
		}
	}
	if texts[0] == "" {
		return nil, identity.ErrAbsent
	}
	if err := p.checkAnswer(repl); err != nil {
		return nil, err
	}
	groups, err := p.lookUpGroups(repl)
	if err != nil {
		return nil, err
	}
	var room [512]byte
	read := identity.AppendFramed(identity.AppendFramed(room[:0], texts[:]...), groups...)
	return p.kept.get(read, func() (*identity.Identity, error) {
		return &identity.Identity{User: identity.User{
			Username: texts[0], UID: texts[1], Email: texts[2], Name: texts[3], PreferredUsername: texts[4],
			Groups: groups,
		}}, nil
	})
}

// checkAnswer refuses an answer with which the authentication server did not let the
// client in: a 401 may well name the user whose session has expired.
func (p *Placeholder) checkAnswer(repl *caddy.Replacer) error {
	if !p.fromAnswer {
		return nil
	}
	value, _ := repl.Get("http.reverse_proxy.status_code")
	if status, _ := value.(int); status < 200 || status > 299 {
		return fmt.Errorf("%w: the authentication server answered with status %d", identity.ErrRejected, status)
	}
	return nil
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	placeholder {
//		user               <placeholder>
//		groups             <placeholder> [<separator>]
//		uid                <placeholder>
//		email              <placeholder>
//		name               <placeholder>
//		preferred_username <placeholder>
//	}
func (p *Placeholder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{
		"user": option.Literal(&p.User, checkPlaceholder),
		"groups": func(d *caddyfile.Dispenser) error {
			return option.OneAndSeparator(d, &p.Groups, &p.GroupsSeparator, checkPlaceholder)
		},
		"uid":                option.Literal(&p.UID, checkPlaceholder),
		"email":              option.Literal(&p.Email, checkPlaceholder),
		"name":               option.Literal(&p.Name, checkPlaceholder),
		"preferred_username": option.Literal(&p.PreferredUsername, checkPlaceholder),
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Placeholder)(nil)
	_ caddy.Validator       = (*Placeholder)(nil)
	_ caddyfile.Unmarshaler = (*Placeholder)(nil)
	_ identity.Source       = (*Placeholder)(nil)
)
