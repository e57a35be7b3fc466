// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import "context"

// Begin waits for its turn, for callers outside of this package: other reviews have the same
// limits. end reports that the review has ended.
func (l *Limit) Begin(ctx context.Context, known bool) (end func(), err error) {
	if err := l.wait(ctx, known); err != nil {
		return nil, err
	}
	return func() { l.done(known) }, nil
}
