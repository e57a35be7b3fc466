// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// quickstart is an example that runs as the README says: a built ./cmd/caddy, from the root
// of the checkout. Only ports and files are different, by the environment.
type quickstart struct {
	log string
}

func (q *quickstart) read(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(q.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// quickstartCurl runs a command line of the README: curl, flags that only change the output,
// any number of -H 'NAME: VALUE', and the URL.
func quickstartCurl(t *testing.T, line string) quickstartAnswer {
	t.Helper()
	var words []string
	for _, match := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, match[1]+match[2])
	}
	var url string
	var fields []string
	for i := 1; i < len(words); i++ {
		switch word := words[i]; {
		case word == "-H" && i+1 < len(words):
			i++
			fields = append(fields, words[i])
		case word == "-i" || word == "-s":
		case strings.HasPrefix(word, "http://") && url == "":
			url = word
		default:
			t.Fatalf("%s: this test does not know %q", line, word)
		}
	}
	return quickstartAsk(t, url, fields...)
}

// quickstartReadme returns the code block below a comment of the README.
func quickstartReadme(t *testing.T, comment string) string {
	t.Helper()
	content, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "<!-- "+comment+" -->\n```")
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("README.md has no code block below <!-- %s -->", comment)
	}
	return block
}

// TestQuickstart follows the README's steps for a newcomer, and checks the results that the
// README promises.
func TestQuickstart(t *testing.T) {
	ports := freeport.Ports(t, 4)
	ours := strings.NewReplacer(
		"127.0.0.1:8080", "127.0.0.1:"+ports[0],
		"127.0.0.1:8081", "127.0.0.1:"+ports[1],
		"127.0.0.1:8082", "127.0.0.1:"+ports[2],
	)
	login, upstream := "http://127.0.0.1:"+ports[0]+"/", "http://127.0.0.1:"+ports[2]+"/"
	args, found := strings.CutPrefix(quickstartReadme(t, "quickstart command"), "go run ./cmd/caddy ")
	if !found {
		t.Fatal("the README's command does not run ./cmd/caddy")
	}
	run := quickstartRun(t, program.Path(t), strings.Fields(args),
		map[string]string{"LOGIN_PORT": ports[0], "PROTECTED_PORT": ports[1], "UPSTREAM_PORT": ports[2], "ISSUER_PORT": ports[3]},
		"127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2])

	lines := strings.Split(ours.Replace(quickstartReadme(t, "quickstart curl")), "\n")
	if len(lines) != 3 {
		t.Fatalf("there are %d lines of curl, not 3", len(lines))
	}
	forged, accepted, overwritten := quickstartCurl(t, lines[0]), quickstartCurl(t, lines[1]), quickstartCurl(t, lines[2])

	t.Run("a forged field is refused", func(t *testing.T) {
		if forged.status != http.StatusUnauthorized || forged.body != "401 Unauthorized" {
			t.Errorf("got %d %q", forged.status, forged.body)
		}
		reason := quickstartReadme(t, "quickstart log")
		if !strings.Contains(run.read(t), reason) {
			t.Errorf("the log does not have %s", reason)
		}
	})

	t.Run("the login is believed, and the upstream sees alice and no other user", func(t *testing.T) {
		want := quickstartFields(t, ours.Replace(quickstartReadme(t, "quickstart answer")))
		delete(want, "User-Agent")
		for _, answer := range []quickstartAnswer{accepted, overwritten} {
			if got := answer.header.Get("Content-Type"); answer.status != http.StatusOK || got != "application/json" {
				t.Errorf("got %d %s", answer.status, got)
			}
			got := quickstartFields(t, answer.body)
			delete(got, "User-Agent")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the upstream received\n%v, and the README says\n%v", got, want)
			}
		}
	})

	t.Run("the proxy says who the user is to it, and a stranger is nobody to the upstream", func(t *testing.T) {
		page := quickstartAsk(t, login+"whoami", "Accept: text/html", "X-Remote-User: mallory")
		for _, want := range []string{">alice</strong>", "<li>on-call</li>", "<li>X-Remote-User</li>", "a credential: yes"} {
			if page.status != http.StatusOK || !strings.Contains(page.body, want) {
				t.Errorf("%d: the page does not have %s:\n%s", page.status, want, page.body)
			}
		}
		first := quickstartAsk(t, login, "Accept: text/html")
		if !strings.Contains(first.body, `href="/whoami"`) || !strings.Contains(first.body, `href="`+upstream+`"`) {
			t.Errorf("the upstream's page does not link there:\n%s", first.body)
		}
		if stranger := quickstartAsk(t, upstream, "Accept: text/html"); !strings.Contains(stranger.body, "No proxy vouches for you") {
			t.Errorf("a stranger gets\n%s", stranger.body)
		}
	})

	t.Run("a browser gets a page without markup of the client's", func(t *testing.T) {
		page := quickstartAsk(t, login+"?<i>", "Accept: text/html,*/*;q=0.8", `X-Note: <script>"{{.Req}}"`)
		if got := page.header.Get("Content-Type"); page.status != http.StatusOK || !strings.HasPrefix(got, "text/html") {
			t.Errorf("got %d %s", page.status, got)
		}
		for _, want := range []string{
			"<strong>alice</strong>", "<td>Impersonate-Group</td><td>on-call</td>", "<td>/?&lt;i&gt;</td>",
			"<td>Authorization</td><td>Bearer not-a-token.only-for-the-quickstart</td>",
			"<td>X-Note</td><td>&lt;script&gt;&#34;{{.Req}}&#34;</td>",
		} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page does not have %s:\n%s", want, page.body)
			}
		}
		if strings.Contains(page.body, "<script>") {
			t.Error("the page has markup of the client's")
		}
		if page := quickstartAsk(t, upstream, "Accept: text/html"); !strings.Contains(page.body, "No proxy vouches for you") {
			t.Errorf("past kube_identity the page is\n%s", page.body)
		}
	})
}

// quickstartFields reads the upstream's JSON.
func quickstartFields(t *testing.T, text string) map[string][]string {
	t.Helper()
	var fields map[string][]string
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("reading the upstream's answer: %v\n%s", err, text)
	}
	return fields
}
