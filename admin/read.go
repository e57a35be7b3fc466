// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// maxBody is how long the body of a flush may be, in bytes.
const maxBody = 64 << 10

var errOneObject = errors.New(`the body is not one JSON object with the members issuer, source and user, such as {"user": "alice"}`)

// readFlush reads the body of a request.
func readFlush(r *http.Request) (guest.Flush, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return guest.Flush{}, errors.New("the Content-Type is not application/json")
	}
	if r.URL.RawQuery != "" {
		return guest.Flush{}, errors.New("there is a query: what to drop is said in the body, since Caddy logs the URL")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return guest.Flush{}, errors.New("the body cannot be read")
	case len(body) > maxBody:
		return guest.Flush{}, fmt.Errorf("the body is larger than %d bytes", maxBody)
	}
	return parseFlush(body)
}

// parseFlush reads one object. encoding/json alone would take a member in any case, and the last
// one of two.
func parseFlush(body []byte) (what guest.Flush, err error) {
	if !utf8.Valid(body) {
		return what, errOneObject // encoding/json would replace a part of a name
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return what, errOneObject
	}
	members := map[string]*string{"issuer": &what.Issuer, "source": &what.Source, "user": &what.User}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return guest.Flush{}, errOneObject
		}
		member, ok := members[name]
		if !ok {
			return guest.Flush{}, fmt.Errorf("the member %s is not known: %w", identity.Quote(name), errOneObject)
		}
		if *member != "" {
			return guest.Flush{}, fmt.Errorf("the member %s is there twice", name)
		}
		value, err := d.Token()
		if text, ok := value.(string); err == nil && ok && text != "" {
			if strings.ContainsRune(text, utf8.RuneError) { // what encoding/json makes of half of a surrogate pair
				return guest.Flush{}, fmt.Errorf("the member %s has U+FFFD, which stands for what is not UTF-8", name)
			}
			*member = text
			continue
		}
		return guest.Flush{}, fmt.Errorf("the member %s is not a string with a text", name)
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return guest.Flush{}, errOneObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return guest.Flush{}, errOneObject
	}
	if what == (guest.Flush{}) {
		return guest.Flush{}, errors.New("the object is empty, and says nothing to drop")
	}
	return what, nil
}
