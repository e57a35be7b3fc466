// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"maps"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

// docsRecipe is a Caddyfile that a reader copies, and the words about it.
type docsRecipe struct {
	name, prose, caddyfile string

	page  string // the text of the page that it is on, if it is on one
	whole bool   // an example or a manifest, with the global options that it needs
	ready bool   // not a page's block about one option: a reader runs it as it stands
}

// docsRecipes returns the Caddyfiles of the manual, each with the text between the heading or the
// block before and itself, and those of the examples and the manifests.
func docsRecipes(t *testing.T) []docsRecipe {
	t.Helper()
	var recipes []docsRecipe
	manual := docsManual(t)
	for _, page := range slices.Sorted(maps.Keys(manual)) {
		text, before := manual[page], 0
		for _, at := range regexp.MustCompile("(?ms)^#+ [^\n]*$|^```(\\w+)\n(.*?\n)```$").FindAllStringSubmatchIndex(text, -1) {
			if at[2] >= 0 && text[at[2]:at[3]] == "caddyfile" {
				name := page + " block " + strconv.Itoa(len(recipes))
				recipes = append(recipes, docsRecipe{
					name: name, prose: text[before:at[0]], caddyfile: text[at[4]:at[5]],
					page: text, ready: slices.Contains([]string{"README.md", "docs/browsers.md"}, page),
				})
			}
			before = at[1]
		}
	}
	for _, pattern := range []string{"examples/*.caddyfile", "examples/kubernetes/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 || len(recipes) == 0 {
			t.Fatalf("%s: %d files: %v", pattern, len(files), err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recipe := docsRecipe{name: file, prose: string(content), caddyfile: string(content), whole: true, ready: true}
			if block := regexp.MustCompile(`(?m)^  Caddyfile: \|\n((?:    .*\n|\n)+)`).FindStringSubmatch(recipe.prose); block != nil {
				recipe.caddyfile = regexp.MustCompile(`(?m)^    `).ReplaceAllString(block[1], "")
			}
			recipes = append(recipes, recipe)
		}
	}
	return recipes
}

// adapted is the recipe as JSON, in a site if it has none.
func (r docsRecipe) adapted(t *testing.T) []byte {
	t.Helper()
	return docsAdapt(t, docsWithFiles(t, docsInASite(r.caddyfile)))
}

// handlers are the parts of the Caddyfile from each kube_identity to the next, without comments.
func (r docsRecipe) handlers() []string {
	text := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(r.caddyfile, "")
	return regexp.MustCompile(`(?m)^\s*kube_identity\b`).Split(text, -1)[1:]
}

// docsUpstreamNames are further names of the upstreams that have a preset, as a recipe's words
// or addresses have them. Every preset's own word is a name too.
func docsUpstreamNames() map[string]string {
	return map[string]string{
		"kiali":                `:20001\b`,
		"headlamp":             `:4466\b`,
		"grafana":              `:3000\b|x-webauth-`,
		"kube_apiserver":       `kubernetes\.default\.svc|the kubernetes api\b`,
		"kubernetes_dashboard": `:8443\b`,
		"openshift_oauth":      `oauth-openshift|openshift's oauth server`,
	}
}

// docsNamed returns the presets of the upstreams that a text names: each that begins with the
// upstream's word, and for the API server the injector that it has beside the presets.
func docsNamed(text string) []string {
	var named []string
	for preset := range injectors.Presets() {
		pattern := strings.ReplaceAll(preset, "_", "[ _-]")
		if more := docsUpstreamNames()[preset]; more != "" {
			pattern += "|" + more
		}
		if !regexp.MustCompile("(?i)" + pattern).MatchString(text) {
			continue
		}
		for other := range injectors.Presets() {
			if strings.HasPrefix(other, preset) {
				named = append(named, other)
			}
		}
		if preset == "kube_apiserver" {
			named = append(named, "front_proxy")
		}
	}
	return named
}

// docsInjects returns the words behind inject.
func docsInjects(text string) []string {
	var words []string
	for _, match := range regexp.MustCompile(`(?m)^\s*inject (\w+)`).FindAllStringSubmatch(text, -1) {
		words = append(words, match[1])
	}
	return words
}

func docsInjectsOneOf(text string, presets []string) bool {
	return slices.ContainsFunc(docsInjects(text), func(word string) bool { return slices.Contains(presets, word) })
}

// Kiali puts the token that it receives into a cookie of the browser. With plain "inject
// impersonation" that is the token of the account that may impersonate everybody, and no check
// at load can tell which upstream is behind: only a recipe says so. So a recipe that names an
// upstream which has a preset injects that preset, in each of its handlers: the one of the
// address to which it proxies, or else one of those that its words name.
func TestDocsARecipeForAnUpstreamHasItsPreset(t *testing.T) {
	seen := make(map[string]bool)
	for _, recipe := range docsRecipes(t) {
		inWords := docsNamed(recipe.prose + recipe.caddyfile)
		for i, handler := range recipe.handlers() {
			named := inWords
			if address := regexp.MustCompile(`(?m)^\s*reverse_proxy (.*)`).FindStringSubmatch(handler); address != nil {
				if inAddress := docsNamed(address[1]); len(inAddress) > 0 {
					named = inAddress
				}
			}
			if len(named) > 0 && !docsInjectsOneOf(handler, named) {
				t.Errorf("%s: handler %d has inject %v, and the upstream needs one of %v", recipe.name, i, docsInjects(handler), named)
			}
			for _, name := range named {
				seen[name] = true
			}
		}
	}
	for _, name := range []string{"kiali", "headlamp", "grafana", "kube_apiserver", "kubernetes_dashboard", "openshift_oauth"} {
		if !seen[name] {
			t.Errorf("the test found no recipe for %s", name)
		}
	}
}

// The tables that lead to the examples say for which upstream they are.
func TestDocsTheTablesOfExamplesNameTheUpstream(t *testing.T) {
	content, err := os.ReadFile("examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	manual := slices.Sorted(maps.Values(docsManual(t)))
	for line := range strings.Lines(strings.Join(manual, "\n") + string(content)) {
		file := regexp.MustCompile(`\((?:(?:\.\./)*examples/)?([\w/-]+\.(?:caddyfile|yaml))\)`).FindStringSubmatch(line)
		if !strings.HasPrefix(line, "| ") || file == nil || file[1] == "rbac.yaml" {
			continue
		}
		rows++
		example, err := os.ReadFile("examples/" + file[1])
		if err != nil {
			t.Error(err)
			continue
		}
		if named := docsNamed(strings.ReplaceAll(line, file[1], "")); len(named) > 0 && !docsInjectsOneOf(string(example), named) {
			t.Errorf("the row names the upstream of %v, and the file has inject %v:\n%s", named, docsInjects(string(example)), line)
		}
	}
	if rows < 20 {
		t.Errorf("the test found %d rows", rows)
	}
}

// One group that the account may not impersonate, and the API server refuses the user's whole
// request: Kiali shows no namespaces, Headlamp its page for tokens. So each recipe that
// impersonates lets through exact groups, from which "caddy kube-identity rbac" takes the rights,
// and each file says what users see otherwise.
func TestDocsARecipeThatImpersonatesSaysWhichGroups(t *testing.T) {
	for _, recipe := range docsRecipes(t) {
		impersonates := false
		docsHandlers(t, recipe.adapted(t), func(handler map[string]any) {
			for _, injector := range handler["injectors"].([]any) {
				if injector.(map[string]any)["injector"] != "impersonation" {
					continue
				}
				impersonates = true
				groups, _ := handler["allow_groups"].([]any)
				if len(groups) == 0 || slices.ContainsFunc(groups, func(group any) bool { return strings.HasSuffix(group.(string), "*") }) {
					t.Errorf("%s impersonates with allow_groups %v, and not with exact groups", recipe.name, groups)
				}
			}
		})
		if impersonates && !regexp.MustCompile(`(?s)no\W+namespaces|with 403|every group|fails: so other groups`).MatchString(recipe.page+recipe.prose+recipe.caddyfile) {
			t.Errorf("%s does not say what users see whose groups the account may not impersonate", recipe.name)
		}
	}
}

// docsHandlers calls visit for each kube_identity in a configuration.
func docsHandlers(t *testing.T, config []byte, visit func(handler map[string]any)) {
	t.Helper()
	var value any
	if err := json.Unmarshal(config, &value); err != nil {
		t.Fatal(err)
	}
	docsWalk(value, func(object map[string]any) {
		if object["handler"] == "kube_identity" {
			visit(object)
		}
	})
}

// docsWalk calls visit for each object in a JSON value.
func docsWalk(value any, visit func(object map[string]any)) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			docsWalk(element, visit)
		}
	case map[string]any:
		visit(value)
		for _, element := range value {
			docsWalk(element, visit)
		}
	}
}

// Caddy's log hides Authorization and cookies of a request that failed, and no other field. So a
// file in which a token comes or goes in another one begins with the filter that hides it.
func TestDocsTokensInOtherFieldsAreKeptOutOfTheLog(t *testing.T) {
	found := 0
	for _, recipe := range docsRecipes(t) {
		if !recipe.whole {
			continue
		}
		config := recipe.adapted(t)
		var log struct {
			Logging struct {
				Logs struct {
					Default struct {
						Encoder struct {
							Fields map[string]struct{ Filter string }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(config, &log); err != nil {
			t.Fatal(err)
		}
		for field := range docsTokenFields(t, config) {
			found++
			if line := "request>headers>" + field; log.Logging.Logs.Default.Encoder.Fields[line].Filter != "delete" {
				t.Errorf("%s has a token in %s, and its log has no %q", recipe.name, field, line+" delete")
			}
		}
	}
	if found == 0 {
		t.Error("the test found no token outside of Authorization")
	}
}

// docsTokenFields are the fields, except for Authorization, in which a token comes or goes.
func docsTokenFields(t *testing.T, config []byte) map[string]bool {
	t.Helper()
	fields := make(map[string]bool)
	docsHandlers(t, config, func(handler map[string]any) {
		docsWalk(handler, func(object map[string]any) {
			lines, _ := object["token_header"].([]any)
			if source, ok := object["source"].(string); ok && slices.Contains([]string{"oidc", "authentication_config", "token_review", "introspection"}, source) {
				lines = append(lines, "Sec-Websocket-Protocol") // where a browser may have a bearer token
			}
			if object["injector"] == "token" {
				lines = append(lines, object["field"])
			}
			for _, field := range append(lines, object["token"]) {
				if name, ok := field.(string); ok && name != "Authorization" {
					fields[textproto.CanonicalMIMEHeaderKey(name)] = true
				}
			}
		})
	})
	return fields
}

// The certificate of an issuer in a company is often by a CA of its own. Each recipe for such an
// issuer has the line for it, as a comment, and still loads when the reader removes the "#".
func TestDocsAnIssuerMayHaveACertificateByAPrivateCA(t *testing.T) {
	found := make(map[string]bool)
	for _, recipe := range docsRecipes(t) {
		if !recipe.ready {
			continue
		}
		for _, block := range regexp.MustCompile(`(?s)\toidc \S+ \{\n.*?\n\t*\}\n`).FindAllString(recipe.caddyfile, -1) {
			if strings.Contains(block, "\tpreset ") {
				continue // an issuer of the public internet
			}
			if !strings.Contains(block, "# trust_pool file ") {
				t.Errorf("%s does not say how a private CA of the issuer is trusted:\n%s", recipe.name, block)
			}
			found[recipe.name] = true
		}
		if found[recipe.name] {
			recipe.caddyfile = strings.ReplaceAll(recipe.caddyfile, "# trust_pool", "trust_pool")
			config := recipe.adapted(t)
			if pools := strings.Count(string(config), `"trust_pool":{"pem_files"`); pools == 0 {
				t.Errorf("%s has no pool of its own: %s", recipe.name, config)
			}
			docsValidate(t, config)
		}
	}
	if len(found) == 0 {
		t.Error("the test found no issuer")
	}
	t.Log("issuers in", slices.Sorted(maps.Keys(found)))
}
