// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

// JarConfig says what the cookies of a handler are.
type JarConfig struct {
	Keys   *Keys
	Limits Limits

	// Name is the name of the session cookie without a prefix. Default: kube_session. The
	// binding cookie's name follows from it: kube_login.
	Name string

	// Domain lets the cookies reach all hosts below a domain. They are then named with
	// __Secure- instead of __Host-, and every one of these hosts can overwrite them.
	Domain string

	// FormPost makes the binding cookie SameSite=None: a login that ends with a form of the
	// issuer's page does not carry Lax cookies.
	FormPost bool

	// CacheSize is how many opened sessions are kept. Default: 4096.
	CacheSize int
}

// Jar keeps sessions in the cookies of browsers. It is safe for concurrent use.
type Jar struct {
	keys     *Keys
	names    names
	limits   Limits
	formPost bool
	codec    *codec
	opened   *cache
}

// NewJar makes a jar. It refuses a name that is not a token or has a prefix of its own, and a
// domain that is not a name in lower case.
func NewJar(config JarConfig) (*Jar, error) {
	if config.Name == "" {
		config.Name = "kube_session"
	}
	if config.CacheSize <= 0 {
		config.CacheSize = 4096
	}
	n, err := newNames(config.Name, config.Domain)
	if err != nil {
		return nil, err
	}
	return &Jar{
		keys: config.Keys, names: n, limits: config.Limits, formPost: config.FormPost, codec: newCodec(),
		opened: &cache{hasher: newHasher(), entries: lru.New[sum, cached](config.CacheSize)},
	}, nil
}

// Limits returns how long sessions live.
func (j *Jar) Limits() Limits { return j.limits }

// Patterns returns the names of all cookies of this handler, in all spellings; a trailing "*"
// is a prefix. They never go upstream, and an upstream never sets them.
func (j *Jar) Patterns() []string { return slices.Clone(j.names.patterns) }

// Owns says whether a cookie is one of this handler, whichever case its name is in.
func (j *Jar) Owns(name string) bool { return j.names.own(name) }

// Open returns the session in the lines of a request's Cookie field. The error wraps
// [ErrNoCookie], [ErrDuplicate], [ErrUnreadable], [ErrUnknownKey], [ErrExpired] or
// [identity.ErrUnavailable].
func (j *Jar) Open(ctx context.Context, lines []string, site Site, now time.Time) (*Session, error) {
	s, err := openIn(ctx, j, purposeSession, lines, site, j.codec.decode)
	if err == nil {
		err = j.limits.Check(s, now)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Seal returns the Set-Cookie lines that write a session, and delete the chunks that a longer
// one may have left. The error wraps [ErrTooLarge] or [identity.ErrUnavailable].
func (j *Jar) Seal(s *Session, site Site, now time.Time) (setCookie []string, err error) {
	content, err := j.codec.encode(s)
	if err != nil {
		return nil, err
	}
	return j.seal(purposeSession, content, s, site, now)
}

// End returns the Set-Cookie lines that delete the session. The lines of the request's Cookie
// field say what other chunks there are; they may be missing.
func (j *Jar) End(lines []string, site Site) (setCookie []string) {
	name := j.names.full(j.names.session, site)
	chunks := make([]string, 0, maxChunks)
	for i := range maxChunks {
		chunks = append(chunks, chunkName(j.names.session, i))
	}
	pairs(lines, func(n, _ string) {
		end, ok := chunkEnd(n, name)
		// A few at a time: a response must not become as long as a client wants it.
		if chunk := j.names.session + end; ok && len(end) < maxName && len(chunks) < 4*maxChunks && !slices.Contains(chunks, chunk) {
			chunks = append(chunks, chunk)
		}
	})
	for _, chunk := range chunks {
		setCookie = append(setCookie, j.names.set(chunk, "", site, sameSiteLax, 0))
	}
	return setCookie
}

const (
	// Strict cookies do not reach the callback after a click on the issuer's page, nor the page
	// after it: an endless loop. cross_origin stands against forged requests.
	sameSiteLax  = "Lax"
	sameSiteNone = "None"
)

// seal makes the lines that write content, and delete the chunks after it.
func (j *Jar) seal(purpose string, content []byte, s *Session, site Site, now time.Time) ([]string, error) {
	length := (keyIDSize + boxExtra + len(content)) * 8
	length = (length + 5) / 6 // base64url
	w := write{base64url(random(versionSize * 3 / 4)), countChunks(length)}
	name := j.names.full(j.names.session, site)
	if total := j.total(name, length, w.count); w.count > maxChunks || total > maxCookies {
		return nil, &TooLargeError{total, maxCookies, len(s.IDToken), len(s.RefreshToken)}
	}
	sealed, err := j.keys.seal(purpose, content, w.head(), name, j.names.place(site))
	if err != nil {
		return nil, err
	}
	setCookie := make([]string, 0, maxChunks)
	for i, value := range w.split(base64url(sealed)) {
		setCookie = append(setCookie, j.names.set(chunkName(j.names.session, i), value, site, sameSiteLax, j.limits.End(s).Sub(now)))
	}
	for i := w.count; i < maxChunks; i++ {
		setCookie = append(setCookie, j.names.set(chunkName(j.names.session, i), "", site, sameSiteLax, 0))
	}
	return setCookie, nil
}

// total returns how long the cookies of this handler are in a request: the chunks with names
// and separators, and the binding cookie, which is there while another tab logs in.
func (j *Jar) total(name string, length, count int) int {
	const separators = len("=; ")
	chunk := len(chunkName(name, 1)) + separators + versionSize
	return length + 1 + count*chunk + len(hostPrefix) + len(j.names.binding) + separators + bindingLength
}
