// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// routed is what the examples for a Gateway and an Ingress have in common: how a request for the
// host comes to Caddy's Service.
type routed struct {
	host, service string
	port          int32
}

// routeOf reads the HTTPRoute or the Ingress of an example.
func routeOf(t *testing.T, documents map[string]string) routed {
	t.Helper()
	var route struct {
		Spec struct {
			Hostnames []string
			Rules     []struct {
				BackendRefs []struct {
					Name string
					Port int32
				}
				Host string
				HTTP struct {
					Paths []struct {
						Backend struct {
							Service struct {
								Name string
								Port struct{ Number int32 }
							}
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(documents["HTTPRoute"]+documents["Ingress"]), &route); err != nil {
		t.Fatal(err)
	}
	rule := route.Spec.Rules[0]
	if len(rule.BackendRefs) > 0 {
		return routed{route.Spec.Hostnames[0], rule.BackendRefs[0].Name, rule.BackendRefs[0].Port}
	}
	service := rule.HTTP.Paths[0].Backend.Service
	return routed{rule.Host, service.Name, service.Port.Number}
}

// documentsOf are the documents of an example by their kinds.
func documentsOf(t *testing.T, name string) (text string, documents map[string]string) {
	t.Helper()
	content, err := os.ReadFile("../../examples/kubernetes/" + name)
	if err != nil {
		t.Fatal(err)
	}
	documents = make(map[string]string)
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		kind := regexp.MustCompile(`(?m)^kind: (\w+)$`).FindStringSubmatch(document)
		if kind == nil {
			t.Fatalf("%s: a document has no kind", name)
		}
		documents[kind[1]] = document
	}
	return string(content), documents
}

// The examples are applied after headlamp-login.yaml. Each field is known to the API server and to
// Gateway API, each route leads to the Service of that file, and the host is the one to which
// browsers return after a login.
func TestTheAPIServerAcceptsTheExamplesOfRoutes(t *testing.T) {
	config := adminConfig(t)
	definitions(t, config)
	gateways(t, config)
	first, base := documentsOf(t, "headlamp-login.yaml")
	restricted(t, "headlamp") // the upstream's own namespace
	apply(t, config, base["Namespace"])
	if err := testkube.Server(t).ServiceAccount(t.Context(), "headlamp-proxy", "default"); err != nil {
		t.Fatal(err)
	}
	apply(t, config, first)
	for _, name := range []string{"gateway-api.yaml", "caddy-ingress.yaml"} {
		t.Run(name, func(t *testing.T) {
			text, documents := documentsOf(t, name)
			apply(t, config, text)
			for _, kind := range []string{"hostnames:", "sectionName:", "certificateRefs:", "pathType:"} {
				if strings.Contains(text, kind) {
					if err := applying(t, config, strings.ReplaceAll(text, kind, "x"+kind)); err == nil {
						t.Errorf("without %s it is accepted, too", kind)
					}
				}
			}
			route := routeOf(t, documents)
			if want := (routed{"headlamp.example.com", "caddy", 80}); route != want {
				t.Errorf("the route is %+v, want %+v", route, want)
			}
			if !strings.Contains(base["Service"], "\n  name: caddy\n") || !strings.Contains(base["Service"], "port: 80\n") {
				t.Errorf("the Service of headlamp-login.yaml is another one:\n%s", base["Service"])
			}
			wantLoads(t, documents["ConfigMap"], route.host)
		})
	}
}

// gateways applies the definition of a Gateway, which the chart does not need.
func gateways(t *testing.T, config string) {
	t.Helper()
	files, err := definitionFiles()
	if err != nil {
		t.Fatal(err)
	}
	route := slices.IndexFunc(files, func(file string) bool { return strings.HasSuffix(file, "_httproutes.yaml") })
	for _, args := range [][]string{
		{"apply", "--server-side", "--force-conflicts", "--filename=" + strings.Replace(files[route], "_httproutes", "_gateways", 1)},
		{"wait", "--for=condition=Established", "--timeout=60s", "crd/gateways.gateway.networking.k8s.io"},
	} {
		if stdout, stderr, code := testkube.Execute(t, testkube.Kubectl(t, config, "default")(t.Context(), args...), ""); code != 0 {
			t.Fatal(stdout, stderr)
		}
	}
}

// wantLoads loads the Caddyfile of a ConfigMap, and looks for the host in it.
func wantLoads(t *testing.T, document, host string) {
	t.Helper()
	var object struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	text := object.Data["Caddyfile"]
	if !strings.Contains(text, "redirect_url https://"+host+"/kube-identity/callback\n") {
		t.Errorf("browsers return to another host than %s:\n%s", host, text)
	}
	dir := t.TempDir()
	for _, name := range []string{"client-secret", "session-keys"} {
		testhandler.Write(t, dir+"/"+name, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
	}
	var loaded caddy.Config
	if err := json.Unmarshal(testhandler.Adapt(t, strings.ReplaceAll(text, "/etc/login/", dir+"/")), &loaded); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&loaded); err != nil {
		t.Error(err)
	}
}
