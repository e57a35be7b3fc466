// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"time"
)

const (
	bindingVersion = 2
	bindingSize    = 32
	bindingAge     = time.Hour

	// loopWindow and loopLimit tell a loop: logins that end within a minute without a session
	// being seen after them.
	loopWindow = time.Minute
	loopLimit  = 3

	// bindingLength is how long the cookie's value is at most.
	bindingLength = (keyIDSize + boxExtra + 1 + bindingSize + 1 + 2*6 + doneCount*doneSize + 2) * 8 / 6

	// doneCount attempts are known to have ended well, by their first bytes.
	doneCount = 3
	doneSize  = 8
)

// Binding ties logins to a browser. One cookie serves any number of logins at once: a cookie
// for each would pile up (mod_auth_openidc, issues 53 to 399), and one that only the last
// login owns would break the other tabs (oauth2-proxy, issue 1283). It is never changed; the
// With methods return copies.
type Binding struct {
	secret   [bindingSize]byte
	finished int       // logins since a session was seen the last time
	since    time.Time // when the first of them finished
	renewed  time.Time
	done     [doneCount][doneSize]byte // the last attempts that made a session, the latest first
}

// NewBinding makes a binding for a browser that has none.
func NewBinding(now time.Time) *Binding {
	return &Binding{secret: [bindingSize]byte(random(bindingSize)), renewed: now.Truncate(time.Second)}
}

// Nonce returns the nonce of an attempt. The client never sees the secret that it comes from.
func (b *Binding) Nonce(attempt *Attempt) string { return b.derive("nonce", attempt.ID) }

// Verifier returns the PKCE verifier of an attempt: 43 characters (RFC 7636, section 4.1). It is
// in no URL and no state, so that whoever steals a code cannot redeem it (RFC 9700, section 2.1.1).
func (b *Binding) Verifier(attempt *Attempt) string { return b.derive("pkce", attempt.ID) }

func (b *Binding) derive(label, id string) string {
	mac := hmac.New(sha256.New, b.secret[:])
	mac.Write([]byte(label + "|" + id))
	return base64url(mac.Sum(nil))
}

// mark is what a state has of the binding: its hash.
func (b *Binding) mark() []byte {
	sum := sha256.Sum256(append([]byte("kube_identity binding|"), b.secret[:]...))
	return sum[:]
}

// Looping says whether logins end without a session being seen: cookies are blocked or dropped,
// clocks are wrong, keys differ between instances.
func (b *Binding) Looping(now time.Time) bool {
	return b.finished >= loopLimit && b.within(now)
}

func (b *Binding) within(now time.Time) bool {
	since := now.Sub(b.since)
	return -skew < since && since < loopWindow
}

// WithFinished returns the binding after one more login has ended.
func (b *Binding) WithFinished(now time.Time) *Binding {
	c := *b
	if c.finished == 0 || !c.within(now) {
		c.finished, c.since = 0, now.Truncate(time.Second)
	}
	c.finished = min(c.finished+1, loopLimit)
	return &c
}

// WithSession returns the binding after a session was seen, and whether that changes it.
func (b *Binding) WithSession() (*Binding, bool) {
	c := *b
	c.finished, c.since = 0, time.Time{}
	return &c, b.finished > 0
}

// WithDone returns the binding after an attempt has made a session.
func (b *Binding) WithDone(a *Attempt) *Binding {
	c := *b
	copy(c.done[1:], b.done[:])
	c.done[0] = a.mark()
	return &c
}

// Done says whether an attempt has made a session, in this browser. Its code was redeemed then,
// and an issuer may end that session if it sees the code again (RFC 6749, section 4.1.2): a user
// who goes back to the page of the issuer, which posts its form again, does not bring the session
// along, because the cookie is not sent with another site's POST.
func (b *Binding) Done(a *Attempt) bool { return slices.Contains(b.done[:], a.mark()) }

// OpenBinding returns the binding in the lines of a request's Cookie field. The error is as
// that of [Jar.Open].
func (j *Jar) OpenBinding(ctx context.Context, lines []string, site Site, now time.Time) (*Binding, error) {
	name := j.names.full(j.names.binding, site)
	value, err := find(lines, name)
	if err != nil {
		return nil, err
	}
	sealed, ok := unbase64(value)
	if !ok {
		return nil, ErrUnreadable
	}
	content, err := j.keys.open(ctx, purposeBinding, sealed, name, j.names.place(site))
	if err != nil {
		return nil, err
	}
	b, err := parseBinding(content)
	switch {
	case err != nil:
		return nil, err
	case now.Sub(b.renewed) >= bindingAge || b.renewed.After(now.Add(skew)):
		return nil, ErrExpired
	}
	return b, nil
}

// SealBinding returns the Set-Cookie line that writes a binding, for an hour from now.
func (j *Jar) SealBinding(b *Binding, site Site, now time.Time) (setCookie string, err error) {
	name := j.names.full(j.names.binding, site)
	w := writer{b: []byte{bindingVersion}}
	w.b = append(w.b, b.secret[:]...)
	w.number(uint64(b.finished)) //nolint:gosec // at most loopLimit
	w.time(b.since)
	w.time(now)
	for _, mark := range b.done {
		w.b = append(w.b, mark[:]...)
	}
	sealed, err := j.keys.seal(purposeBinding, w.b, name, j.names.place(site))
	if err != nil {
		return "", err
	}
	return j.names.set(j.names.binding, base64url(sealed), site, j.bindingSameSite(site), bindingAge), nil
}

// EndBinding returns the Set-Cookie line that deletes a binding.
func (j *Jar) EndBinding(site Site) (setCookie string) {
	return j.names.set(j.names.binding, "", site, j.bindingSameSite(site), 0)
}

// bindingSameSite is None for an issuer that answers with a form. Browsers take None only with
// Secure.
func (j *Jar) bindingSameSite(site Site) string {
	if j.formPost && site.Secure {
		return sameSiteNone
	}
	return sameSiteLax
}

func parseBinding(content []byte) (*Binding, error) {
	if len(content) == 0 || content[0] != bindingVersion {
		return nil, ErrUnreadable
	}
	r, b := reader{b: content[1:]}, &Binding{}
	r.fixed(b.secret[:])
	b.finished = r.small(loopLimit)
	b.since, b.renewed = r.time(), r.time()
	for i := range b.done {
		r.fixed(b.done[i][:])
	}
	if b.finished == 0 {
		b.since = time.Time{}
	}
	if !r.done() {
		return nil, ErrUnreadable
	}
	return b, nil
}
