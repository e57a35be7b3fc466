// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Forwarded is the [Source] for an identity that a trusted proxy wrote into header
// fields. Names of fields are canonical, and the first field with a value wins, as in
// OpenShift's RequestHeader identity provider and kube-apiserver's
// --requestheader-username-headers.
type Forwarded struct {
	User, Groups, UID, Email, Name, PreferredUsername []string

	// Separator splits the lines of Groups. If it is empty, each line is one group.
	Separator string

	// Extra are prefixes of names. The rest of a name, in lower case and percent-decoded, is
	// the key of an extra attribute.
	Extra []string

	// UserPrefix and GroupPrefix are put before every user and group, so that they differ
	// from the names of other sources.
	UserPrefix, GroupPrefix string
}

// Reads implements [Source]: only a trusted proxy may set these fields.
func (f *Forwarded) Reads() Fields {
	fields := Fields{Proxy: true}
	for _, list := range f.lists() {
		fields.Names = append(fields.Names, list...)
	}
	for _, prefix := range f.Extra {
		fields.Names = append(fields.Names, prefix+"*")
	}
	return fields
}

func (f *Forwarded) lists() [6][]string {
	return [...][]string{f.User, f.Groups, f.UID, f.Email, f.Name, f.PreferredUsername}
}

// AppendRead appends all that Authenticate reads of a request, framed, and says whether there
// is anything: two requests with the same bytes have the same identity.
func (f *Forwarded) AppendRead(text []byte, stripped Stripped) (read []byte, found bool) {
	add := func(lines []string) {
		text = binary.BigEndian.AppendUint64(text, uint64(len(lines)))
		text = AppendFramed(text, lines...)
		found = found || len(lines) > 0
	}
	for _, list := range f.lists() {
		for _, field := range list {
			add(stripped.Lines(field))
		}
	}
	for _, prefix := range f.Extra {
		var names []string
		for name := range stripped.WithPrefix(prefix) {
			names = append(names, name)
		}
		slices.Sort(names) // they were stripped in the order of a map, which is none
		text = binary.BigEndian.AppendUint64(text, uint64(len(names)))
		for _, name := range names {
			text = AppendFramed(text, name)
			add(stripped.Lines(name))
		}
	}
	return text, found
}

// Authenticate implements [Source]. It returns [ErrAbsent] if there is no user, whatever
// other fields there are, and [ErrMalformed] for a single-valued field in two lines: a
// proxy sets such a field and does not add to it, so one of the lines is the client's. A
// line that says nothing ([IsNothing]) is not a value, in any field.
func (f *Forwarded) Authenticate(_ context.Context, r *Request) (*Identity, error) {
	id := new(Identity)
	for _, field := range [...]struct {
		value *string
		from  []string
	}{
		{&id.Username, f.User},
		{&id.UID, f.UID},
		{&id.Email, f.Email},
		{&id.Name, f.Name},
		{&id.PreferredUsername, f.PreferredUsername},
	} {
		var err error
		if *field.value, err = first(r.Stripped, field.from); err != nil {
			return nil, err
		}
	}
	if id.Username == "" {
		return nil, ErrAbsent
	}
	id.Username = f.UserPrefix + id.Username
	id.Groups = f.groups(r.Stripped)
	extra, err := f.extra(r.Stripped)
	if err != nil {
		return nil, err
	}
	id.Extra = extra
	return id, nil
}

// first returns the value of the first field that has one. It refuses every field that
// has more than one line.
func first(stripped Stripped, fields []string) (string, error) {
	value := ""
	for _, field := range fields {
		lines := stripped.Lines(field)
		if len(lines) > 1 {
			return "", fmt.Errorf("%w: %d lines of %s", ErrMalformed, len(lines), field)
		}
		if value == "" && len(lines) == 1 && !IsNothing(lines[0]) {
			value = lines[0]
		}
	}
	return value, nil
}

// groups returns the groups of the first field that has any. A front proxy of the API server
// passes on the groups that every authenticated user has; they are left out.
func (f *Forwarded) groups(stripped Stripped) []string {
	for _, field := range f.Groups {
		groups := SplitGroups(stripped.Lines(field), f.Separator)
		if len(groups) == 0 {
			continue
		}
		if f.GroupPrefix != "" {
			for i := range groups {
				groups[i] = f.GroupPrefix + groups[i]
			}
		}
		return slices.DeleteFunc(groups, IsAuthenticatedGroup)
	}
	return nil
}

// SplitGroups returns the groups in lines: each line is one group or, with a separator, a
// list of them. Empty groups are left out, and so are lines that say nothing ([IsNothing]);
// inside a list such a word is a name, since the proxy wrote the list as a whole. Blanks
// around an element of a list are not part of it (RFC 9110, section 5.6.1); a line without
// a separator stays as it is. The result is a new slice.
func SplitGroups(lines []string, separator string) []string {
	groups := make([]string, 0, len(lines))
	for _, line := range lines {
		if IsNothing(line) {
			continue
		}
		if separator == "" {
			groups = append(groups, line)
			continue
		}
		for element := range strings.SplitSeq(line, separator) {
			if element = strings.Trim(element, " \t"); element != "" {
				groups = append(groups, element)
			}
		}
	}
	return groups
}

// extra collects the extra attributes. It refuses two fields whose names become the same
// key: only one of them is the proxy's. "(null)" and "-" are not values; an empty line is
// one, as an API server may send it.
func (f *Forwarded) extra(stripped Stripped) (map[string][]string, error) {
	var extra map[string][]string
	for _, prefix := range f.Extra {
		for field, lines := range stripped.WithPrefix(prefix) {
			key, err := url.PathUnescape(strings.ToLower(field[len(prefix):]))
			if err != nil || key == "" || key != strings.ToLower(key) {
				return nil, fmt.Errorf("%w: the name of the extra field %s", ErrMalformed, Quote(field))
			}
			if _, found := extra[key]; found {
				return nil, fmt.Errorf("%w: two extra fields for the key %s", ErrMalformed, Quote(key))
			}
			if extra == nil {
				extra = make(map[string][]string)
			}
			extra[key] = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return line != "" && IsNothing(line) })
		}
	}
	maps.DeleteFunc(extra, func(_ string, lines []string) bool { return len(lines) == 0 })
	return extra, nil
}
