// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// response acts on a response before its header is written. It strips cookies by name: Kiali
// puts the proxy's own token into one. It lets a browser ask again before it shows a page
// from its cache: after the session has ended, that would be a broken page instead of the
// login. And it sees whether the response is a stream, which ends with the credential. It
// buffers nothing, and leaves the rest of a streamed or upgraded response as the upstream
// wrote it.
type response struct {
	caddyhttp.ResponseWriterWrapper

	cookies identity.Patterns
	page    bool // the response to a navigation, which is to be asked for again
	stream  *stream
	tunnel  bool // the request is a WebSocket over HTTP/2 or 3 (RFC 8441, RFC 9220)
	wrote   bool

	sessions *sessions   // nil without any
	use      *sessionUse // whose cookies are written, or nil

	// before are the cookies of handlers before this one, which are not the upstream's: the
	// session that oauth2-proxy has renewed, in its answer to a forward_auth.
	before []string
}

// WriteHeader implements http.ResponseWriter. It strips cookies each time, since
// informational responses may precede the final one, and have fields too. For a tunnel
// reverse_proxy turns the upstream's 101 into 200, with the upstream's Content-Length.
func (w *response) WriteHeader(status int) {
	w.filter(setCookie)
	if !w.wrote && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.wrote = true
		w.askAgain(status)
		w.addSession()
		if status == http.StatusSwitchingProtocols || w.tunnel || !hasLength(w.Header()) {
			w.stream.begin()
		}
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// filter strips the upstream's cookies, those of browser sessions in any case of their names.
func (w *response) filter(field string) {
	filterSetCookie(w.Header(), field, w.cookies, w.before)
	if w.sessions == nil || len(w.Header()[field]) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(w.Header()[field]), func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return w.sessions.jar.Owns(identity.CookieName(pair)) && !slices.Contains(w.before, line)
	})
	if len(kept) == 0 {
		delete(w.Header(), field)
		return
	}
	w.Header()[field] = kept
}

// hasLength says whether a response has a length. The server drops one that is not a number,
// which an upstream can send over HTTP/2, and sends a stream.
func hasLength(header http.Header) bool {
	lines := header["Content-Length"]
	if len(lines) != 1 {
		return false
	}
	_, err := strconv.ParseUint(lines[0], 10, 63)
	return err == nil
}

// Write implements http.ResponseWriter.
func (w *response) Write(content []byte) (int, error) {
	w.begin()
	return w.ResponseWriterWrapper.Write(content)
}

// ReadFrom implements io.ReaderFrom.
func (w *response) ReadFrom(content io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(content)
}

// FlushError implements what http.ResponseController looks for: flushing writes the
// header.
func (w *response) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.stream.begin()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// begin acts when the header is about to be written without an explicit status.
func (w *response) begin() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// askAgain is for a final response to which the upstream has not set Cache-Control.
func (w *response) askAgain(status int) {
	if w.page && status >= http.StatusOK && len(w.Header()["Cache-Control"]) == 0 {
		w.Header().Set("Cache-Control", "no-cache")
	}
}

// addSession adds the cookies of a session that was refreshed, or of a binding whose login has
// worked, after those of the upstream's with these names were stripped. A response with them must
// not stay in a shared cache: who made the binding could forge the logins of all that get it.
func (w *response) addSession() {
	if w.use == nil {
		return
	}
	there := len(w.Header()[setCookie])
	added := w.use.addTo(w.Header())
	w.before = append(w.before, w.Header()[setCookie][there:]...) // they are not the upstream's
	if !added {
		return
	}
	for _, line := range w.Header()["Cache-Control"] {
		for directive := range strings.SplitSeq(strings.ToLower(line), ",") {
			if directive = strings.TrimSpace(directive); directive == "private" || directive == "no-store" {
				return
			}
		}
	}
	w.Header().Set("Cache-Control", "private, no-cache")
}

// end acts on a header that was never written explicitly: the server writes it when the
// handlers are done, or an error route does. Fields announced as trailers come last.
func (w *response) end() {
	if !w.wrote {
		w.askAgain(http.StatusOK)
	}
	w.filter(setCookie)
	if !w.wrote {
		w.addSession()
	}
	w.filter(http.TrailerPrefix + setCookie)
}

// Interface guards
var (
	_ http.ResponseWriter = (*response)(nil)
	_ http.Hijacker       = (*response)(nil)
	_ io.ReaderFrom       = (*response)(nil)
	_ http.Pusher         = (*response)(nil)
)
