// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	sweepEvery   = time.Hour
	sweepTimeout = 10 * time.Minute
)

// Sweep deletes what has expired in the storage, sessions and denials, every hour, until the
// context ends. One instance of all does it. Failures are reported to onProblem, which may be
// nil.
func Sweep(ctx context.Context, storage Storage, onProblem func(message string, err error)) {
	down := outage.Outage{OnProblem: onProblem, Over: "expired sessions can be deleted again"}
	for ctx.Err() == nil {
		if err := sweep(ctx, storage); err == nil {
			down.End()
		} else if ctx.Err() == nil {
			down.Failed("expired sessions stay in the storage", err)
		}
		sleep(ctx, sweepEvery)
	}
}

// sweep claims the hour under the lock, and deletes without it: deleting may take longer than a
// lock lasts, and two instances that delete do no harm.
func sweep(ctx context.Context, storage Storage) error {
	claimed := false
	err := locked(ctx, storage, lockSweep, func(ctx context.Context) error {
		content, err := storage.Load(ctx, storageSwept)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		now := time.Now()
		last, err := parseUnix(string(content))
		if since := now.Sub(last); err == nil && -skew < since && since < sweepEvery-time.Minute {
			return nil
		}
		claimed = true
		return storage.Store(ctx, storageSwept, []byte(strconv.FormatInt(now.Unix(), 10)))
	})
	if err != nil || !claimed {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	for _, folder := range []string{storageDenied, storageSessions} {
		if err := sweepFolder(ctx, storage, folder); err != nil {
			return err
		}
	}
	return nil
}

// sweepFolder deletes the names in a folder whose end has passed. All names begin with it.
func sweepFolder(ctx context.Context, storage Storage, folder string) error {
	names, err := list(ctx, storage, folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		end, _, _ := strings.Cut(name, "-")
		if ends, err := parseUnix(end); err != nil || time.Since(ends) < skew {
			continue
		}
		if err := storage.Delete(ctx, path.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}
