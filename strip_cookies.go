// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const setCookie = "Set-Cookie"

// cookieFilter strips cookies by name from a response, before its header is written: Kiali
// puts the proxy's own token into one. It buffers nothing, and leaves the rest of a
// streamed or upgraded response as the upstream wrote it.
type cookieFilter struct {
	*caddyhttp.ResponseWriterWrapper

	names identity.Patterns
	wrote bool
}

func newCookieFilter(w http.ResponseWriter, names identity.Patterns) *cookieFilter {
	return &cookieFilter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, names: names}
}

// WriteHeader implements http.ResponseWriter. It filters each time, since informational
// responses may precede the final one, and have fields too.
func (f *cookieFilter) WriteHeader(status int) {
	filterSetCookie(f.Header(), setCookie, f.names)
	f.wrote = f.wrote || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	f.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (f *cookieFilter) Write(content []byte) (int, error) {
	f.begin()
	return f.ResponseWriterWrapper.Write(content)
}

// ReadFrom implements io.ReaderFrom.
func (f *cookieFilter) ReadFrom(content io.Reader) (int64, error) {
	f.begin()
	return f.ResponseWriterWrapper.ReadFrom(content)
}

// FlushError implements what http.ResponseController looks for: flushing writes the
// header.
func (f *cookieFilter) FlushError() error {
	f.begin()
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// begin filters when the header is about to be written without an explicit status.
func (f *cookieFilter) begin() {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
}

// end filters a header that was never written explicitly: the server writes it when the
// handlers are done, or an error route does. Fields announced as trailers come last.
func (f *cookieFilter) end() {
	filterSetCookie(f.Header(), setCookie, f.names)
	filterSetCookie(f.Header(), http.TrailerPrefix+setCookie, f.names)
}

// filterSetCookie removes cookies by name. A cookie's name ends at the first "=", or is
// empty where there is none (RFC 6265bis, section 5.6). A nameless cookie is stripped too
// if its value begins with a name on the list: a browser sends back the value alone, and
// the server then reads it as a name.
func filterSetCookie(header http.Header, field string, names identity.Patterns) {
	lines := header[field]
	if len(lines) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if name = strings.Trim(name, " \t"); name == "" {
			name, _, _ = strings.Cut(value, "=")
			name = strings.Trim(name, " \t")
		}
		return names.Match(name)
	})
	if len(kept) == 0 {
		delete(header, field)
		return
	}
	header[field] = kept
}

// Interface guards
var (
	_ http.ResponseWriter = (*cookieFilter)(nil)
	_ io.ReaderFrom       = (*cookieFilter)(nil)
	_ http.Pusher         = (*cookieFilter)(nil)
)
