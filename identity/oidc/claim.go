// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"strconv"
	"strings"
)

// Claim says which claim of a token is meant: a name, or, if it begins with a slash, a JSON
// Pointer (RFC 6901), which leads into objects and lists. A claim whose own name begins with a
// slash is written as a pointer, in which "~1" is a slash and "~0" a tilde.
type Claim string

// Check refuses an empty claim, and a pointer with a tilde that is not part of "~0" or "~1"
// (RFC 6901, section 3).
func (c Claim) Check() error {
	if c == "" {
		return errors.New("the claim is empty")
	}
	if !c.isPointer() {
		return nil
	}
	for text := string(c); ; {
		_, after, found := strings.Cut(text, "~")
		switch {
		case !found:
			return nil
		case !strings.HasPrefix(after, "0") && !strings.HasPrefix(after, "1"):
			return errors.New("it begins with a slash, so it is a JSON Pointer, in which a ~ is followed by 0 or 1")
		}
		text = after
	}
}

// IsEmail says whether the claim is an email address by its name, at any depth. Such a claim
// may be unverified: the object that has it says so in email_verified.
func (c Claim) IsEmail() bool {
	return c == "email" || c.isPointer() && strings.HasSuffix(string(c), "/email")
}

func (c Claim) isPointer() bool { return strings.HasPrefix(string(c), "/") }

// beside is the claim of that name in the same object.
func (c Claim) beside(name string) Claim {
	if !c.isPointer() {
		return Claim(name)
	}
	return c[:strings.LastIndexByte(string(c), '/')+1] + Claim(name)
}

// first is the name of the outermost claim.
func (c Claim) first() string {
	if !c.isPointer() {
		return string(c)
	}
	step, _, _ := strings.Cut(string(c[1:]), "/")
	return unescape(step)
}

// in finds the claim's value. A pointer that does not lead to a value finds nothing (RFC 6901,
// section 7), as a name does that is not there.
func (c Claim) in(claims Claims) (value any, there bool) {
	if !c.isPointer() {
		value, there = claims[string(c)]
		return value, there
	}
	value = map[string]any(claims)
	for step := range strings.SplitSeq(string(c[1:]), "/") {
		switch outer := value.(type) {
		case map[string]any:
			value, there = outer[unescape(step)]
		case []any:
			value, there = element(outer, step)
		default:
			there = false
		}
		if !there {
			return nil, false
		}
	}
	return value, true
}

// unescape reads a step of a pointer (RFC 6901, section 4): "~01" is "~1" and not a slash.
func unescape(step string) string {
	if !strings.Contains(step, "~") {
		return step
	}
	return strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
}

// element finds an element of a list by its index, which has no leading zeros (RFC 6901,
// section 4): otherwise one element would have several names.
func element(list []any, step string) (value any, there bool) {
	index, err := strconv.ParseUint(step, 10, 31)
	if err != nil || strconv.FormatUint(index, 10) != step || index >= uint64(len(list)) {
		return nil, false
	}
	return list[index], true
}
