// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeByAccount is the injector with tokens of the account of testkube.CaddyAccount.
func kubeByAccount(name string, options ...string) string {
	return fmt.Sprintf("inject impersonation {\n service_account %[1]s/%[1]s\n %[2]s\n }\n", name, strings.Join(options, "\n"))
}

// kubeUpstream is a reverse_proxy to an API server.
func kubeUpstream(server *apiserver.Server, transport string) string {
	return fmt.Sprintf("reverse_proxy %s {\n transport http {\n tls_trust_pool file %s\n %s\n }\n }\n", server.URL, server.CAFile, transport)
}

// kubePlain is a site in front of the API server.
func kubePlain(server *apiserver.Server, block string) string {
	return "http://:0 {\n kube_identity {\n " + block + " }\n " + kubeUpstream(server, "versions 1.1") + "}\n"
}

// kubeReporter makes a service account in a namespace of its own, and returns its token.
func kubeReporter(t *testing.T, namespace string, audiences ...string) string {
	t.Helper()
	server := testkube.Server(t)
	if err := server.ServiceAccount(t.Context(), namespace, "reporter"); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), namespace, "reporter", 3600, audiences...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func kubeReporterGroups(namespace string) []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
}

// kubeSteady asks until the API server has applied the permissions.
func kubeSteady(t *testing.T, c *testhandler.Caddy, fields ...string) {
	t.Helper()
	testkube.WaitFor(t, "an answer of the API server", func() bool { return testkube.Ask(t, c, fields...).Status == http.StatusCreated })
}

// kubeWithout removes the documents of a manifest that contain a text.
func kubeWithout(text string) func(manifest string) string {
	return func(manifest string) string {
		documents := strings.Split(manifest, "\n---\n")
		return strings.Join(slices.DeleteFunc(documents, func(document string) bool { return strings.Contains(document, text) }), "\n---\n")
	}
}

// kubeReason asserts a refusal with 503 and its reason in the log.
func kubeReason(t *testing.T, c *testhandler.Caddy, answer testkube.Answer, reason string) {
	t.Helper()
	answer.WantRefused(t, http.StatusServiceUnavailable)
	if answer.Header.Get("Retry-After") == "" || answer.Body != "" {
		t.Errorf("the client gets %v %q", answer.Header, answer.Body)
	}
	refusals := c.Refusals(t)
	if len(refusals) == 0 || !strings.Contains(refusals[len(refusals)-1].Reason, reason) {
		t.Errorf("refused: %+v, want %q", refusals, reason)
	}
}

// kubeWatchable makes a namespace in which alice may watch config maps, and a site in front
// of it.
func kubeWatchable(t *testing.T, namespace string) *testhandler.Caddy {
	t.Helper()
	testkube.Reader(t, namespace, "User", "alice")
	inject := testkube.Impersonation(t, testkube.Account(t, namespace+"-proxy", nil))
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+inject, ""))
	testkube.WaitFor(t, "alice's permission", func() bool {
		list := "/api/v1/namespaces/" + namespace + "/configmaps"
		return testkube.Get(t, c, list, "X-Forwarded-User: alice").Status == http.StatusOK
	})
	return c
}
