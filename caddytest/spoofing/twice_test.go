// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// two are a handler that injects the proxy's own token, and one that takes a token in
// Authorization for the client's. Their matchers are %[1]s and %[2]s.
func two(t *testing.T) (impersonates, reads string) {
	t.Helper()
	dir := t.TempDir()
	issuer := testissuer.New(t)
	ca, own := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	testhandler.Write(t, ca, testpki.PEM(issuer.CA))
	testhandler.Write(t, own, issuer.Token(t, map[string]any{"sub": "the-proxy"}))
	return `{
		trusted_proxies static ` + testhandler.TrustedPeer + `
		forwarded oauth2_proxy
		inject impersonation {
			token_file ` + own + `
		}
	}`, `{
		oidc ` + issuer.URL + ` {
			audience dash
			username_claim sub -
			trust_pool file ` + ca + `
		}
		inject headers {
			user X-App-User
		}
	}`
}

const passedTwice = `internal error: one request passes two kube_identity: that with "forwarded, inject impersonation", ` +
	`then that with "oidc, inject headers"`

// The second handler takes what the first one injected for the client's own credential: the
// upstream gets the proxy's account as the user. Where a matcher decides, it shows only when
// a request comes.
func TestTheSecondHandlerTakesTheFirstOnesCredentialForTheClients(t *testing.T) {
	impersonates, reads := two(t)
	for name, site := range map[string]string{
		"matchers that overlap": `http://:0 {
	@both method GET POST
	route {
		kube_identity @both ` + impersonates + `
		kube_identity /* ` + reads + `
		reverse_proxy %[1]s
	}
}
`,
		"the second in a handle": `http://:0 {
	@both method GET POST
	kube_identity @both ` + impersonates + `
	handle {
		kube_identity ` + reads + `
		reverse_proxy %[1]s
	}
}
`,
	} {
		g := testhandler.Guard(t, "", site)
		for _, line := range []string{"GET / HTTP/1.1", "POST / HTTP/1.1"} {
			t.Run(name+"/"+line, func(t *testing.T) {
				g.Exchange(t, &testhandler.Exchange{
					Line: line, Fields: testhandler.AliceAnd(), Status: http.StatusInternalServerError, Reason: passedTwice,
				})
			})
		}
	}
}

// An error route runs on the request as it came: nothing is injected there, and a handler of
// its own may decide. So may a handler for the next request of a connection.
func TestAHandlerInAnErrorRouteIsNotASecondOne(t *testing.T) {
	impersonates, _ := two(t)
	g := testhandler.Guard(t, "", `http://:0 {
	kube_identity `+impersonates+`
	reverse_proxy 127.0.0.1:1 127.0.0.1:2 {
		lb_retries 3
	}
	handle_errors {
		kube_identity {
			anonymous guest
			inject headers {
				user X-App-User
			}
		}
		reverse_proxy %[1]s
	}
}
`)
	guest := http.Header{"X-App-User": {"guest"}}
	g.Run(t, []testhandler.Exchange{
		{Name: "after a refusal", Want: guest, Reason: "no credential"},
		{Name: "after a failure of the upstream", Fields: testhandler.AliceAnd(), Want: guest},
		{Name: "and again", Fields: testhandler.AliceAnd(), Want: guest},
	})
}

// httpInclude makes a request out of the one that templates has, with the injected fields and
// from 127.0.0.1, and sends it through the whole server again.
func TestHTTPIncludeIsNotAClient(t *testing.T) {
	impersonates, _ := two(t)
	impersonates = strings.Replace(impersonates, "static ", "static 127.0.0.1 ", 1)
	g := testhandler.Guard(t, "", fmt.Sprintf(`http://:0 {
	route /guarded {
		kube_identity %[1]s
		reverse_proxy %%[1]s
	}
	route /page {
		templates {
			mime text/plain
		}
		header Content-Type text/plain
		respond "{{httpInclude `+"`/guarded`"+`}}"
	}
	route /own {
		kube_identity %[1]s
		templates {
			mime text/plain
		}
		header Content-Type text/plain
		respond "{{httpInclude `+"`/guarded`"+`}}"
	}
}
`, impersonates))
	for line, from := range map[string]string{"GET /page HTTP/1.1": testhandler.StrangerPeer, "GET /own HTTP/1.1": testhandler.TrustedPeer} {
		got := g.Send(t, from, line, []string{"X-Forwarded-User: admin"}, "")
		g.CheckReason(t, "internal error: httpInclude made this request, not a client")
		g.CheckNothing(t)
		if got.Status != http.StatusInternalServerError {
			t.Errorf("%s: status %d", line, got.Status)
		}
	}
	g.Exchange(t, &testhandler.Exchange{
		Line: "GET /guarded HTTP/1.1", Fields: []string{"Caddy-Templates-Include: 1"}, Status: 401, Reason: "no credential",
	})
}

// Where no matcher decides, two handlers on one request do not load.
func TestTwoHandlersOfOneRouteDoNotLoad(t *testing.T) {
	impersonates, reads := two(t)
	first, second := "kube_identity "+impersonates+"\n", "kube_identity "+reads+"\n"
	const proxy = "reverse_proxy 127.0.0.1:1\n"
	for name, test := range map[string]struct {
		site  string
		loads bool
	}{
		"in a route":                           {"route {\n" + first + second + proxy + "}\n", false},
		"the second in a handle":               {first + "handle /x {\n" + second + proxy + "}\n", false},
		"the second in a handle in a handle":   {"handle {\n" + first + "handle /y {\n" + second + proxy + "}\n}\n", false},
		"the first in a route":                 {"route {\nroute {\n" + first + "}\n" + second + proxy + "}\n", false},
		"the second after an answer":           {first + "reverse_proxy 127.0.0.1:1 {\n@ok status 2xx\nhandle_response @ok {\n" + second + proxy + "}\n}\n", false},
		"both in an error route":               {"respond 1\nhandle_errors {\nroute {\n" + first + second + proxy + "}\n}\n", false},
		"in two handles":                       {"handle /x {\n" + first + proxy + "}\nhandle {\n" + second + proxy + "}\n", true},
		"in two handles, the second with /":    {"handle {\n" + first + proxy + "}\nhandle /x {\n" + second + proxy + "}\n", true},
		"behind matchers":                      {"@a method GET\n@b not method GET\nroute {\nkube_identity @a " + impersonates + "\nkube_identity @b " + reads + "\n" + proxy + "}\n", true},
		"in a site and its error route":        {first + proxy + "handle_errors {\n" + second + proxy + "}\n", true},
		"in a route that another one precedes": {"route /x {\n" + first + proxy + "}\nroute /y {\n" + second + proxy + "}\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			config := testhandler.Adapt(t, "{\nadmin off\nauto_https off\npersist_config off\n}\nhttp://127.0.0.1:0 {\n"+test.site+"}\n")
			err := caddy.Validate(mustConfig(t, config))
			switch {
			case test.loads && err != nil:
				t.Errorf("it does not load: %v", err)
			case !test.loads && (err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(passedTwice, "internal error: "))):
				t.Errorf("got %v", err)
			}
		})
	}
}

// Only JSON can have kube_identity in a named route.
func TestTwoHandlersOfANamedRouteDoNotLoad(t *testing.T) {
	impersonates, reads := two(t)
	config := mustConfig(t, testhandler.Adapt(t, "{\nadmin off\nauto_https off\npersist_config off\n}\nhttp://127.0.0.1:0 {\nroute {\nkube_identity "+
		impersonates+"\nkube_identity "+reads+"\n}\n}\n"))
	config.AppsRaw["http"] = json.RawMessage(strings.NewReplacer(
		`"listen":[":0"],"routes":[`, `"listen":[":0"],"routes":[{"handle":[{"handler":"invoke","name":"named"}]}],"named_routes":{"named":`,
		`"terminal":true}]`, `"terminal":true}}`,
	).Replace(string(config.AppsRaw["http"])))
	if err := caddy.Validate(config); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(passedTwice, "internal error: ")) {
		t.Errorf("got %v", err)
	}
}

func mustConfig(t *testing.T, content []byte) *caddy.Config {
	t.Helper()
	config := new(caddy.Config)
	if err := json.Unmarshal(content, config); err != nil {
		t.Fatal(err)
	}
	return config
}
