// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lru_test

import (
	"strconv"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

// Each row changes a full cache of three values, and has its values afterwards by key: one, two,
// three, four. Zero means no value.
func TestLatestUsedValuesAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		act  func(c *lru.Cache[string, int])
		want [4]int
	}{
		"as many as there is room for":  {func(*lru.Cache[string, int]) {}, [4]int{1, 2, 3}},
		"a fourth pushes the first out": {func(c *lru.Cache[string, int]) { c.Put("four", 4) }, [4]int{0, 2, 3, 4}},
		"a value that was read stays": {func(c *lru.Cache[string, int]) {
			c.Get("one")
			c.Put("four", 4)
		}, [4]int{1, 0, 3, 4}},
		"a value that was written again stays": {func(c *lru.Cache[string, int]) {
			c.Put("one", 10)
			c.Put("four", 4)
		}, [4]int{10, 0, 3, 4}},
		"a value is changed in place":          {func(c *lru.Cache[string, int]) { *c.Get("two") = 20 }, [4]int{1, 20, 3}},
		"a removed value makes room":           {func(c *lru.Cache[string, int]) { c.Remove("three"); c.Put("four", 4) }, [4]int{1, 2, 0, 4}},
		"a value that is not there is removed": {func(c *lru.Cache[string, int]) { c.Remove("nothing") }, [4]int{1, 2, 3}},
		"all are removed":                      {func(c *lru.Cache[string, int]) { c.Clear() }, [4]int{}},
		"it is used after all are removed":     {func(c *lru.Cache[string, int]) { c.Clear(); c.Put("four", 4) }, [4]int{0, 0, 0, 4}},
	} {
		c := lru.New[string, int](3)
		c.Put("one", 1)
		c.Put("two", 2)
		c.Put("three", 3)
		test.act(c)
		var got [4]int
		values := 0
		for n, key := range []string{"one", "two", "three", "four"} {
			if value := c.Get(key); value != nil {
				got[n] = *value
				values++
			}
		}
		if got != test.want || c.Len() != values {
			t.Errorf("%s: %v of %d values, want %v", name, got, c.Len(), test.want)
		}
	}
}

func TestMissingKeyHasNoValue(t *testing.T) {
	c := lru.New[string, int](1)
	if c.Get("one") != nil {
		t.Error("there is a value")
	}
}

func TestSizeZeroKeepsOneValue(t *testing.T) {
	c := lru.New[string, int](0)
	c.Put("one", 1)
	c.Put("two", 2)
	if c.Len() != 1 || c.Get("two") == nil {
		t.Errorf("%d values", c.Len())
	}
}

func BenchmarkGet(b *testing.B) {
	c := lru.New[[32]byte, string](4096)
	for n := range 4096 {
		c.Put([32]byte([]byte(strconv.Itoa(n) + "                                ")[:32]), "alice")
	}
	key := [32]byte([]byte("7                                ")[:32])
	b.ReportAllocs()
	for b.Loop() {
		if c.Get(key) == nil {
			b.Fatal("there is no value")
		}
	}
}
