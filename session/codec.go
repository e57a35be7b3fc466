// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	contentVersion = 1

	// maxPlain is how much a cookie may become when it is inflated.
	maxPlain = 64 << 10
)

// codec writes and reads the content of a session. The tables of deflate are much larger than
// a session, and are used again.
type codec struct{ deflaters, inflaters sync.Pool }

func newCodec() *codec {
	c := &codec{}
	c.deflaters.New = func() any {
		w, _ := flate.NewWriter(nil, flate.DefaultCompression) // fails for other levels only
		return w
	}
	c.inflaters.New = func() any { return flate.NewReader(bytes.NewReader(nil)) }
	return c
}

// encode writes a session: the version in clear, then everything else compressed. Nothing in
// it is chosen by the client of a request, so that lengths tell nothing about the tokens.
func (c *codec) encode(s *Session) ([]byte, error) {
	var w writer
	id, ok := unbase64(s.ID)
	if !ok || len(id) != idSize {
		return nil, errors.New("sealing a session: its id is not one of ours")
	}
	w.b = append(w.b, id...)
	w.time(s.Created)
	w.time(s.Used)
	w.text(s.Source)
	w.text(s.SID)
	w.text(s.Nonce)
	w.token(s.IDToken)
	w.token(s.RefreshToken)
	if len(w.b) > maxPlain {
		return nil, &TooLargeError{len(w.b), maxPlain, len(s.IDToken), len(s.RefreshToken)}
	}
	out := bytes.NewBuffer([]byte{contentVersion})
	deflater := c.deflaters.Get().(*flate.Writer)
	defer c.deflaters.Put(deflater)
	deflater.Reset(out)
	_, err := deflater.Write(w.b)
	if err == nil {
		err = deflater.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compressing a session: %w", err)
	}
	deflater.Reset(io.Discard) // keeps no reference to the session
	return out.Bytes(), nil
}

// decode reads what encode wrote. It refuses to inflate more than maxPlain: a small input can
// become a thousand times as large, and whoever has the key could use that.
func (c *codec) decode(content []byte) (*Session, error) {
	if len(content) == 0 || content[0] != contentVersion {
		return nil, ErrUnreadable
	}
	plain, err := c.inflate(content[1:])
	if err != nil {
		return nil, err
	}
	r := reader{b: plain}
	s := &Session{}
	var id [idSize]byte
	r.fixed(id[:])
	s.ID = base64url(id[:])
	s.Created, s.Used = r.time(), r.time()
	s.Source, s.SID, s.Nonce = r.text(), r.text(), r.text()
	s.IDToken, s.RefreshToken = r.token(), r.token()
	if !r.done() {
		return nil, ErrUnreadable
	}
	return s, nil
}

func (c *codec) inflate(compressed []byte) ([]byte, error) {
	in := bytes.NewReader(compressed)
	inflater := c.inflaters.Get().(io.ReadCloser)
	defer c.inflaters.Put(inflater)
	if err := inflater.(flate.Resetter).Reset(in, nil); err != nil {
		return nil, ErrUnreadable
	}
	plain := make([]byte, 0, min(4*len(compressed), maxPlain)+512)
	out := bytes.NewBuffer(plain)
	n, err := io.Copy(out, io.LimitReader(inflater, maxPlain+1))
	rest := in.Len()
	in.Reset(nil) // the pool outlives the request, and must not keep a session
	if err != nil || n > maxPlain || rest > 0 {
		return nil, ErrUnreadable
	}
	return out.Bytes(), nil
}
