// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// usersOfEach is how many users have a token of the issuer, and how many have an opaque
	// token that the API server knows.
	usersOfEach = 25

	// pace is the time from one request of a user to the next.
	pace = 100 * time.Millisecond

	// patience is how long a user waits for an answer: longer than a review may take. A longer
	// wait is an error.
	patience = 15 * time.Second
)

// users are the clients that should not notice a flood.
type users struct {
	done chan struct{}
	wait sync.WaitGroup

	mu    sync.Mutex
	took  []float64 // milliseconds
	wrong map[string]int
}

// user has one connection.
type user struct {
	addr, name, request string
	client              *client // nil after an error
}

// startUsers returns when each user has had an answer.
func startUsers(addr string, issuer *issuer, api *apiServer) (*users, error) {
	all := &users{done: make(chan struct{}), wrong: make(map[string]int)}
	for i := range usersOfEach {
		proven, reviewed := fmt.Sprintf("proven-%d", i), fmt.Sprintf("reviewed-%d", i)
		token := issuer.token(proven, fiveGroups()...)
		opaque := "token-of-" + reviewed
		api.add(opaque, reviewed, fiveGroups()...)
		for _, one := range []*user{
			{addr: addr, name: issuerURL + "#" + proven, request: browser + bearer(token)},
			{addr: addr, name: reviewed, request: browser + bearer(opaque)},
		} {
			if err := one.ask(); err != nil {
				return nil, fmt.Errorf("the first request of %s: %w", one.name, err)
			}
			all.wait.Go(func() { all.act(one) })
		}
	}
	return all, nil
}

// stop returns when no user sends requests any more.
func (u *users) stop() {
	close(u.done)
	u.wait.Wait()
}

// act sends a user's requests at the pace.
func (u *users) act(one *user) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-u.done:
			return
		case <-ticker.C:
		}
		start := time.Now()
		err := one.ask()
		u.mu.Lock()
		u.took = append(u.took, float64(time.Since(start))/1e6)
		if err != nil {
			u.wrong[err.Error()]++
		}
		u.mu.Unlock()
	}
}

// ask sends one request, which must reach the upstream as this user's.
func (u *user) ask() (err error) {
	if u.client == nil {
		if u.client, err = dial(u.addr); err != nil {
			return err
		}
	}
	if err := u.client.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	status, seen, err := u.client.do(u.request)
	switch {
	case err != nil:
		u.client.close()
		u.client = nil
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("no answer within %v", patience)
		}
		return err
	case status != http.StatusOK:
		return fmt.Errorf("answer %d", status)
	case seen != u.name:
		return fmt.Errorf("was taken for %q", seen)
	}
	return nil
}
