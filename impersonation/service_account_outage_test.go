// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func TestServiceAccountBacksOffWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{answers: []tokenAnswer{{err: errDown}}}
		account, log := started(t, server.request)
		defer account.Close()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		wantAccount(t, account, "", errDown.Error())
		if _, err := account.Authorization(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("%v does not wrap the cause", err)
		}
		least, spread := time.Second, map[time.Duration]bool{}
		for i := 1; i < len(server.asked()); i++ {
			gap := server.asked()[i].Sub(server.asked()[i-1])
			if gap < least || gap > least+least/4 {
				t.Fatalf("attempt %d comes after %s, want %s and up to a quarter more", i, gap, least)
			}
			spread[gap] = true
			least = min(2*least, 48*time.Second)
		}
		if attempts := len(server.asked()); attempts < 24*60 || len(spread) < attempts/2 {
			t.Errorf("%d attempts in a day, %d different times", attempts, len(spread))
		}
		if !log.at()[0].Equal(server.asked()[0]) {
			t.Errorf("the first failure is logged %s later", log.at()[0].Sub(server.asked()[0]))
		}
		for i := 1; i < len(log.at()); i++ {
			if gap := log.at()[i].Sub(log.at()[i-1]); gap < time.Minute || gap > 2*time.Minute {
				t.Fatalf("line %d of the log comes after %s", i, gap)
			}
		}
		if len(log.at()) < 24*30 || log.count("there is no service account token: no route") != len(log.lines()) {
			t.Errorf("%d lines, the first %q", len(log.lines()), log.lines()[0])
		}
	})
}

func TestServiceAccountUsesTheLastGoodTokenUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{answers: []tokenAnswer{{life: 10 * time.Minute}, {err: errDown}}}
		account, log := started(t, server.request)
		defer account.Close()
		begun := time.Now()
		for time.Since(begun) < 595*time.Second {
			synctest.Wait()
			wantAccount(t, account, "token-1", "")
			time.Sleep(time.Second)
		}
		synctest.Wait()
		wantAccount(t, account, "", errDown.Error())
		if log.count("keeping the last good service account token") == 0 || log.count("there is no") > 0 {
			t.Errorf("logged %q", log.lines())
		}
		time.Sleep(10 * time.Minute)
		wantAccount(t, account, "", errDown.Error())
		if log.count("there is no service account token") == 0 {
			t.Errorf("logged %q", log.lines())
		}

		// it is back, and the next outage is a new one
		server.change(tokenAnswer{life: 10 * time.Minute})
		time.Sleep(time.Minute)
		wantAccount(t, account, fmt.Sprintf("token-%d", len(server.asked())), "")
		if log.count("renewed again") != 1 || len(log.renewed()) != 2 {
			t.Errorf("logged %q, renewed %d times", log.lines(), len(log.renewed()))
		}
		time.Sleep(time.Hour)
		if log.count("renewed again") != 1 {
			t.Error("recovery is logged more than once")
		}
		before, asked := len(log.lines()), len(server.asked())
		server.change(tokenAnswer{err: errDown})
		time.Sleep(8*time.Minute + 30*time.Second)
		if len(log.lines()) == before {
			t.Error("another outage is not logged")
		}
		if gap := server.asked()[asked+1].Sub(server.asked()[asked]); gap > 1250*time.Millisecond {
			t.Errorf("another outage begins with a wait of %s", gap)
		}
	})
}

// An outage that begins within a minute of the last one's log line is logged as well.
func TestServiceAccountLogsEachOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{answers: []tokenAnswer{{err: errDown}, {life: 4 * time.Second}, {err: errDown}, {life: time.Hour}}}
		account, log := started(t, server.request)
		defer account.Close()
		time.Sleep(30 * time.Second)
		want := []string{
			"there is no service account token: " + errDown.Error(), "the service account token is renewed again",
			"keeping the last good service account token: " + errDown.Error(), "the service account token is renewed again",
		}
		if got := log.lines(); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// A token can expire while the request for the next one is under way. The reason is the expiry
// then, since no request has failed.
func TestServiceAccountSaysThatTheTokenHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &tokenServer{answers: []tokenAnswer{{life: 2 * time.Second}, {after: time.Hour}}}
		account, _ := started(t, server.request)
		defer account.Close()
		time.Sleep(3 * time.Second)
		wantAccount(t, account, "", "the last token has expired")
		time.Sleep(9 * time.Second)
		wantAccount(t, account, "", "deadline exceeded")
	})
}

func TestServiceAccountHangingRequestIsCut(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, -1: 10 * time.Second, time.Second: time.Second, time.Hour: time.Hour} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &tokenServer{answers: []tokenAnswer{{after: 24 * time.Hour}, {life: time.Hour}}}
				account := &impersonation.ServiceAccount{Request: server.request, Timeout: timeout}
				account.Start()
				defer account.Close()
				begun := time.Now()
				_, err := account.Authorization(t.Context())
				wantOnly(t, err, identity.ErrUnavailable)
				if took := time.Since(begun); took != want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %s, want %s", err, took, want)
				}
				time.Sleep(1250 * time.Millisecond)
				synctest.Wait()
				wantAccount(t, account, "token-2", "")
			})
		})
	}
}
