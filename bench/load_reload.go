// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// reloadPace is the time from one request of a client to the next: the clients do not
	// keep the machine busy, or they would wait for one another rather than for a reload.
	reloadPace = 50 * time.Millisecond

	// reloadEvery is the time from one reload to the next.
	reloadEvery = 500 * time.Millisecond

	// period is how long the clients are watched, with reloads or without.
	period = 3 * time.Second
)

// reloaded is a server whose configuration is loaded again and again.
type reloaded struct {
	*subject

	config       []byte
	quiet, noisy []float64 // the 99th percentile of each period, in milliseconds
	times        []float64 // that a reload took, in milliseconds
	again        int       // requests that were sent again over a new connection
	lost         []error   // wrong answers
}

// measureReload compares the slowest of a hundred requests beside reloads with those
// without, for bare and for kube_identity.
func (l *lab) measureReload(ctx context.Context, s *scenario, p proxy) error {
	var both []*reloaded
	defer func() {
		for _, r := range both {
			r.stop()
		}
	}()
	for _, name := range []string{bare, handler} {
		running, err := l.start(ctx, "reload-"+name, s, name, p)
		if err != nil {
			return err
		}
		running.request = s.requestOfSite(0)
		r := &reloaded{subject: running}
		both = append(both, r)
		if r.config, err = l.adapt(ctx, l.sitesOf(s, name, l.reloadSites, false)(running.server, p)); err != nil {
			return err
		}
		if _, err := r.load(ctx, r.config); err != nil {
			return err
		}
	}
	for round := range l.pairs + 1 {
		for _, i := range order(round, 2*len(both)) {
			if err := both[i/2].watch(ctx, l.connections, i%2 == 1, round > 0); err != nil {
				return fmt.Errorf("%s: %w", both[i/2].name, err)
			}
		}
	}
	return l.reportReload(both)
}

func (l *lab) reportReload(both []*reloaded) error {
	fmt.Printf("\n%s: 99 of 100 requests take at most, in ms, over %d connections with a request every %v, "+
		"median of %d periods of %v; with reloads of %d sites every %v:\n\n",
		l.mode, l.connections, reloadPace, l.pairs, period, l.reloadSites, reloadEvery)
	fmt.Println("| | without reloads | with | ratio | a reload takes | sent again | wrong answers |\n| --- | --- | --- | --- | --- | --- | --- |")
	for i, name := range []string{bare, handler} {
		r := both[i]
		fmt.Printf("| `%s` | %.2f | %.2f | %s | %.1f | %d | %d |\n", name, quantile(r.quiet, 0.5), quantile(r.noisy, 0.5),
			newFigure(ratios(r.noisy, r.quiet)), quantile(r.times, 0.5), r.again, len(r.lost))
	}
	ratio := quantile(ratios(both[1].noisy, both[1].quiet), 0.5)
	if l.limit != 0 && len(both[1].lost) > 0 {
		return fmt.Errorf("%d wrong answers, the first: %w", len(both[1].lost), both[1].lost[0])
	}
	return exceeds("the 99th percentile beside reloads, as a ratio to that without,", ratio, l.maxLoad())
}

// watch is one period.
func (r *reloaded) watch(ctx context.Context, connections int, reload, counts bool) error {
	ctx, cancel := context.WithTimeout(ctx, period)
	defer cancel()
	clients := make([]paced, connections)
	var wait sync.WaitGroup
	for i := range clients {
		first := reloadPace * time.Duration(i) / time.Duration(connections)
		wait.Go(func() { clients[i].err = clients[i].act(ctx, r.subject, first) })
	}
	var times []float64
	var err error
	if reload {
		times, err = r.reload(ctx)
	}
	wait.Wait()
	var took []float64
	repeated := 0
	for _, c := range clients {
		took, repeated, err = append(took, c.took...), repeated+c.again, errors.Join(err, c.err)
		r.lost = append(r.lost, c.lost...)
	}
	if err != nil || !counts {
		return err
	}
	r.again += repeated
	p99 := quantile(took, 0.99)
	if reload {
		r.noisy, r.times = append(r.noisy, p99), append(r.times, times...)
	} else {
		r.quiet = append(r.quiet, p99)
	}
	return nil
}

// reload loads the configuration again and again until the period is over.
func (r *reloaded) reload(ctx context.Context) (times []float64, err error) {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		took, err := r.load(context.WithoutCancel(ctx), r.config)
		if err != nil {
			return nil, err
		}
		times = append(times, took.Seconds()*1000)
		select {
		case <-ctx.Done():
			return times, nil
		case <-ticker.C:
		}
	}
}

// paced is a client with one connection, and a request now and then.
type paced struct {
	took  []float64 // milliseconds
	again int
	lost  []error
	err   error // that ended it
}

// act sends requests until the period is over.
func (c *paced) act(ctx context.Context, s *subject, first time.Duration) error {
	conn, err := dialAgain(s)
	if err != nil {
		return err
	}
	defer func() { conn.close() }() // whichever is the last
	next := time.Now().Add(first)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		conn, err = c.ask(s, conn)
		switch {
		case errors.Is(err, errWrong):
			c.lost = append(c.lost, err)
		case err != nil:
			return err
		}
		// From when the request was due: one that another held up counts as slow.
		c.took = append(c.took, time.Since(next).Seconds()*1000)
		next = next.Add(reloadPace)
	}
}

// ask makes a request. A reload ends connections, perhaps just when a request is sent.
// Browsers send it again over a new one, and so does this client. It returns the connection
// for the next request.
func (c *paced) ask(s *subject, conn exchanger) (exchanger, error) {
	err := s.ask(conn)
	for range attempts {
		if err == nil || errors.Is(err, errWrong) {
			break
		}
		c.again++
		fresh, failed := dialAgain(s)
		if failed != nil {
			return conn, failed
		}
		conn.close()
		conn = fresh
		err = s.ask(conn)
	}
	return conn, err
}

// dialAgain connects although Caddy replaces its sockets.
func dialAgain(s *subject) (conn exchanger, err error) {
	for range attempts {
		if conn, err = s.dial(); err == nil {
			return conn, nil
		}
		time.Sleep(again)
	}
	return nil, err
}
