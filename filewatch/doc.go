// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package filewatch looks at files that change while the server runs: keys, certificates,
// revocation lists, tokens. There is no watcher that the system notifies: a file is
// looked at when it is used, which also works when Kubernetes swaps a symbolic link.
//
// A file is used in this order:
//
//   - [Pace.Do] says whether it is time to look, and lets one caller look; the others use
//     the content that they have;
//   - [File.Read] reads the file if it is not the one that was read last;
//   - the caller parses the content, and keeps the last good one if it cannot.
//
// [File.Read] refuses everything except regular files, since opening a pipe would wait for a
// writer, and reads no more than a limit. A caller that reads in its own way (trustpool,
// authentication_config) uses only [Pace], which has neither check. This package keeps no
// content.
package filewatch
