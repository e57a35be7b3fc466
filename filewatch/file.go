// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"fmt"
	"io"
	"os"
	"time"
)

// settled is the age from which a file's time of change tells two contents apart. File
// systems keep it in steps of some milliseconds, and FAT in steps of two seconds.
const settled = 2 * time.Second

// File is a file that is read again when it changes. Set Path. It is not safe for concurrent
// use: [Pace] lets one caller look at a time.
type File struct {
	Path string

	last Stamp
}

// Read returns the content if the file is not the one that was read last, and one byte
// more than limit at most, so that the caller can refuse it. A file that cannot be read
// is read again the next time: its time does not change when permission to read it is
// given.
func (f *File) Read(limit int64) (content []byte, changed bool, err error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		f.Forget()
		return nil, false, err
	}
	if f.last.Is(info) {
		return nil, false, nil
	}
	content, f.last, err = ReadRegular(f.Path, limit)
	return content, err == nil, err
}

// Forget makes the next Read read the file, changed or not.
func (f *File) Forget() { f.last = Stamp{} }

// Stamp identifies the file that was read. The zero value does not match any file.
type Stamp struct {
	info os.FileInfo // nil: the next content could have the same time
}

// Is says whether info is of the file that was read. It compares the file itself, not its
// name, since a projected volume swaps a symbolic link.
func (s Stamp) Is(info os.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) &&
		s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime())
}

// IsZero says that no file was read, or that it changed too recently.
func (s Stamp) IsZero() bool { return s.info == nil }

// ReadRegular reads a regular file, and one byte more than limit at most. The stamp is zero
// for a file that changed so recently that its next content could have the same time.
func ReadRegular(path string, limit int64) (content []byte, stamp Stamp, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Stamp{}, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, Stamp{}, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, Stamp{}, err
	}
	defer file.Close()
	now := time.Now()
	if info, err = file.Stat(); err != nil {
		return nil, Stamp{}, err
	}
	content, err = io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, Stamp{}, err
	}
	if now.Sub(info.ModTime()) > settled {
		stamp.info = info
	}
	return content, stamp, nil
}
