// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FileKeys are keys from a file with a JWK Set, which is read again when it changes. The
// file is checked when the keys are used, at most once a second; while the file cannot be
// read, the last good keys stay. A file without a usable key means that there are no keys.
type FileKeys struct {
	current atomic.Pointer[keySet]
	got     atomic.Int64          // when the file was read well last, in nanoseconds since 1970
	failure atomic.Pointer[error] // why the file cannot be used now
	pace    filewatch.Pace

	// Only for the caller that checks the file.
	file filewatch.File
	log  keyLog
}

// NewFileKeys reads the file, and fails if it cannot, or if none of the file's keys can be
// used: that is a mistake, unlike an empty list. onProblem is called for problems that
// no caller sees: when the file has become unreadable, at first and then once a minute; with
// a nil error when it can be read again; and for keys that cannot be used. It may be nil.
func NewFileKeys(path string, onProblem func(message string, err error)) (*FileKeys, error) {
	k := &FileKeys{file: filewatch.File{Path: path}, log: newKeyLog(onProblem)}
	set, skipped, err := k.read()
	if err != nil {
		return nil, err
	}
	if len(set.keys) == 0 && !errors.Is(skipped, errNoKeys) {
		return nil, fmt.Errorf("reading keys from %s: %w", path, skipped)
	}
	k.log.read(set, skipped)
	k.current.Store(set)
	k.got.Store(time.Now().UnixNano())
	k.pace.Looked(time.Now())
	return k, nil
}

// OnChange sets what is called when the file cannot be used any more, and with nil when it can
// be used again. It is called before the first use, and change must not wait.
func (k *FileKeys) OnChange(change func(err error)) {
	k.log.onChange = func(err error, _ bool) { change(err) }
}

// VerifySignature implements [Keys]. Its error always wraps [identity.ErrRejected], since
// the keys are always known.
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
	if err != nil {
		k.failure.Store(&err)
	} else {
		k.failure.Store(nil)
		k.got.Store(time.Now().UnixNano())
	}
	switch {
	case err != nil:
		k.log.failed(err, true)
	case set != nil:
		k.log.read(set, skipped)
		k.current.Store(set)
	}
}

// read returns no set while the file is unchanged.
func (k *FileKeys) read() (set *keySet, skipped, err error) {
	defer func() {
		if err != nil { // a panic of the parser too
			k.file.Forget() // so that it is read again until it is good
		}
	}()
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
		return nil, nil, fmt.Errorf("reading keys from %s: %w", k.file.Path, err)
	}
	return set, skipped, nil
}

// Interface guard
var _ Keys = (*FileKeys)(nil)
