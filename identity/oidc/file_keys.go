// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// fileLook is the time between two looks at the file, at least.
	fileLook = time.Second

	// fileSettled is the age at which a file's time of change tells one content from the
	// next, as file systems keep it in steps of up to two seconds.
	fileSettled = 2 * time.Second
)

// FileKeys are keys out of a file with a JWK Set, which is read again when it changes. It
// is looked at when the keys are used, once a second at most; while it cannot be read, or
// holds no usable key, the last good ones stay.
type FileKeys struct {
	path    string
	current atomic.Pointer[keySet]
	looked  atomic.Int64 // nanoseconds since 1970

	reading sync.Mutex // of what is below
	log     keyLog
	info    os.FileInfo
	settled bool // it was read, and is old enough to be told from the next
}

// NewFileKeys reads the file; that it cannot be read is an error here. log is told of what
// no caller sees: a file that has become unreadable, at first and then once a minute, with
// a nil error when it can be read again; and keys that cannot be used. It may be nil.
func NewFileKeys(path string, log func(message string, err error)) (*FileKeys, error) {
	k := &FileKeys{path: path, log: keyLog{log: log}}
	set, skipped, err := k.read()
	if err != nil {
		return nil, err
	}
	k.log.read(skipped)
	k.current.Store(set)
	k.looked.Store(time.Now().UnixNano())
	return k, nil
}

// VerifySignature implements [Keys]. Its error always wraps [identity.ErrRejected]: there
// are keys at all times.
func (k *FileKeys) VerifySignature(_ context.Context, token string, header Header) ([]byte, error) {
	k.refresh()
	return k.current.Load().verify(token, header)
}

// Generation implements [Keys].
func (k *FileKeys) Generation() uint64 {
	k.refresh()
	return k.current.Load().generation
}

// refresh reads the file again when it is time to. One caller does it; others go on with
// what there is.
func (k *FileKeys) refresh() {
	now := time.Now().UnixNano()
	// a clock that was set back must not keep a file from being read
	if since := now - k.looked.Load(); 0 <= since && since < int64(fileLook) || !k.reading.TryLock() {
		return
	}
	defer k.reading.Unlock()
	defer k.looked.Store(now)
	set, skipped, err := k.read()
	switch {
	case err != nil:
		k.log.failed(err, true)
	case set != nil:
		k.log.read(skipped)
		k.current.Store(set)
	}
}

// read returns no set as long as the file is the one that was read. One that could not be
// is read again in any case: permission to do so does not change its time.
func (k *FileKeys) read() (set *keySet, skipped, err error) {
	defer noPanic(&err)
	info, err := os.Stat(k.path)
	if err != nil {
		k.settled = false
		return nil, nil, fmt.Errorf("reading keys: %w", err)
	}
	if k.settled && os.SameFile(k.info, info) && k.info.Size() == info.Size() && k.info.ModTime().Equal(info.ModTime()) {
		return nil, nil, nil
	}
	k.settled = false
	if set, skipped, err = readKeySet(k.path, info); err == nil {
		k.info, k.settled = info, time.Since(info.ModTime()) > fileSettled
	}
	return set, skipped, err
}

func readKeySet(path string, info os.FileInfo) (set *keySet, skipped, err error) {
	if !info.Mode().IsRegular() { // such as a pipe, which could be waited for
		return nil, nil, fmt.Errorf("reading keys: %s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading keys: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKeySet+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading keys: %w", err)
	}
	set, skipped, err = parseKeySet(content)
	if err != nil {
		return nil, nil, fmt.Errorf("reading keys from %s: %w", path, err)
	}
	return set, skipped, nil
}

// Interface guard
var _ Keys = (*FileKeys)(nil)
