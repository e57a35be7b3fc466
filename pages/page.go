// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"html/template"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

var (
	//go:embed whoami.html
	pageText string

	//go:embed whoami.css
	pageStyle string

	//nolint:gochecknoglobals // a template
	pageTemplate = template.Must(template.New("whoami").Funcs(template.FuncMap{"join": strings.Join}).Parse(pageText))
)

// page is the answer as HTML. Names are texts in it, whatever is in them.
func page(passed *guest.Passed, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*guest.Passed

		Style          template.CSS
		Until, End     string
		UntilIn, EndIn string
	}{
		Passed: passed, Style: template.CSS(pageStyle), //nolint:gosec // a file of this package
		Until: moment(passed.Expires), UntilIn: within(passed.Expires, now),
		End: moment(passed.Session), EndIn: within(passed.Session, now),
	})
	return b.Bytes(), err
}

// within is how long it is until then, in words.
func within(at, now time.Time) string {
	left := at.Sub(now)
	switch {
	case at.IsZero() || left < 0:
		return ""
	case left < time.Minute:
		return "in less than a minute"
	}
	return "in " + strings.TrimSuffix(left.Truncate(time.Minute).String(), "0s")
}

// pagePolicy lets the browser use the page's own style, and nothing else.
func pagePolicy() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
