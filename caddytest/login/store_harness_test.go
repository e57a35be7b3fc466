// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/certmagic"
)

func init() { caddy.RegisterModule(new(testStorage)) }

// testStorage is a storage in a folder that does what a test wants instead.
type testStorage struct {
	Root string `json:"root"`

	certmagic.FileStorage `json:"-"`
}

// fault is what the storage does before each step; it fails with the error.
type fault func(ctx context.Context, step, key string) error

var faults atomic.Pointer[fault]

// CaddyModule implements caddy.Module.
func (*testStorage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.storage.test", New: func() caddy.Module { return new(testStorage) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (s *testStorage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&s.Root) {
		return d.ArgErr()
	}
	return nil
}

// CertMagicStorage implements caddy.StorageConverter.
func (s *testStorage) CertMagicStorage() (certmagic.Storage, error) {
	s.Path = s.Root
	return s, nil
}

func (*testStorage) fault(ctx context.Context, step, key string) error {
	if f := faults.Load(); f != nil {
		return (*f)(ctx, step, key)
	}
	return nil
}

// Load implements certmagic.Storage.
func (s *testStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.fault(ctx, "load", key); err != nil {
		return nil, err
	}
	return s.FileStorage.Load(ctx, key)
}

// Store implements certmagic.Storage.
func (s *testStorage) Store(ctx context.Context, key string, value []byte) error {
	if err := s.fault(ctx, "store", key); err != nil {
		return err
	}
	return s.FileStorage.Store(ctx, key, value)
}

// Delete implements certmagic.Storage.
func (s *testStorage) Delete(ctx context.Context, key string) error {
	if err := s.fault(ctx, "delete", key); err != nil {
		return err
	}
	return s.FileStorage.Delete(ctx, key)
}

// folder is the storage of a test.
type folder struct {
	t    *testing.T
	root string
}

// newFolder makes an empty storage.
func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder{t, filepath.Join(t.TempDir(), "shared")}
	f.onStep(nil)
	t.Cleanup(func() { faults.Store(nil) })
	return f
}

// onStep has the storage do something before each step.
func (f folder) onStep(act fault) {
	if act == nil {
		faults.Store(nil)
		return
	}
	faults.Store(&act)
}

// store is the option.
func (f folder) store() string { return "store test " + f.root }

// sessions are the names of the files with sessions.
func (f folder) sessions() []string {
	f.t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.root, "kube_identity", "sessions"))
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "-claim") })
}

func (f folder) path(name string) string {
	return filepath.Join(f.root, "kube_identity", "sessions", name)
}

func (f folder) read(name string) string {
	f.t.Helper()
	content, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(content)
}

func (f folder) write(name, content string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// shortDue is after how long the tokens of short are due, and not expired.
const shortDue = 7 * time.Second
