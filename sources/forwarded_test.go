// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A front proxy of the API server passes on what the API server itself believes: groups that
// every user has, and keys of extra attributes that name a pod. The groups are left out, and
// the keys need the operator's word, as reserved names do.
func TestForwardedFromAFrontProxy(t *testing.T) {
	const user, pod = "X-Remote-User: alice", "X-Remote-Extra-Authentication.kubernetes.io%2fpod-Name"
	for name, test := range map[string]struct {
		lines   []string
		allowed []string
		status  int
		want    http.Header
	}{
		"groups that every user has are left out": {
			[]string{user, "X-Remote-Group: system:authenticated", "X-Remote-Group: dev", "X-Remote-Group: system:authenticated:oauth"},
			nil,
			200,
			http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"dev"}},
		},
		"another group of Kubernetes is refused": {
			[]string{user, "X-Remote-Group: system:masters"}, nil, 403, nil,
		},
		"a group that kubeadm binds to cluster-admin is refused": {
			[]string{user, "X-Remote-Group: kubeadm:cluster-admins"}, nil, 403, nil,
		},
		"it passes if the operator names it": {
			[]string{user, "X-Remote-Group: kubeadm:cluster-admins"},
			[]string{"kubeadm:cluster-admins"},
			200,
			http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"kubeadm:cluster-admins"}},
		},
		"a key of Kubernetes is refused": {
			[]string{user, pod + ": ci-1"}, nil, 403, nil,
		},
		"it is refused if the operator names another one": {
			[]string{user, pod + ": ci-1"}, []string{"authentication.kubernetes.io/pod-uid"}, 403, nil,
		},
		"the key passes if the operator names it": {
			[]string{user, pod + ": ci-1"},
			[]string{"authentication.kubernetes.io/pod-name"},
			200,
			http.Header{"X-Remote-User": {"alice"}, pod: {"ci-1"}},
		},
		"a key of another domain passes": {
			[]string{user, "X-Remote-Extra-Example.com%2fteam: a"},
			nil,
			200,
			http.Header{"X-Remote-User": {"alice"}, "X-Remote-Extra-Example.com%2fteam": {"a"}},
		},
		"Apache's word for nothing is not a user": {
			[]string{"X-Remote-User: (null)", "X-Remote-Group: dev"}, nil, 401, nil,
		},
		"HAProxy's is not one": {
			[]string{"X-Remote-User: -", "X-Remote-Group: dev"}, nil, 401, nil,
		},
		"nor are they attributes": {
			[]string{user, "X-Remote-Group: (null)", "X-Remote-Uid: -", "X-Remote-Extra-Team: -"},
			nil,
			200,
			http.Header{"X-Remote-User": {"alice"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Quiet(t)
			h := testhandler.Load(t, object{
				"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7"}},
				"allow_reserved":  test.allowed,
				"sources": []any{object{
					"source": "forwarded", "user": []string{"X-Remote-User"}, "groups": []string{"X-Remote-Group"},
					"uid": []string{"X-Remote-Uid"}, "extra": []string{"X-Remote-Extra-"},
				}},
				"injectors": []any{object{"injector": "front_proxy"}},
			})
			if a := h.Get(t, test.lines...); a.Status != test.status || !reflect.DeepEqual(a.Upstream, test.want) {
				t.Errorf("status %d (%s), the upstream received %v, want %d, %v", a.Status, a.Reason(), a.Upstream, test.status, test.want)
			}
		})
	}
}
