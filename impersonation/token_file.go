// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxToken is the largest token file, in bytes.
	maxToken = 64 << 10

	// recheck is how long the last look at a file counts. It saves busy servers a system
	// call for most requests, and is too short to be noticed.
	recheck = time.Millisecond
)

// TokenFile is the [Credential] for a bearer token in a file, such as a projected
// service-account token. The file is looked at for every request, on a busy server once a
// millisecond, and is read again when it changed: a token that the kubelet renewed is
// used at once, and one that was removed is not used any more. No last good token is
// kept, since a token that was removed must not be used.
type TokenFile struct {
	Path string

	// OnChange is called when there is no token any more, and with nil when there is one again.
	// It may be nil, and must not wait: it is called in a request.
	OnChange func(err error)

	lost atomic.Bool
	last atomic.Pointer[tokenRead]
}

// tokenRead is the result of the last read of the file.
type tokenRead struct {
	stamp         filewatch.Stamp
	authorization string
	looked        atomic.Int64 // when stamp was last confirmed, in nanoseconds since 1970
}

// Authorization implements [Credential].
func (f *TokenFile) Authorization(context.Context) (string, error) {
	now, last := time.Now(), f.last.Load()
	if last != nil {
		if filewatch.Recent(last.looked.Load(), now, recheck) {
			return last.authorization, nil
		}
		info, err := os.Stat(f.Path)
		if err == nil && last.stamp.Is(info) {
			last.looked.Store(now.UnixNano())
			return last.authorization, nil
		}
		f.last.CompareAndSwap(last, nil)
	}
	read, err := readToken(f.Path)
	f.changed(err)
	if err != nil {
		return "", fmt.Errorf("%w: reading token_file: %w", identity.ErrUnavailable, err)
	}
	if !read.stamp.IsZero() {
		read.looked.Store(now.UnixNano())
		f.last.Store(read)
	}
	return read.authorization, nil
}

// changed tells about transitions. A token that is there from the start is not one.
func (f *TokenFile) changed(err error) {
	if f.lost.CompareAndSwap(err == nil, err != nil) && f.OnChange != nil {
		f.OnChange(err)
	}
}

func readToken(path string) (*tokenRead, error) {
	content, stamp, err := filewatch.ReadRegular(path, maxToken)
	if err != nil {
		return nil, err
	}
	token := bytes.TrimSpace(content)
	switch {
	case len(content) > maxToken:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxToken)
	case len(token) == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case !identity.IsBearerToken(string(token)):
		return nil, errors.New(path + " does not hold one bearer token")
	}
	return &tokenRead{stamp: stamp, authorization: "Bearer " + string(token)}, nil
}
