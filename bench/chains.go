// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

const (
	// requestsOfChain is how many requests come with a chain.
	requestsOfChain = 50

	// maxChainCost is how much more CPU those with a made-up chain may take than those with a
	// good certificate.
	maxChainCost = 10
)

// chains measures what made-up chains of certificates cost, beside good certificates.
type chains struct {
	rounds int // blocks of requests with each chain, in turns with good ones

	pki    *chainPKI
	server *server
	good   shown
}

// shown is what a client shows: in the handshake, or in fields as a proxy writes them.
type shown []*testpki.Pair

// attack is one kind of made-up chain for one word of the configuration.
type attack struct {
	word, chain string
	make        func() (shown, error)
	each        bool // another one in each request, which only a field can have
}

// chainCost is the CPU of the server for the blocks of one attack, in seconds.
type chainCost struct {
	attack

	good, bad float64
	requests  int
}

func (c *chainCost) ratio() float64 { return c.bad / c.good }

func (c *chainCost) String() string {
	return fmt.Sprintf("%-18s  %-42s  %5.2f ms  %5.2f ms  %5.2f", c.word, c.chain,
		c.good*1000/float64(c.requests), c.bad*1000/float64(c.requests), c.ratio())
}

// run measures every attack on one caddy, a process of its own.
func (c *chains) run(ctx context.Context, dir, binary string) (costs []*chainCost, user *chainUser, err error) {
	if c.pki, err = newChainPKI(); err != nil {
		return nil, nil, err
	}
	addr, err := upstream{}.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	if c.server, err = c.start(ctx, dir, binary, addr); err != nil {
		return nil, nil, err
	}
	defer c.server.stop()
	leaf, err := c.pki.good()
	if err != nil {
		return nil, nil, err
	}
	c.good = shown{leaf}
	user = c.startUser()
	defer user.stop()
	for _, attack := range c.attacks() {
		cost, err := c.measure(attack)
		if err != nil {
			return nil, nil, fmt.Errorf("%s, %s: %w", attack.word, attack.chain, err)
		}
		costs = append(costs, cost)
	}
	return costs, user, nil
}

func (c *chains) attacks() (all []attack) {
	for _, word := range []string{"client_cert tls", "trusted_proxy_cert", "header"} {
		many := 100
		if word == "header" {
			many = 20 // more are too long for a header
		}
		all = append(
			all,
			attack{word, fmt.Sprintf("%d in the name of the CA", many), func() (shown, error) { return c.pki.named(many) }, false},
			attack{word, "5 in the name of the CA", func() (shown, error) { return c.pki.named(5) }, false},
			attack{word, "5 that sign each other, P-521", c.pki.looped, false},
		)
		if word != "header" {
			all = append(all, attack{word, "5 of 12 KB each", c.pki.long, false})
		}
	}
	return append(all, attack{"header", "5 in the name of the CA, others in each", func() (shown, error) { return c.pki.named(5) }, true})
}

// measure alternates good and bad blocks, each over a connection of its own. Every bad block
// has a chain that the server has not seen.
func (c *chains) measure(a attack) (*chainCost, error) {
	cost := &chainCost{attack: a}
	for round := range c.rounds + 1 {
		bad := make([]shown, 1)
		if a.each {
			bad = make([]shown, requestsOfChain)
		}
		for i := range bad {
			var err error
			if bad[i], err = a.make(); err != nil {
				return nil, err
			}
		}
		good, err := c.block(a.word, []shown{c.good}, http.StatusOK)
		if err != nil {
			return nil, fmt.Errorf("a good certificate: %w", err)
		}
		spent, err := c.block(a.word, bad, http.StatusUnauthorized)
		if err != nil {
			return nil, err
		}
		if round > 0 { // the first is to warm up
			cost.good += good
			cost.bad += spent
			cost.requests += requestsOfChain
		}
	}
	return cost, nil
}

// block sends the requests over one connection, and returns the CPU seconds.
func (c *chains) block(word string, sent []shown, status int) (float64, error) {
	before, err := c.server.cpu()
	if err != nil {
		return 0, err
	}
	var handshake shown
	if word != "header" {
		handshake = sent[0]
	}
	client, err := c.dial(handshake)
	if err != nil {
		return 0, err
	}
	defer client.close()
	for n := range requestsOfChain {
		got, _, err := client.do(chainRequest(word, sent[n%len(sent)]))
		switch {
		case word == "header" && got == http.StatusBadRequest && status == http.StatusUnauthorized: // too many certificates
		case err != nil:
			return 0, err
		case got != status:
			return 0, fmt.Errorf("answer %d, want %d", got, status)
		}
	}
	after, err := c.server.cpu()
	return after - before, err
}

// chainRequest is a request for the site of a word.
func chainRequest(word string, sent shown) string {
	const line = "GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
	switch word {
	case "client_cert tls":
		return fmt.Sprintf(line, "tls", "")
	case "trusted_proxy_cert":
		return fmt.Sprintf(line, "proxy", "X-Forwarded-User: alice\r\n")
	default:
		var chain []byte
		for _, p := range sent[1:] {
			chain = append(chain, p.Cert.Raw...)
		}
		return fmt.Sprintf(line, "header", "X-Client-Cert: "+base64.StdEncoding.EncodeToString(sent[0].Cert.Raw)+
			"\r\nX-Chain: "+base64.StdEncoding.EncodeToString(chain)+"\r\n")
	}
}

func (c *chains) dial(sent shown) (*client, error) {
	conn, err := net.DialTimeout("tcp", c.server.addr, patience) //nolint:noctx // closed with the block
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	secured := tls.Client(conn, testpki.ClientTLS(c.pki.root, "localhost", sent...))
	return &client{secured, bufio.NewReader(secured)}, nil
}

// brokenChains says which limits do not hold.
func brokenChains(costs []*chainCost, user *chainUser) error {
	errs := user.lost
	for _, cost := range costs {
		if cost.ratio() > maxChainCost {
			errs = append(errs, fmt.Errorf("%s, %s: %.1f times the CPU of a good certificate", cost.word, cost.chain, cost.ratio()))
		}
	}
	return errors.Join(errs...)
}
