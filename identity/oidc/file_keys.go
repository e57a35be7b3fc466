// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FileKeys are keys out of a file with a JWK Set, which is read again when it changes. It
// is looked at when the keys are used, once a second at most; while it cannot be read, or
// holds no usable key, the last good ones stay.
type FileKeys struct {
	current atomic.Pointer[keySet]
	pace    filewatch.Pace

	// For the one caller that looks.
	file filewatch.File
	log  keyLog
}

// NewFileKeys reads the file; that it cannot be read is an error here. log is told of what
// no caller sees: a file that has become unreadable, at first and then once a minute, with
// a nil error when it can be read again; and keys that cannot be used. It may be nil.
func NewFileKeys(path string, log func(message string, err error)) (*FileKeys, error) {
	k := &FileKeys{file: filewatch.File{Path: path}, log: newKeyLog(log)}
	set, skipped, err := k.read()
	if err != nil {
		return nil, err
	}
	k.log.read(skipped)
	k.current.Store(set)
	k.pace.Looked(time.Now())
	return k, nil
}

// VerifySignature implements [Keys]. Its error always wraps [identity.ErrRejected]: there
// are keys at all times.
func (k *FileKeys) VerifySignature(_ context.Context, token string, header Header) ([]byte, error) {
	k.pace.Do(time.Now(), k.refresh)
	return k.current.Load().verify(token, header)
}

// Generation implements [Keys].
func (k *FileKeys) Generation() uint64 {
	k.pace.Do(time.Now(), k.refresh)
	return k.current.Load().generation
}

// refresh reads the file again if it has changed.
func (k *FileKeys) refresh() {
	set, skipped, err := k.read()
	switch {
	case err != nil:
		k.log.failed(err, true)
	case set != nil:
		k.log.read(skipped)
		k.current.Store(set)
	}
}

// read returns no set as long as the file is the one that was read.
func (k *FileKeys) read() (set *keySet, skipped, err error) {
	defer identity.Recovered(&err, nil, "reading keys")
	content, changed, err := k.file.Read(maxKeySet)
	if err != nil {
		return nil, nil, fmt.Errorf("reading keys: %w", err)
	}
	if !changed {
		return nil, nil, nil
	}
	set, skipped, err = parseKeySet(content)
	if err != nil {
		k.file.Forget() // so that it is read again until it is good
		return nil, nil, fmt.Errorf("reading keys from %s: %w", k.file.Path, err)
	}
	return set, skipped, nil
}

// Interface guard
var _ Keys = (*FileKeys)(nil)
