// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import "time"

// KeysStatus says how it is with the keys of an issuer.
type KeysStatus struct {
	Usable  bool      // there are keys that count now; also if the issuer publishes none that can be used
	Count   int       // how many
	Fetched time.Time // when they were fetched, or their file was looked at, with success; zero: never
	Until   time.Time // when they stop to count; zero: never
	Err     error     // why they could not be fetched last; nil if they could
}

// Status says how it is with the keys. It does not begin a fetch.
func (k *RemoteKeys) Status(now time.Time) KeysStatus {
	state := k.state.Load()
	status := KeysStatus{Usable: state.isUsable(now), Fetched: state.got, Until: state.until, Err: state.err}
	if status.Usable {
		status.Count = len(state.set.keys)
	}
	return status
}

// Renew has the keys fetched again in the background, if the last fetch is not too recent.
func (k *RemoteKeys) Renew() { k.join((*keyState).mayAskAgain) }

// Status says how it is with the keys. It looks at the file as a token would.
func (k *FileKeys) Status(time.Time) KeysStatus {
	k.pace.Do(time.Now(), k.refresh)
	status := KeysStatus{Usable: true, Count: len(k.current.Load().keys), Fetched: time.Unix(0, k.got.Load())}
	if failure := k.failure.Load(); failure != nil {
		status.Err = *failure
	}
	return status
}

// Renew does nothing: the file is looked at each second.
func (*FileKeys) Renew() {}
