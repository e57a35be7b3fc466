// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// chainUser is a good client beside the attacks.
type chainUser struct {
	done     chan struct{}
	wait     sync.WaitGroup
	requests int
	lost     []error
}

func (c *chains) startUser() *chainUser {
	user := &chainUser{done: make(chan struct{})}
	user.wait.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for {
			select {
			case <-user.done:
				return
			case <-ticker.C:
			}
			user.requests++
			if err := c.ask(); err != nil {
				user.lost = append(user.lost, err)
			}
		}
	})
	return user
}

// ask makes one request over a connection of its own.
func (c *chains) ask() error {
	client, err := c.dial(c.good)
	if err != nil {
		return err
	}
	defer client.close()
	status, seen, err := client.do(chainRequest("client_cert tls", nil))
	if err == nil && (status != http.StatusOK || seen != "alice") {
		err = fmt.Errorf("answer %d, as %q", status, seen)
	}
	return err
}

func (u *chainUser) stop() {
	close(u.done)
	u.wait.Wait()
}
