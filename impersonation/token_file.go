// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxToken is the largest token file, in bytes.
	maxToken = 64 << 10

	// settled is the age at which a file's time of change tells one content from the
	// next. File systems keep it in steps of some milliseconds (two seconds on FAT).
	settled = 2 * time.Second

	// recheck is how long the last look at a file counts. It spares busy servers a system
	// call for most requests, and is shorter than anybody could tell.
	recheck = time.Millisecond
)

// TokenFile is the [Credential] for a bearer token in a file, such as a projected
// service-account token. The file is looked at for every request, a busy server looks
// once a millisecond, and is read again when it changed: what the kubelet renews is used
// at once, and what was removed no longer.
// There is no last good one, since a token that was taken away must not go on.
type TokenFile struct {
	Path string

	last atomic.Pointer[tokenRead]
}

// tokenRead is what was found when the file was last read.
type tokenRead struct {
	info          os.FileInfo
	authorization string
	looked        atomic.Int64 // when info was last confirmed, in nanoseconds since 1970
}

// Authorization implements [Credential].
func (f *TokenFile) Authorization(context.Context) (string, error) {
	now, last := time.Now().UnixNano(), f.last.Load()
	if last != nil {
		if since := now - last.looked.Load(); 0 <= since && since < int64(recheck) {
			return last.authorization, nil
		}
		info, err := os.Stat(f.Path)
		if err == nil && last.is(info) {
			last.looked.Store(now)
			return last.authorization, nil
		}
		f.last.CompareAndSwap(last, nil)
	}
	read, err := readToken(f.Path)
	if err != nil {
		return "", fmt.Errorf("%w: reading token_file: %w", identity.ErrUnavailable, err)
	}
	if time.Unix(0, now).Sub(read.info.ModTime()) > settled {
		read.looked.Store(now)
		f.last.Store(read)
	}
	return read.authorization, nil
}

// is says whether info is of the same content as was read. A projected volume swaps a
// symbolic link, hence the comparison of the file itself and not of its name.
func (r *tokenRead) is(info os.FileInfo) bool {
	return os.SameFile(r.info, info) && r.info.Size() == info.Size() && r.info.ModTime().Equal(info.ModTime())
}

func readToken(path string) (*tokenRead, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New(path + " is no regular file") // opening a pipe would wait for a writer
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxToken+1))
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
	return &tokenRead{info: info, authorization: "Bearer " + string(token)}, nil
}
