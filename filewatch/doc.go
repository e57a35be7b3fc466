// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package filewatch looks at files that change while the server runs: keys, certificates,
// revocation lists, tokens. There is no watcher that the system notifies: a file is looked at
// when it is used, and what Kubernetes swaps by a symbolic link is seen as well.
//
// A use of a file goes through it in this order:
//
//   - [Pace.Do] says whether it is time to look, and lets one caller do so; the others go on
//     with what there is;
//   - [File.Read] reads the file if it is not the one that was read last;
//   - the caller parses the content, and keeps the last good one where it cannot.
//
// It refuses what is not a regular file, since opening a pipe would wait for a writer, and
// reads no more than a limit. It keeps no content.
package filewatch
