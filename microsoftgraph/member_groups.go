// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package microsoftgraph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

const (
	// maxAnswer is how long an answer may be, in bytes: Graph sends 11,000 IDs at most, of 39
	// bytes each.
	maxAnswer = 1 << 20

	// defaultWait is for an answer that throttles and does not say for how long, and maxWait
	// bounds what one says.
	defaultWait = 10 * time.Second
	maxWait     = 5 * time.Minute
)

// memberGroups asks once, with an access token that is there or a new one.
func (g *Groups) memberGroups(ctx context.Context, user string) ([]string, error) {
	if err := g.isThrottled(time.Now()); err != nil {
		return nil, err
	}
	access, err := g.accessToken(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]bool{"securityEnabledOnly": !g.config.AllGroups})
	if err != nil {
		return nil, unavailable("the question cannot be written")
	}
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, g.cloud.graph+"/v1.0/users/"+user+"/getMemberGroups", strings.NewReader(string(body)),
	)
	if err != nil {
		return nil, unavailable("the url cannot be requested")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "Bearer "+access)
	answer, err := g.do(request)
	if err != nil {
		return nil, unavailable("%w", err)
	}
	if answer.Status != http.StatusOK {
		return nil, g.refusal(answer, access)
	}
	return readGroups(answer)
}

// do asks over a connection of its own: questions are rare.
func (g *Groups) do(request *http.Request) (*fetch.Answer, error) {
	via := g.config.Transport
	if via == nil {
		via = fetch.NewTransport(fetch.Options{Timeout: maxTime, Proxy: true, Once: true})
	}
	return fetch.Do(via, request, fetch.Limit{Bytes: maxAnswer, Time: maxTime})
}

// refusal says what an answer other than 200 means. Only what Graph itself says about the user
// decides about the user.
func (g *Groups) refusal(answer *fetch.Answer, access string) error {
	status, code := fetch.StatusError(answer.Status), errorCode(answer)
	switch {
	case answer.Status == http.StatusBadRequest && code == "Directory_ResultSizeLimitExceeded":
		return errTooMany()
	case answer.Status == http.StatusNotFound && code == "Request_ResourceNotFound":
		return fmt.Errorf("%w: asking for groups: the directory has no such user", identity.ErrRejected)
	case answer.Status == http.StatusUnauthorized:
		g.forget(access)
		return unavailable("Graph refuses the proxy's own access token (%w)", status)
	case answer.Status == http.StatusForbidden:
		return unavailable("the proxy may not read groups (%w): its client needs the application permissions "+
			"User.Read.All and GroupMember.Read.All, with an administrator's consent", status)
	case answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable:
		g.throttle(retryAfter(answer.Header, time.Now()))
		return unavailable("Graph is busy (%w)", status)
	case answer.Status >= 300 && answer.Status <= 399:
		return unavailable("Graph redirects (%w), which is not followed", status)
	}
	return unavailable("Graph answers with %w", status)
}

func errTooMany() error {
	return fmt.Errorf("%w: asking for groups: the user is in more than %d groups", identity.ErrForbidden, MaxGroups)
}

// errorCode is the code of an error of Graph's, or empty.
func errorCode(answer *fetch.Answer) string {
	members, err := codeflow.ReadObject(answer)
	if err != nil {
		return ""
	}
	fault, _ := members["error"].(map[string]any)
	code, _ := fault["code"].(string)
	return code
}

// retryAfter reads a number of seconds, or a date (RFC 9110, section 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	text, wait := header.Get("Retry-After"), defaultWait
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, time.Second), maxWait)
}

// readGroups reads the whole list, or nothing: a part of it would be other groups than the user's.
func readGroups(answer *fetch.Answer) ([]string, error) {
	members, err := codeflow.ReadObject(answer)
	if err != nil {
		return nil, unavailable("the answer cannot be used: %w", err)
	}
	if err := checkWhole(members); err != nil {
		return nil, unavailable("the answer cannot be used: %w", err)
	}
	list, ok := members["value"].([]any)
	switch {
	case !ok:
		return nil, unavailable("the answer cannot be used: it has no list of groups")
	case len(list) > MaxGroups:
		return nil, errTooMany()
	}
	ids := make([]string, 0, len(list))
	for _, element := range list {
		id, ok := element.(string)
		if !ok || !IsID(id) {
			return nil, unavailable("the answer cannot be used: a group is not an ID")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// checkWhole refuses a page of several: getMemberGroups sends one, and a link of an answer is not
// followed.
func checkWhole(members map[string]any) error {
	if members["error"] != nil {
		return errors.New("it is an error with status 200")
	}
	for name := range members {
		if strings.HasSuffix(strings.ToLower(name), "nextlink") {
			return errors.New("it is not whole")
		}
	}
	return nil
}

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: asking for groups: %w", identity.ErrUnavailable, fmt.Errorf(format, args...))
}
