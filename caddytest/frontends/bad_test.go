// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"slices"
	"testing"
	"time"
)

// verifying has the front end refuse bad certificates, so that Caddy does not get the
// request.
func (b *frontBench) verifying(t *testing.T) {
	p := b.before(t, b.site(b.preset, rootAlone, "anonymous"))
	for _, name := range []string{expiredName, strangerName, serverName} {
		t.Run(name, func(t *testing.T) {
			p.front.refused(t, b.pki.made[name], b.refusal)
			p.CheckReason(t, "")
			p.CheckNothing(t)
		})
	}
}

// saying has the front end forward bad certificates with its verdict, which Caddy reads.
func (b *frontBench) saying(t *testing.T) {
	p := b.before(t, b.site(b.preset, rootAlone, ""), "{verify}", b.lenient)
	for _, name := range []string{expiredName, strangerName, serverName} {
		if slices.Contains(b.blames, name) {
			t.Run(name, func(t *testing.T) { p.front.refused(t, b.pki.made[name], b.refusal) })
			continue
		}
		p.run(t, []passage{
			{name: name, client: name, reason: notSaid},
			{name: name + " with a verdict in the request", client: name, lines: []string{b.fields[1] + ": SUCCESS", b.fields[1] + ": 0"}, reason: notSaid},
		})
	}
}

// believing has Caddy verify alone: behind a front end that trusts another CA as well,
// and behind one whose verdict it is configured not to read.
func (b *frontBench) believing(t *testing.T) {
	p := b.before(t, b.site(b.preset, rootAlone, ""), "{ca}", "both.pem")
	p.run(t, []passage{
		{name: "of another CA, which the front end trusts", client: strangerName, reason: notIssued},
		{name: "alice, at the same front end", client: "alice", user: "alice"},
	})
	options := "header " + b.fields[0] + "\nencoding " + map[string]string{"nginx": "url_pem", "apache": "pem", "haproxy": "base64_der"}[b.preset]
	p = b.before(t, b.site("", options+"\n"+rootAlone, ""), "{verify}", b.lenient)
	for name, reason := range map[string]string{expiredName: notNow, strangerName: notIssued, serverName: notClient} {
		if !slices.Contains(b.blames, name) {
			p.run(t, []passage{{name: name + ", without the verdict", client: name, reason: reason}})
		}
	}
}

// expiring has a certificate expire after the handshake, in which front ends check it.
func (b *frontBench) expiring(t *testing.T) {
	p := b.before(t, b.site(b.preset, rootAlone, ""))
	end := time.Now().Add(5 * time.Second)
	pair := b.pki.issue(t, "ephemeral", frontSubject{notAfter: end})
	b.pki.made["ephemeral"] = pair
	conn, err := p.front.dial(t, b.pki.config(pair))
	if err != nil {
		t.Fatal(err)
	}
	p.passes(t, conn, passage{user: "ephemeral"})
	time.Sleep(time.Until(end.Add(time.Second)))
	p.passes(t, conn, passage{reason: notNow})
}
