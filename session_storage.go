// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"context"
	"errors"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// sharedStorage is the storage of the configuration that is in force.
type sharedStorage struct{ state *sessionState }

var errNoStorage = errors.New("the configuration is no longer in use")

func (s sharedStorage) storage() (session.Storage, error) {
	if m := s.state.current(); m != nil {
		return m.storage, nil
	}
	return nil, errNoStorage
}

// Load implements [session.Storage].
func (s sharedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	storage, err := s.storage()
	if err != nil {
		return nil, err
	}
	return storage.Load(ctx, key)
}

// Store implements [session.Storage].
func (s sharedStorage) Store(ctx context.Context, key string, value []byte) error {
	storage, err := s.storage()
	if err != nil {
		return err
	}
	return storage.Store(ctx, key, value)
}

// Delete implements [session.Storage].
func (s sharedStorage) Delete(ctx context.Context, key string) error {
	storage, err := s.storage()
	if err != nil {
		return err
	}
	return storage.Delete(ctx, key)
}

// List implements [session.Storage].
func (s sharedStorage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	storage, err := s.storage()
	if err != nil {
		return nil, err
	}
	return storage.List(ctx, prefix, recursive)
}

// Lock implements [session.Storage].
func (s sharedStorage) Lock(ctx context.Context, name string) error {
	storage, err := s.storage()
	if err != nil {
		return err
	}
	return storage.Lock(ctx, name)
}

// Unlock implements [session.Storage].
func (s sharedStorage) Unlock(ctx context.Context, name string) error {
	storage, err := s.storage()
	if err != nil {
		return err
	}
	return storage.Unlock(ctx, name)
}
