// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

var (
	secure = session.Site{Host: "a.example", Secure: true}
	plain  = session.Site{Host: "localhost"}
	errBad = errors.New("the storage is down")
)

// memory is a storage that instances of a test share. It is safe for concurrent use.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
	locks map[string]chan struct{}
	calls map[string]int
	down  bool
	slow  time.Duration
	loads func(key string) // called before a load
}

func newMemory() *memory {
	return &memory{files: make(map[string][]byte), locks: make(map[string]chan struct{}), calls: make(map[string]int)}
}

func (m *memory) call(ctx context.Context, name string) error {
	m.mu.Lock()
	m.calls[name]++
	slow := m.slow
	m.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errBad
	}
	return ctx.Err()
}

func (m *memory) Load(ctx context.Context, key string) ([]byte, error) {
	if err := m.call(ctx, "load"); err != nil {
		return nil, err
	}
	if m.loads != nil {
		m.loads(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if content, ok := m.files[key]; ok {
		return slices.Clone(content), nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Store(ctx context.Context, key string, value []byte) error {
	if err := m.call(ctx, "store"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(ctx context.Context, key string) error {
	if err := m.call(ctx, "delete"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, key)
	return nil
}

func (m *memory) List(ctx context.Context, prefix string, _ bool) ([]string, error) {
	if err := m.call(ctx, "list"); err != nil {
		return nil, err
	}
	names := m.names(prefix + "/")
	if len(names) == 0 {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func (m *memory) Lock(ctx context.Context, name string) error {
	if err := m.call(ctx, "lock"); err != nil {
		return err
	}
	m.mu.Lock()
	if m.locks[name] == nil {
		m.locks[name] = make(chan struct{}, 1)
	}
	lock := m.locks[name]
	m.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	<-m.locks[name]
	return nil
}

// names returns the keys below a prefix.
func (m *memory) names(prefix string) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.files {
		if strings.HasPrefix(key, prefix) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names
}

func (m *memory) get(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files[key]
}

func (m *memory) set(change func(m *memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memory) count(call string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[call]
}

// secretLine returns a line of a key file.
func secretLine(n byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+n)), 32))) + "\n"
}

// randomLine returns a line of a key file that no other process has: the workers of a fuzz test
// exchange what they seal.
func randomLine() string {
	return base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text())) + "\n"
}

// keyFile writes a key file.
func keyFile(tb testing.TB, lines ...string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "keys")
	writeKeys(tb, file, lines...)
	return file
}

func writeKeys(tb testing.TB, file string, lines ...string) {
	tb.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func fileKeys(tb testing.TB, lines ...string) *session.Keys {
	tb.Helper()
	if len(lines) == 0 {
		lines = []string{secretLine(0)}
	}
	keys, err := session.KeysFromFile(keyFile(tb, lines...), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

var hours = session.Limits{Lifetime: 12 * time.Hour}

func newJar(tb testing.TB, config session.JarConfig) *session.Jar {
	tb.Helper()
	if config.Keys == nil {
		config.Keys = fileKeys(tb)
	}
	if config.Limits == (session.Limits{}) {
		config.Limits = hours
	}
	jar, err := session.NewJar(config)
	if err != nil {
		tb.Fatal(err)
	}
	return jar
}

// part returns a part of a JWT.
func part(content string) string { return base64.RawURLEncoding.EncodeToString([]byte(content)) }

// idToken returns a token with a number of groups, whose signature does not compress.
func idToken(groups int) string {
	var names strings.Builder
	for n := range groups {
		fmt.Fprintf(&names, `"team-%d-of-%x",`, n, n*7919)
	}
	signature := make([]byte, 256)
	for i := range signature {
		signature[i] = byte(i*i*31 + i>>3*17)
	}
	return part(`{"alg":"RS256","kid":"one"}`) + "." +
		part(`{"iss":"https://issuer.example","sub":"alice","groups":[`+names.String()+`"all"]}`) + "." +
		base64.RawURLEncoding.EncodeToString(signature)
}

// newSession returns a session with tokens.
func newSession(now time.Time, groups int) *session.Session {
	s := session.New("oidc issuer", now)
	s.SID, s.Nonce = "sid-1", "nonce-1"
	return s.WithTokens(idToken(groups), "refresh-1")
}

// browser keeps cookies as a browser does.
type browser map[string]string

func (b browser) take(tb testing.TB, setCookie []string) {
	tb.Helper()
	for _, line := range setCookie {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			tb.Fatal(err)
		}
		if len(c.Name)+len(c.Value) > 4096 {
			continue // dropped without a word
		}
		if c.MaxAge < 0 {
			delete(b, c.Name)
			continue
		}
		b[c.Name] = c.Value
	}
}

// lines returns the Cookie field, as one line.
func (b browser) lines() []string {
	var cookies []string
	for name, value := range b {
		cookies = append(cookies, name+"="+value)
	}
	slices.Sort(cookies)
	if len(cookies) == 0 {
		return nil
	}
	return []string{strings.Join(cookies, "; ")}
}

func (b browser) names() (names []string) {
	for name := range b {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// login puts a session into a new browser.
func login(tb testing.TB, keeper session.Keeper, s *session.Session, site session.Site, now time.Time) browser {
	tb.Helper()
	lines, err := keeper.Seal(s, site, now)
	if err != nil {
		tb.Fatal(err)
	}
	b := browser{}
	b.take(tb, lines)
	return b
}
