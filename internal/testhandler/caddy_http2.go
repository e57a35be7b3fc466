// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
)

// The parts of HTTP/2 (RFC 9113, RFC 7541) for a client that sends requests which libraries
// refuse to send: fields as literals, in any order and spelling, untrimmed.
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
)

// Field is the name and the value of one field line.
type Field [2]string

// errHTTP2 is the result of a request without a response.
var errHTTP2 = errors.New("the server refused the stream")

// SendHTTP2 sends one request, with its pseudo-fields, over a connection of its own, and
// returns the status. body and trailers are sent unless they are nil.
func SendHTTP2(tb testing.TB, conn net.Conn, fields []Field, body []byte, trailers []Field) (int, error) {
	tb.Helper()
	message := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	message = appendFrame(message, frameSettings, 0, 0, nil)
	last := byte(flagEndHeaders)
	if body == nil && trailers == nil {
		last |= flagEndStream
	}
	message = appendFrame(message, frameHeaders, last, 1, literals(fields))
	if body != nil {
		var end byte
		if trailers == nil {
			end = flagEndStream
		}
		message = appendFrame(message, frameData, end, 1, body)
	}
	if trailers != nil {
		message = appendFrame(message, frameHeaders, flagEndHeaders|flagEndStream, 1, literals(trailers))
	}
	if _, err := conn.Write(message); err != nil {
		tb.Fatalf("sending the request: %v", err)
	}
	return readStatus(bufio.NewReader(conn))
}

// readStatus reads frames up to the response's header.
func readStatus(reader *bufio.Reader) (int, error) {
	for {
		var head [9]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			return 0, fmt.Errorf("%w: %w", errHTTP2, err)
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(reader, payload); err != nil {
			return 0, fmt.Errorf("%w: %w", errHTTP2, err)
		}
		switch head[3] {
		case frameHeaders:
			return status(payload)
		case frameReset:
			return 0, fmt.Errorf("%w: reset %d", errHTTP2, binary.BigEndian.Uint32(payload))
		case frameGoAway:
			return 0, fmt.Errorf("%w: go away %d", errHTTP2, binary.BigEndian.Uint32(payload[4:]))
		default:
		}
	}
}

func appendFrame(message []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	message = append(message, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	message = binary.BigEndian.AppendUint32(message, stream)
	return append(message, payload...)
}

// literals encodes fields as literals without indexing (RFC 7541, section 6.2.2) and
// without Huffman coding, byte for byte.
func literals(fields []Field) []byte {
	var block []byte
	for _, f := range fields {
		block = append(block, 0)
		block = appendText(block, f[0])
		block = appendText(block, f[1])
	}
	return block
}

func appendText(block []byte, text string) []byte {
	n := len(text)
	if n < 127 {
		return append(append(block, byte(n)), text...)
	}
	block = append(block, 127)
	for n -= 127; n >= 128; n >>= 7 {
		block = append(block, byte(n)|128)
	}
	return append(append(block, byte(n)), text...)
}

// status decodes :status, which comes first and is in the static table, as one of its seven
// values or as a literal of three digits.
func status(block []byte) (int, error) {
	static := map[byte]int{0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
	// a new size of the table may come first
	for len(block) > 0 && block[0]>>5 == 1 {
		block = block[1:]
	}
	if len(block) == 0 {
		return 0, errors.New("a response without fields")
	}
	if code, ok := static[block[0]]; ok {
		return code, nil
	}
	if len(block) < 2 || len(block) < 2+int(block[1]&127) {
		return 0, fmt.Errorf("a status that cannot be read: %x", block)
	}
	text := string(block[2 : 2+block[1]&127])
	if block[1]&128 != 0 {
		text = digits(block[2 : 2+int(block[1]&127)])
	}
	return strconv.Atoi(text)
}

// digits decodes three digits of the Huffman code (RFC 7541, appendix B): 0 to 2 have
// five bits, the others six.
func digits(code []byte) string {
	var bits uint64
	for _, b := range code {
		bits = bits<<8 | uint64(b)
	}
	bits <<= 64 - 8*len(code)
	var text []byte
	for range 3 {
		if five := bits >> 59; five <= 2 {
			text = append(text, byte('0'+five))
			bits <<= 5
		} else {
			text = append(text, byte('3'+bits>>58-0b011001))
			bits <<= 6
		}
	}
	return string(text)
}
