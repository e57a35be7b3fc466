// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzFrames: whatever a watch says, only whole addresses that one machine alone can have ever
// count, each of which is there as text; in order, once, and at most so many.
func FuzzFrames(f *testing.F) {
	const slice = `{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"a","namespace":"n","labels":{"kubernetes.io/service-name":"s"}},` +
		`"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true,"serving":false}},{"addresses":["10.0.0.2","0.0.0.0/0"]}]}`
	f.Add(`{"type":"ADDED","object":` + slice + "}\n" + `{"type":"DELETED","object":` + slice + "}")
	f.Add(`{"type":"MODIFIED","object":` + strings.ReplaceAll(slice, "IPv4", "IPv6") + "}")
	f.Add(`{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}`)
	f.Add(`{"type":"ERROR","object":{"kind":"Status","code":410,"message":"\u0000"}}`)
	f.Add(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[` + slice + `]}`)
	f.Fuzz(func(t *testing.T, text string) {
		all := make(known)
		for lines := frames(strings.NewReader(text)); lines.Scan(); {
			frame, err := parseFrame(lines.Bytes())
			if err != nil {
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) || len(err.Error()) > 1000 {
					t.Errorf("the error is %q", err)
				}
				break
			}
			if frame.Type == bookmark || all.change(frame, service{"n", "s"}) != nil {
				break
			}
		}
		if l, err := parseList([]byte(text)); err == nil {
			_ = all.fill(l)
		}
		ranges, err := all.ranges([]netip.Addr{netip.MustParseAddr("192.0.2.200")})
		if err != nil && len(ranges) > 0 || len(ranges) > MaxEndpoints {
			t.Errorf("%d ranges, %v", len(ranges), err)
		}
		for i, r := range ranges {
			addr := r.Addr()
			if !r.IsSingleIP() || !addr.IsGlobalUnicast() || addr.Is4In6() || addr.Zone() != "" || addr.String() == "192.0.2.200" {
				t.Errorf("%s counts", r)
			}
			if i > 0 && ranges[i-1].Addr().Compare(addr) >= 0 {
				t.Errorf("%s is after %s", r, ranges[i-1])
			}
		}
	})
}
