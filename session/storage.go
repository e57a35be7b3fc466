// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Storage is what instances share. Caddy's storage has these methods (certmagic.Storage). Keys
// are paths without a leading slash. Load and List return [fs.ErrNotExist] for what is not there.
type Storage interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)

	// Lock and Unlock are called by work in the background only. Caddy's file storage asks
	// once a second for a lock that is held, and a lock may turn stale: a request must not
	// wait for that, and what is done under a lock must stand being done twice.
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// The places in the storage.
const (
	storageKeys     = "kube_identity/keys"
	storageDenied   = "kube_identity/denied"
	storageSessions = "kube_identity/sessions"
	storageSwept    = "kube_identity/swept"
)

// The locks in the storage have other names than its content: some storages keep both side by
// side.
const (
	lockKeys  = "kube_identity_keys"
	lockSweep = "kube_identity_sweep"
)

// storageTimeout is how long one step in the storage may take.
const storageTimeout = 10 * time.Second

// locked does something while it holds a lock of the storage. The lock is given back even if
// the context has ended.
func locked(ctx context.Context, storage Storage, name string, act func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*storageTimeout)
	defer cancel()
	if err := storage.Lock(ctx, name); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storageTimeout)
		defer cancel()
		err = errors.Join(err, storage.Unlock(ctx, name))
	}()
	return act(ctx)
}

// list returns the names in a folder of the storage. A folder that is not there is empty.
func list(ctx context.Context, storage Storage, folder string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	keys, err := storage.List(ctx, folder, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		if strings.Trim(path.Dir(key), "/") == folder {
			names = append(names, path.Base(key))
		}
	}
	return names, nil
}
