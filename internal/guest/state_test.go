// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"maps"
	"testing"
)

// The state shows users that no policy has seen. Of two members with one name a reader of JSON
// sees one.
func TestUsersWhoseNamesAreNotUTF8AreOneMember(t *testing.T) {
	s := &State{names: true}
	s.AddCache(CacheState{}, map[string]int{"a\xff": 1, "a\xfe": 2, "alice": 4})
	if got := s.Caches[0].Users; !maps.Equal(got, map[string]int{"a\uFFFD": 3, "alice": 4}) {
		t.Errorf("the users are %v", got)
	}
}
