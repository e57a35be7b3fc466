// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	maxKeyFile = 64 << 10
	maxKeys    = 64
)

// KeysFromFile reads keys from a file: one a line, at least 32 bytes in base64. The first key
// seals, all of them open. The file is looked at again while it is used. A file that cannot
// be read then is reported to onProblem, which may be nil, and the last good keys stay.
func KeysFromFile(path string, onProblem func(message string, err error)) (*Keys, error) {
	f := &keyFile{
		file:   filewatch.File{Path: path},
		outage: outage.Outage{OnProblem: onProblem, Over: "the session keys can be read again"},
		keys:   &Keys{},
	}
	f.pace.Looked(time.Now())
	if err := f.read(); err != nil {
		return nil, err
	}
	f.keys.look = func(now time.Time) { f.pace.Do(now, f.reload) }
	return f.keys, nil
}

type keyFile struct {
	pace   filewatch.Pace
	file   filewatch.File
	outage outage.Outage
	keys   *Keys
}

func (f *keyFile) reload() {
	if err := f.read(); err != nil {
		f.file.Forget() // so that it is refused, and reported, until it is good
		f.outage.Failed("the last good session keys stay in use", err)
		return
	}
	f.outage.End()
}

func (f *keyFile) read() error {
	content, changed, err := f.file.Read(maxKeyFile)
	if err == nil && !changed {
		return nil
	}
	var r *ring
	if err == nil {
		r, err = parseKeyFile(content)
	}
	if err != nil {
		return fmt.Errorf("reading session keys from %s: %w", f.file.Path, err)
	}
	f.keys.set(r)
	return nil
}

// parseKeyFile reads keys, one a line. Only the last line may be empty. An error names the
// line, and nothing of it.
func parseKeyFile(content []byte) (*ring, error) {
	if len(content) > maxKeyFile {
		return nil, fmt.Errorf("the file has more than %d bytes", maxKeyFile)
	}
	lines := bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	if len(lines) > maxKeys {
		return nil, fmt.Errorf("the file has more than %d lines", maxKeys)
	}
	keys := make([]*key, 0, len(lines))
	ids := make(map[keyID]int, len(lines))
	for i, line := range lines {
		k, err := parseKey(bytes.TrimSuffix(line, []byte("\r")))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		// Two keys of one name are almost certainly one key, written twice.
		if first := ids[k.id]; first != 0 {
			return nil, fmt.Errorf("line %d: the key stands in line %d already", i+1, first)
		}
		ids[k.id] = i + 1
		keys = append(keys, k)
	}
	return newRing(keys, 0), nil
}

func parseKey(line []byte) (*key, error) {
	if len(line) == 0 {
		return nil, errors.New("the line is empty")
	}
	// Not the decoder's own text, which names a byte's place, nor its leniency to line ends.
	secret, err := base64.StdEncoding.Strict().DecodeString(string(line))
	if err != nil || bytes.ContainsRune(line, '\r') {
		return nil, errors.New("the line is not base64 with padding, such as of openssl rand -base64 32")
	}
	if len(secret) < keySize {
		return nil, fmt.Errorf("the key has %d bytes, and needs at least %d", len(secret), keySize)
	}
	return newKey(secret)
}
