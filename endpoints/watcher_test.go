// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/endpoints"
)

const streaming = "watch sendInitialEvents=true resourceVersionMatch=NotOlderThan allowWatchBookmarks=true watch=true"

func TestAServiceIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		s := &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.2", "10.0.0.1")))}}
		proxies := start(t, s)
		proxies.want(t, "before all slices are there", "", "they have not been read yet")
		w.send(added(slice("b", "IPv6", "2001:db8::1")), complete)
		proxies.want(t, "when they are", "10.0.0.1/32 10.0.0.2/32 2001:db8::1/128", "")
		w.send(modified(slice("a", "IPv4", "10.0.0.1")))
		proxies.want(t, "scaled down", "10.0.0.1/32 2001:db8::1/128", "")
		w.send(added(slice("c", "IPv4", "10.0.0.7")))
		proxies.want(t, "scaled up", "10.0.0.1/32 10.0.0.7/32 2001:db8::1/128", "")
		w.send(deleted(slice("a", "IPv4", "10.0.0.1")), deleted(slice("b", "IPv6", "2001:db8::1")))
		proxies.want(t, "without two slices", "10.0.0.7/32", "")
		w.send(deleted(slice("c", "IPv4")))
		proxies.want(t, "when the Service is deleted", "", "")
		if got := s.requests(); !slices.Equal(got, []string{streaming}) {
			t.Errorf("asked: %q", got)
		}
	})
}

// Frames that an API server sends, and ones that it never should: what counts then.
func TestFrames(t *testing.T) {
	ready := func(conditions, addr string) string {
		return fmt.Sprintf(`{"addresses":[%q],"conditions":{%s}}`, addr, conditions)
	}
	unlabelled := strings.Replace(slice("a", "IPv4", "10.0.0.1"), `"kubernetes.io/service-name":"front"`, `"kubernetes.io/service-name":"other"`, 1)
	elsewhere := strings.Replace(slice("a", "IPv4", "10.0.0.1"), `"namespace":"ingress"`, `"namespace":"other"`, 1)
	const broken = "they have not been read yet"
	for name, test := range map[string]struct {
		frames      string
		trusts      string
		unavailable string // a part of it
	}{
		"a Service without endpoints trusts none":                   {complete, "", ""},
		"a slice without endpoints":                                 {added(slice("a", "IPv4")) + complete, "", ""},
		"an endpoint that is not ready is not trusted":              {added(object("a", "IPv4", ready(`"ready":false`, "10.0.0.1"))) + complete, "", ""},
		"an endpoint that terminates and serves still sends":        {added(object("a", "IPv4", ready(`"ready":false,"serving":true,"terminating":true`, "10.0.0.1"))) + complete, "10.0.0.1/32", ""},
		"one that terminates and does not serve":                    {added(object("a", "IPv4", ready(`"ready":false,"serving":false,"terminating":true`, "10.0.0.1"))) + complete, "", ""},
		"publishNotReadyAddresses says ready, and serving does not": {added(object("a", "IPv4", ready(`"ready":true,"serving":false`, "10.0.0.1"))) + complete, "", ""},
		"conditions that are not there mean ready":                  {added(object("a", "IPv4", ready("", "10.0.0.1"))) + complete, "10.0.0.1/32", ""},
		"conditions that are null mean ready":                       {added(object("a", "IPv4", ready(`"ready":null,"serving":null`, "10.0.0.1"))) + complete, "10.0.0.1/32", ""},
		"a name of the type FQDN is not an address":                 {added(slice("a", "FQDN", "proxy.example.com")) + complete, "", ""},
		"an address of the type FQDN":                               {added(slice("a", "FQDN", "10.0.0.1")) + complete, "", ""},
		"a range is not an address":                                 {added(slice("a", "IPv4", "0.0.0.0/0", "10.0.0.0/8")) + complete, "", ""},
		"the unspecified address":                                   {added(slice("a", "IPv4", "0.0.0.0")) + added(slice("b", "IPv6", "::")) + complete, "", ""},
		"loopback, on which every sidecar is":                       {added(slice("a", "IPv4", "127.0.0.1", "127.0.0.6")) + added(slice("b", "IPv6", "::1")) + complete, "", ""},
		"link-local and multicast":                                  {added(slice("a", "IPv4", "169.254.169.254", "224.0.0.1", "255.255.255.255")) + added(slice("b", "IPv6", "fe80::1", "ff02::1")) + complete, "", ""},
		"IPv4 mapped into IPv6":                                     {added(slice("a", "IPv6", "::ffff:10.0.0.1")) + complete, "", ""},
		"an address with a zone":                                    {added(slice("a", "IPv6", "2001:db8::1%eth0")) + complete, "", ""},
		"an IPv4 address in a slice of IPv6, and the reverse":       {added(slice("a", "IPv6", "10.0.0.1")) + added(slice("b", "IPv4", "2001:db8::1")) + complete, "", ""},
		"an address with blanks or leading zeros":                   {added(slice("a", "IPv4", " 10.0.0.1", "010.0.0.1", "10.1", "0x0a000001")) + complete, "", ""},
		"the same slice twice":                                      {added(slice("a", "IPv4", "10.0.0.1")) + added(slice("a", "IPv4", "10.0.0.2")) + complete, "10.0.0.2/32", ""},
		"an endpoint that is in two slices while it moves":          {added(slice("a", "IPv4", "10.0.0.1")) + added(slice("b", "IPv4", "10.0.0.1")) + complete, "10.0.0.1/32", ""},
		"an endpoint that has left one of two slices":               {added(slice("a", "IPv4", "10.0.0.1")) + added(slice("b", "IPv4", "10.0.0.1")) + complete + deleted(slice("a", "IPv4", "10.0.0.1")), "10.0.0.1/32", ""},
		"a slice is deleted that was not there":                     {deleted(slice("a", "IPv4", "10.0.0.1")) + complete, "", ""},
		"a slice is modified that was not there":                    {modified(slice("a", "IPv4", "10.0.0.1")) + complete, "10.0.0.1/32", ""},
		"a bookmark that is not the one":                            {added(slice("a", "IPv4", "10.0.0.1")) + alive, "", broken},
		"an empty line says nothing":                                {"\n\r\n" + added(slice("a", "IPv4", "10.0.0.1")) + "\n" + complete, "10.0.0.1/32", ""},
		"a slice of another Service":                                {added(unlabelled) + complete, "", "was not asked for"},
		"a slice of another namespace":                              {added(elsewhere) + complete, "", "was not asked for"},
		"a slice without a name":                                    {added(slice("", "IPv4", "10.0.0.1")) + complete, "", "has no name"},
		"an object of another kind":                                 {added(strings.Replace(slice("a", "IPv4", "10.0.0.1"), "EndpointSlice", "Endpoints", 1)) + complete, "", `is about "Endpoints"`},
		"an object of another version":                              {added(strings.Replace(slice("a", "IPv4", "10.0.0.1"), "/v1", "/v1beta1", 1)) + complete, "", `v1beta1`},
		"a type that is not known":                                  {frame("REPLACED", slice("a", "IPv4", "10.0.0.1")) + complete, "", `the type "REPLACED"`},
		"garbage":                                                   {"<html>\n" + complete, "", "is not JSON"},
		"an array":                                                  {"[]\n" + complete, "", "is not JSON"},
		"addresses that are numbers":                                {added(object("a", "IPv4", `{"addresses":[167772161]}`)) + complete, "", "is not JSON"},
		"two frames on one line":                                    {strings.TrimSpace(added(slice("a", "IPv4", "10.0.0.1"))) + complete, "", "is not JSON"},
		"an ERROR frame":                                            {added(slice("a", "IPv4", "10.0.0.1")) + frame("ERROR", `{"kind":"Status","message":"etcdserver: no\nleader","code":500}`), "", `(status 500): "etcdserver: no\nleader"`},
		"an ERROR frame with 410":                                   {gone, "", "does not have the version any more"},
		"a line without end":                                        {added(slice("a", "IPv4", "10.0.0.1")) + `{"type":"ADDED","object":{"kind":"` + strings.Repeat("E", 5<<20), "", "larger than"},
		"a thousand endpoints":                                      {added(many("a", 1000)) + complete, "1000", ""},
		"one more than a thousand is too many":                      {added(many("a", 1000)) + added(slice("b", "IPv4", "192.0.2.1")) + complete, "", "more than 1000 endpoints"},
		"a thousand twice":                                          {added(many("a", 1000)) + added(many("b", 1000)) + complete, "1000", ""},
		"too many and fewer again":                                  {added(many("a", 1001)) + complete + modified(slice("a", "IPv4", "10.0.0.1")), "10.0.0.1/32", ""},
		"more slices than a thousand endpoints need":                {crowd(2001) + complete, "", "more than 2000 EndpointSlices"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w watch
				proxies := start(t, &server{steps: []step{w.says(test.frames)}})
				defer proxies.Close()
				got := proxies.trusts()
				if test.trusts == "1000" {
					got = fmt.Sprint(len(proxies.Ranges(time.Now())))
				}
				if got != test.trusts {
					t.Errorf("%q count, want %q", got, test.trusts)
				}
				err := proxies.Unavailable(time.Now())
				if (err == nil) != (test.unavailable == "") || err != nil && !strings.Contains(err.Error(), test.unavailable) {
					t.Errorf("%v, want %q", err, test.unavailable)
				}
			})
		})
	}
}

// many is a slice with that many endpoints.
func many(name string, count int) string {
	var addrs []string
	for n := range count {
		addrs = append(addrs, fmt.Sprintf("10.1.%d.%d", n/256, n%256))
	}
	return slice(name, "IPv4", addrs...)
}

// crowd is that many slices without endpoints.
func crowd(count int) string {
	var frames strings.Builder
	for n := range count {
		frames.WriteString(added(slice(fmt.Sprint("s", n), "IPv4")))
	}
	return frames.String()
}

// A Service whose pods are in the network of their hosts: the host of this pod would be trusted,
// with the kubelet and all that it sends for others.
func TestTheOwnHostIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ hosts, addr, trusts string }{
		"IPv4":          {"192.0.2.10", "192.0.2.10", ""},
		"IPv6":          {"2001:db8::10", "2001:db8::10", ""},
		"another host":  {"192.0.2.11", "192.0.2.10", "10.0.0.1/32 192.0.2.10/32"},
		"not a decimal": {"2001:db8:0::10", "2001:db8::10", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kind := "IPv4"
				if strings.Contains(test.addr, ":") {
					kind = "IPv6"
				}
				var w watch
				proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), added(slice("b", kind, test.addr)), complete)}}, test.hosts)
				defer proxies.Close()
				why := ""
				if test.trusts == "" {
					why = "an endpoint has the address " + test.addr + " of this pod's own host: its pods are in the network of their hosts"
				}
				proxies.want(t, "with the host", test.trusts, why)
				w.send(deleted(slice("b", kind)))
				proxies.want(t, "without it", "10.0.0.1/32", "")
			})
		})
	}
}

// The addresses count for a minute after the watch broke, and not longer: the address of a pod is
// given to another one within seconds.
func TestAWatchThatBreaksCountsForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		s := &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}}
		proxies := start(t, s)
		defer proxies.Close()
		after(12 * time.Second)
		w.breaks(errors.New("connection reset"))
		after(endpoints.StaleAfter)
		proxies.want(t, "after a minute", "10.0.0.1/32", "")
		after(2 * time.Millisecond)
		proxies.want(t, "a little later", "", "the API server was last heard at 2000-01-01T00:00:12Z: connection refused")
		if got := proxies.history(); !slices.Equal(got, []string{
			"1 endpoints", "the endpoints cannot be watched: the watch broke: connection reset", "lost",
		}) {
			t.Errorf("it told %q", got)
		}
		if !proxies.Loaded() {
			t.Error("it was loaded once")
		}
	})
}

// A connection on which nothing arrives any more says nothing about its end: the last frame
// counts, whatever TCP believes.
func TestAWatchThatFallsSilentCountsForAMinuteFromItsLastFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		s := &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}}
		proxies := start(t, s)
		defer proxies.Close()
		after(10 * time.Second)
		w.send(alive)
		after(endpoints.StaleAfter)
		proxies.want(t, "a minute after the bookmark", "10.0.0.1/32", "")
		after(2 * time.Millisecond)
		proxies.want(t, "a little later", "", "the API server was last heard at 2000-01-01T00:00:10Z: connection refused")
		if got := proxies.history(); len(got) < 2 || !strings.Contains(got[1], "does not end the watch at its time") {
			t.Errorf("it told %q", got)
		}
	})
}

// Half a frame, byte by byte, is not a sign of life.
func TestAFrameThatNeverEndsIsNotASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}})
		defer proxies.Close()
		for range 61 {
			w.send(" ")
			after(time.Second)
		}
		proxies.want(t, "after a minute of blanks", "", "the API server was last heard at 2000-01-01T00:00:00Z: connection refused")
	})
}

// A frame that cannot be read may be the one that takes an address away.
func TestAFrameThatCannotBeReadIsNotASignOfLife(t *testing.T) {
	for name, text := range map[string]string{"garbage": "garbage\n", "a line without end": strings.Repeat("x", 5<<20)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w watch
				proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}})
				defer proxies.Close()
				after(20 * time.Second)
				w.send(text)
				after(40 * time.Second)
				proxies.want(t, "a minute after the last good frame", "10.0.0.1/32", "")
				after(time.Second)
				proxies.want(t, "a little later", "", "the API server was last heard at 2000-01-01T00:00:00Z: connection refused")
			})
		})
	}
}

// Slices without end do not leave the last known addresses in place.
func TestTooManySlicesEndTheTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}})
		defer proxies.Close()
		proxies.want(t, "at first", "10.0.0.1/32", "")
		w.send(crowd(2001))
		proxies.want(t, "when there are too many", "", "there are more than 2000 EndpointSlices")
	})
}

// An API server that ends each watch at its time, as it is asked to, is a healthy one.
func TestWatchesFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []step
		for range 100 {
			steps = append(steps, ends(added(slice("a", "IPv4", "10.0.0.1")), complete))
		}
		s := &server{steps: steps}
		proxies := start(t, s)
		defer proxies.Close()
		for range 30 * 60 {
			after(time.Second)
			proxies.want(t, "all the time", "10.0.0.1/32", "")
		}
		if got := len(s.requests()); got < 51 || got > 73 {
			t.Errorf("%d watches in half an hour", got)
		}
		if got := proxies.history(); !slices.Equal(got, []string{"1 endpoints"}) {
			t.Errorf("it told %q", got)
		}
	})
}

// What was missed is noticed by the next watch, and nothing counts meanwhile that is not known.
func TestANewWatchBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first, second watch
		proxies := start(t, &server{steps: []step{
			first.says(added(slice("a", "IPv4", "10.0.0.1", "10.0.0.2")), complete),
			second.says(added(slice("a", "IPv4", "10.0.0.2"))),
		}})
		defer proxies.Close()
		first.send(gone)
		proxies.want(t, "after 410", "10.0.0.1/32 10.0.0.2/32", "")
		after(2 * time.Second)
		proxies.want(t, "while the slices arrive", "10.0.0.1/32 10.0.0.2/32", "")
		second.send(complete)
		proxies.want(t, "when they are all there", "10.0.0.2/32", "")
		if got := proxies.history(); !slices.Equal(got, []string{
			"2 endpoints", "the endpoints cannot be watched: the API server does not have the version any more", "the endpoints are watched again", "1 endpoints",
		}) {
			t.Errorf("it told %q", got)
		}
	})
}

// After an outage that lasts, the addresses count again as soon as all slices are there.
func TestAnOutageHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first, second watch
		s := &server{steps: []step{first.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}}
		proxies := start(t, s)
		defer proxies.Close()
		first.breaks(io.ErrUnexpectedEOF)
		after(10 * time.Minute)
		proxies.want(t, "in the outage", "", "the API server was last heard at 2000-01-01T00:00:00Z: connection refused")
		asked := len(s.requests())
		if asked < 60 || asked > 90 {
			t.Errorf("%d attempts in ten minutes", asked)
		}
		s.mu.Lock()
		s.steps = []step{second.says(added(slice("a", "IPv4", "10.0.0.9")), complete)}
		s.mu.Unlock()
		after(10 * time.Second)
		proxies.want(t, "after it", "10.0.0.9/32", "")
		history := proxies.history()
		if got := history[len(history)-3:]; !slices.Equal(got, []string{"the endpoints are watched again", "back", "1 endpoints"}) {
			t.Errorf("it told %q", got)
		}
	})
}

// Proxies that were started together do not ask together.
func TestAttemptsAreSpread(t *testing.T) {
	different := make(map[time.Duration]bool)
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := &server{}
			start(t, s)
			after(5 * time.Minute)
			different[s.times[len(s.times)-1].Sub(s.times[len(s.times)-2])] = true
		})
	}
	if len(different) < 15 {
		t.Errorf("the last pauses were %v", different)
	}
}

// An API server that ends each watch at once must not be asked without end.
func TestWatchesThatEndAtOnceAreSpacedOut(t *testing.T) {
	for name, body := range map[string]string{"after all slices": added(slice("a", "IPv4", "10.0.0.1")) + complete, "before": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var steps []step
				for range 1000 {
					steps = append(steps, answers(body))
				}
				s := &server{steps: steps}
				start(t, s)
				after(time.Minute)
				if got := len(s.requests()); got > 70 {
					t.Errorf("%d watches in a minute", got)
				}
			})
		})
	}
}

// No bookmark within ten seconds, or a status that says so: an older API server, of which a list
// is wanted first.
func TestAnOlderAPIServerGivesAListFirst(t *testing.T) {
	old := []string{streaming, "list limit=2000", "watch resourceVersion=41 allowWatchBookmarks=true watch=true"}
	page := func(items string) string {
		return `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"41"},"items":[` + items + `]}`
	}
	var ignored, next watch
	for name, first := range map[string]step{
		"it refuses the request with 422":        fails(statusError(t, http.StatusUnprocessableEntity)),
		"it refuses the request with 400":        fails(statusError(t, http.StatusBadRequest)),
		"it sends the slices without a bookmark": ignored.says(added(slice("a", "IPv4", "10.0.0.99"))),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{steps: []step{first, answers(page(slice("a", "IPv4", "10.0.0.1"))), next.says()}}
				proxies := start(t, s)
				defer proxies.Close()
				after(13 * time.Second)
				proxies.want(t, "after the list", "10.0.0.1/32", "")
				next.send(added(slice("b", "IPv4", "10.0.0.2")), deleted(slice("a", "IPv4")))
				proxies.want(t, "after changes", "10.0.0.2/32", "")
				if got := s.requests(); !slices.Equal(got, old) {
					t.Errorf("asked: %q", got)
				}
			})
		})
	}
	for name, test := range map[string]struct{ list, why string }{
		"another kind":       {`{"kind":"Status","apiVersion":"v1"}`, `the list is "Status" of "v1"`},
		"not JSON":           {"<html>", "the list is not JSON of the expected form"},
		"without a version":  {`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[]}`, "the list has no resourceVersion"},
		"more than one page": {`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"41","continue":"x"},"items":[]}`, "there are more than 2000 EndpointSlices"},
		"too large":          {strings.Repeat(" ", 17<<20), "there are more than 2000 EndpointSlices"},
	} {
		t.Run("a list that is "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				proxies := start(t, &server{steps: []step{fails(statusError(t, http.StatusUnprocessableEntity)), answers(test.list), fails(errors.New("no more"))}})
				defer proxies.Close()
				after(2500 * time.Millisecond)
				proxies.want(t, "after the list", "", test.why)
			})
		})
	}
	t.Run("a watch from the list's version answers 410", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &server{steps: []step{
				fails(statusError(t, http.StatusUnprocessableEntity)), answers(page("")), fails(statusError(t, http.StatusGone)),
				answers(page(slice("a", "IPv4", "10.0.0.1"))), next.says(),
			}}
			proxies := start(t, s)
			defer proxies.Close()
			after(6 * time.Second)
			proxies.want(t, "after a second list", "10.0.0.1/32", "")
		})
	})
}

// The end is at once, also of a watch that hangs; what is known does not become more.
func TestCloseEndsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}})
		proxies.Close()
		proxies.Close()
		proxies.want(t, "for the last requests", "10.0.0.1/32", "")
		after(endpoints.StaleAfter + time.Millisecond)
		if got := proxies.trusts(); got != "" {
			t.Errorf("%q count after a minute", got)
		}
		if got := proxies.history(); !slices.Equal(got, []string{"1 endpoints"}) {
			t.Errorf("it told %q", got)
		}
	}) // which fails if a goroutine is left
}

// While a machine sleeps, the clock that measures spans stands still.
func TestTheWallClockCountsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watch
		proxies := start(t, &server{steps: []step{w.says(added(slice("a", "IPv4", "10.0.0.1")), complete)}})
		defer proxies.Close()
		slept := time.Now().Round(0).Add(2 * time.Minute) // it has no reading of the other clock
		if got := proxies.Ranges(slept); len(got) != 0 {
			t.Errorf("%v count after a sleep", got)
		}
		if proxies.Unavailable(slept) == nil {
			t.Error("it is known after a sleep")
		}
	})
}
