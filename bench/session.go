// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

const (
	// sessionMode is compared with a bearer token: the same server, source, user and token, and
	// a request that has the token in an encrypted cookie instead.
	sessionMode = "session"

	// bearerToken is what it is compared with.
	bearerToken = "bearer"

	// sessionLimit is the aim for the ratio.
	sessionLimit = 1.10

	dashboardHost = "dashboard.example.com"
)

// loginSource is oidc with a login. Nothing of the issuer is asked for.
func loginSource(dir string) string {
	return strings.TrimSuffix(oidcSource(dir), "}") + fmt.Sprintf(`	login {
			client_id %s
			client_auth none
			authorization_url %[2]s/auth
			token_url %[2]s/token
		}
	}`, audience, issuerURL)
}

// sessionSettings keep the session in cookies, with a key that this program has, too.
func sessionSettings(keys string) string {
	return fmt.Sprintf("session {\n\t\tkey_file %q\n\t\tinsecure_http\n\t}", keys)
}

// measureSession compares a request that has a session with one that has the same token.
func (l *lab) measureSession(ctx context.Context) error {
	subjects, err := l.startSession(ctx)
	if err != nil {
		return err
	}
	defer stopAll(subjects)
	beside := *l
	beside.against = bearerToken
	return beside.compare(subjects)
}

// startSession runs two servers with the same configuration: one gets the token, the other the
// session.
func (l *lab) startSession(ctx context.Context) ([]*subject, error) {
	keys := l.file("session-keys")
	if err := os.WriteFile(keys, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		return nil, err
	}
	token, user := l.issuer.token("alice", l.groupNames(fiveGroups()...)...), issuerURL+"#alice"
	s := &scenario{user: user, handlers: map[string]string{
		handler: protect(l.dir, loginSource(l.dir)+"\n\t"+sessionSettings(keys)),
	}}
	p, err := l.upstream(ctx)
	if err != nil {
		return nil, err
	}
	var subjects []*subject
	for _, name := range []string{bearerToken, sessionMode} {
		one, err := l.start(ctx, name, s, handler, p)
		if err == nil {
			subjects = append(subjects, one)
			one.request = browser + bearer(token)
			if name == sessionMode {
				one.request, err = one.withSession(ctx, keys, token)
			}
		}
		if err != nil {
			stopAll(subjects)
			return nil, err
		}
	}
	return subjects, nil
}

// withSession is a request with a session that has the token, as if the user had logged in.
func (s *subject) withSession(ctx context.Context, keyFile, token string) (string, error) {
	keys, err := session.KeysFromFile(keyFile, nil)
	if err != nil {
		return "", err
	}
	jar, err := session.NewJar(session.JarConfig{Keys: keys, Limits: session.Limits{Lifetime: lifetime}})
	if err != nil {
		return "", err
	}
	place, now := session.Site{Host: dashboardHost}, time.Now()
	attempt, cookie, err := s.beginLogin(ctx, jar, place)
	if err != nil {
		return "", fmt.Errorf("beginning a login: %w", err)
	}
	made := session.New(attempt.Source, now)
	made.IDToken, made.RefreshToken = token, strings.Repeat("refresh-", 8)
	lines, err := jar.Seal(made, place, now)
	if err != nil {
		return "", err
	}
	sealed, _, _ := strings.Cut(lines[0], ";")
	return strings.Replace(browser, "theme=dark", "theme=dark; "+cookie+"; "+sealed, 1) + "\r\n", nil
}

// navigation is a page that a user without a session opens.
const navigation = "GET /overview?namespaces=%d HTTP/1.1\r\nHost: " + dashboardHost + "\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\r\n"

// beginLogin opens a page, and reads the state of the login. It has how sessions name the source.
func (s *subject) beginLogin(ctx context.Context, jar *session.Jar, place session.Site) (*session.Attempt, string, error) {
	c, err := dial(s.addr)
	if err != nil {
		return nil, "", err
	}
	defer c.close()
	if _, err := fmt.Fprintf(c.conn, navigation, 0); err != nil {
		return nil, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	to, err := url.Parse(response.Header.Get("Location"))
	if err != nil || response.StatusCode != http.StatusSeeOther {
		return nil, "", fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	cookie, _, _ := strings.Cut(response.Header.Get("Set-Cookie"), ";")
	binding, err := jar.OpenBinding(ctx, []string{cookie}, place, time.Now())
	if err != nil {
		return nil, "", err
	}
	attempt, verdict, err := jar.OpenState(ctx, to.Query().Get("state"), binding, place, time.Now())
	if err == nil && verdict != session.StateGood {
		err = errors.New("the state is " + verdict.String())
	}
	return attempt, cookie, err
}
