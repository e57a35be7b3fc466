// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"strings"
)

const (
	versionSize = 8 // characters that all chunks of one write begin with
	headSize    = versionSize + 1
)

// write is one write of a cookie, which may have several chunks. Its head is bound into the
// sealed data, so that no chunk's head can be changed.
type write struct {
	version string
	count   int
}

func (w write) head() string { return w.version + strconv.Itoa(w.count) }

// countChunks returns how many chunks a payload of this length has.
func countChunks(length int) int {
	count := 1
	for room := chunkSize - headSize; room < length; room += chunkSize - versionSize {
		count++
	}
	return count
}

// split cuts a payload into the values of chunks: the version of the write, in the first chunk
// their count, and a part.
func (w write) split(payload string) []string {
	head, values := w.head(), make([]string, w.count)
	for i := range values {
		part := min(len(payload), chunkSize-len(head))
		values[i] = head + payload[:part]
		payload, head = payload[part:], w.version
	}
	return values
}

// join is the reverse of split. It refuses chunks of two writes, of which a browser that lost
// one cookie may send a mix, and a chunk that is not as split makes it. There is no number in
// a cookie that this code counts to before it has seen as many chunks (CVE-2024-24814).
func join(values []string) (write, string, error) {
	first := values[0]
	if len(first) < headSize {
		return write{}, "", ErrUnreadable
	}
	w := write{first[:versionSize], int(first[versionSize] - '0')}
	if w.count != len(values) {
		return write{}, "", ErrUnreadable
	}
	var payload strings.Builder
	payload.WriteString(first[headSize:])
	for i, value := range values {
		part, ok := strings.CutPrefix(value, w.version)
		if !ok || i > 0 && part == "" || len(value) > chunkSize || i+1 < len(values) && len(value) != chunkSize {
			return write{}, "", ErrUnreadable
		}
		if i > 0 {
			payload.WriteString(part)
		}
	}
	return w, payload.String(), nil
}

// collect finds the chunks of a name in the lines of a request's Cookie field: the first, and
// those with a number, whichever there are. It refuses a name that stands there twice, and a
// number that no chunk may have.
func collect(lines []string, name string) (values []string, err error) {
	var chunks [maxChunks]string
	var there [maxChunks]bool
	pairs(lines, func(n, value string) {
		if _, ok := chunkEnd(n, name); !ok {
			return
		}
		for i := range chunks {
			if n == chunkName(name, i) {
				if there[i] {
					err = ErrDuplicate
				}
				chunks[i], there[i] = value, true
				return
			}
		}
		if err == nil {
			err = ErrUnreadable // one too many
		}
	})
	if err != nil {
		return nil, err
	}
	count := maxChunks
	for count > 0 && !there[count-1] {
		count--
	}
	if count == 0 {
		return nil, ErrNoCookie
	}
	for _, is := range there[:count] {
		if !is {
			return nil, ErrUnreadable
		}
	}
	return chunks[:count], nil
}

// chunkEnd returns the end of a chunk's name, and whether it is one: the name alone, or "_" and
// a number after it.
func chunkEnd(chunk, name string) (end string, ok bool) {
	end, ok = strings.CutPrefix(chunk, name)
	if !ok || end == "" {
		return "", ok
	}
	digits, ok := strings.CutPrefix(end, "_")
	return end, ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}
