// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Facts are what a logout may name a session by. Issuer and Subject come from the verified ID
// token, the rest from the session.
type Facts struct {
	ID              string
	Issuer, Subject string
	SID             string // empty if the issuer has no name for its session
	Created, Ends   time.Time
}

// The kinds of a denial, as the storage names them.
const (
	deniesSession = "session"
	deniesSID     = "sid"
	deniesSubject = "subject"
	deniesToken   = "token"
)

// denied names what is denied. It has a hash in place of the names, so that the storage does
// not tell who logged out.
type denied struct {
	kind string
	hash [sha256.Size]byte
}

func deny(kind string, parts ...string) denied {
	return denied{kind, sha256.Sum256(identity.AppendFramed([]byte("kube_identity denied "+kind), parts...))}
}

// Denial ends sessions, or a token, before their time.
type Denial struct {
	what   denied
	before time.Time // of subjects: only sessions that were created before
	ends   time.Time // when there is nothing left that it denies
}

// DenySession denies one session, until its absolute end.
func DenySession(id string, ends time.Time) Denial {
	return Denial{what: deny(deniesSession, id), ends: ends}
}

// DenySID denies the sessions that the issuer knows by one name (claim sid of a logout token).
// The end is that of a session that was created now.
func DenySID(issuer, sid string, ends time.Time) Denial {
	return Denial{what: deny(deniesSID, issuer, sid), ends: ends}
}

// DenySubject denies the sessions of a user that were created before a time, that of the
// logout. The user may log in again after it.
func DenySubject(issuer, subject string, before, ends time.Time) Denial {
	return Denial{what: deny(deniesSubject, issuer, subject), before: before, ends: ends}
}

// DenyToken denies an ID token as a bearer token until it expires: it went through a browser's
// address bar as a hint at logout.
func DenyToken(token string, expires time.Time) Denial {
	return Denial{what: deny(deniesToken, token), ends: expires}
}

// subjects returns all that a session may be denied by.
func (f *Facts) subjects() []denied {
	all := []denied{deny(deniesSession, f.ID), deny(deniesSubject, f.Issuer, f.Subject)}
	if f.SID != "" {
		all = append(all, deny(deniesSID, f.Issuer, f.SID))
	}
	return all
}

// name returns the denial as a name in the storage, which says all of it: other instances need
// only list the names. The end is first.
func (d *Denial) name() string {
	return fmt.Sprintf("%d-%s-%s-%d", d.ends.Unix(), d.what.kind, hex.EncodeToString(d.what.hash[:]), max(d.before.Unix(), 0))
}

// parseDenial reads a name in the storage.
func parseDenial(name string) (Denial, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 4 || len(name) > 128 {
		return Denial{}, false
	}
	d := Denial{what: denied{kind: parts[1]}}
	hash, err := hex.DecodeString(parts[2])
	ends, endsErr := parseUnix(parts[0])
	before, beforeErr := parseUnix(parts[3])
	if err != nil || endsErr != nil || beforeErr != nil || len(hash) != sha256.Size {
		return Denial{}, false
	}
	d.what.hash, d.ends = [sha256.Size]byte(hash), ends
	switch {
	case d.what.kind == deniesSubject:
		d.before = before
	case d.what.kind != deniesSession && d.what.kind != deniesSID && d.what.kind != deniesToken:
		return Denial{}, false
	}
	return d, d.name() == name
}

func parseUnix(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxUnix {
		return time.Time{}, fmt.Errorf("%s is not a time", identity.Quote(text))
	}
	return time.Unix(n, 0), nil
}
