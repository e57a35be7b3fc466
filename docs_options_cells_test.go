// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// docsOptionUsage has the options whose word is not their name in JSON, or which are an argument of
// another option.
var docsOptionUsage = map[string]string{
	"Handler.SourcesRaw":           "client_cert|forwarded|oidc|authentication_config|token_review|introspection|placeholder|anonymous",
	"Handler.InjectorsRaw":         "inject token|impersonation|headers|front_proxy|<preset>",
	"Kubernetes.Context":           "kubeconfig <path> <context>",
	"KubernetesService.Context":    "kubeconfig <path> <context>",
	"KubernetesService.Service":    "<namespace>/<name>",
	"ClaimOptions.UsernamePrefix":  "username_claim <claim> <prefix>",
	"ClaimOptions.GroupsPrefix":    "groups_claim <claim> <prefix>",
	"ClaimOptions.RequiredClaims":  "required_claim <claim> <value>",
	"Client.ClientAuthFile":        "client_auth private_key_jwt|assertion_file <file>",
	"Forwarded.GroupsSeparator":    "groups <field>... <separator>",
	"Placeholder.GroupsSeparator":  "groups <placeholder> <separator>",
	"Headers.GroupsSeparator":      "groups <field> <separator>",
	"ClientCert.VerifyValue":       "verify_header <field> <value>",
	"CertTrustDomain.TrustPoolRaw": "<ca_pool_module> ...",
	"CertUser.UserGroups":          "<group>...",
	"CertOCSP.Responder":           "<responder_url>",
	"WatchedFile.Files":            "<pem_file>...",
	"SPIFFEBundle.File":            "<jwks_file>",
}

// docsTableOf renders the tables of a page.
type docsTableOf struct {
	structs map[string]*docsStruct
	links   map[string][3]string
	page    string
}

// rows returns the rows of a struct; only those of the given options, if there are any, in their order.
func (d docsTableOf) rows(t *testing.T, name string, only []string) string {
	t.Helper()
	of := d.structs[name]
	if of == nil || of.line == nil {
		t.Fatalf("%s: there is no struct %s of a module", d.page, name)
	}
	return d.rowsBelow(t, of, only, "", "")
}

func (d docsTableOf) rowsBelow(t *testing.T, of *docsStruct, only []string, path, word string) string {
	t.Helper()
	rows := make(map[string]string)
	var found []string
	fields := docsFlat(d.structs, of)
	for i := 0; i < len(fields); {
		field, shared := fields[i], []docsField{fields[i]}
		for i++; i < len(fields) && fields[i].comment == "" && fields[i].owner == field.owner; i++ {
			shared = append(shared, fields[i])
		}
		if len(only) > 0 && !slices.Contains(only, field.json) {
			continue
		}
		var options []string
		for _, one := range shared {
			options = append(options, d.option(t, of, one, path, word))
		}
		meaning, byDefault := docsMeaning(t, of.name, field, d.idents(of))
		inner := d.structs[field.of]
		if link, ok := d.links[field.of]; ok {
			meaning += " See [" + link[2] + "](" + docsLinkTo(d.page, link) + ")."
		}
		row := "| " + strings.Join(options, "<br>") + " | " + docsCell(meaning) + " | " + docsCell(byDefault) + " |\n"
		if _, own := d.links[field.of]; inner != nil && !own {
			row += d.rowsBelow(t, inner, nil, path+field.json+".", strings.TrimSpace(word+" "+field.json))
		}
		found = append(found, field.json)
		rows[field.json] = row
	}
	if len(only) > 0 {
		found = only
	}
	var table strings.Builder
	for _, option := range found {
		table.WriteString(rows[option])
	}
	return table.String()
}

func docsLinkTo(page string, link [3]string) string {
	if link[0] == page {
		return "#" + link[1]
	}
	return docsRelative(page, link[0]) + "#" + link[1]
}

// option is the cell of an option: how it is written in a Caddyfile, and its name in JSON, if that
// is another one.
func (d docsTableOf) option(t *testing.T, of *docsStruct, field docsField, path, word string) string {
	t.Helper()
	usage := docsOptionUsage[field.owner+"."+field.name]
	argument := regexp.MustCompile(`<` + field.json + `>(?:\.\.\.)?`).FindString(of.line.text)
	switch line := of.line.find(field.json); {
	case usage != "":
		docsCheckUsage(t, of, usage)
	case line != nil:
		usage = line.usage(field.json)
	case argument != "":
		usage = argument
	case regexp.MustCompile(`\b` + field.json + `\b`).MatchString(of.line.text):
		usage = field.json
	default:
		t.Errorf("%s.%s is not in the grammar of %q: add it to docsOptionUsage", field.owner, field.name, of.line.text)
	}
	first := regexp.MustCompile(`^<?([\w-]+)`).FindStringSubmatch(usage)
	if word != "" {
		usage = word + " " + usage
	}
	cell := "`" + strings.ReplaceAll(usage, "|", `\|`) + "`"
	if path != "" || first == nil || first[1] != field.json {
		cell += ", in JSON `" + path + field.json + "`"
	}
	return cell
}

// docsCheckUsage: the grammar has all words of what docsOptionUsage says.
func docsCheckUsage(t *testing.T, of *docsStruct, usage string) {
	t.Helper()
	lines := []string{of.line.text}
	for _, line := range of.line.block {
		lines = append(lines, line.text)
	}
	for word := range strings.FieldsFuncSeq(usage, func(r rune) bool { return r == ' ' || r == '|' }) {
		if !strings.Contains(strings.Join(lines, " "), strings.TrimSuffix(word, "...")) {
			t.Errorf("%s: the grammar does not have %s of %q", of.name, word, usage)
		}
	}
}

// idents are the words of the options of a struct, and of those that it is in, by their fields.
func (d docsTableOf) idents(of *docsStruct) map[string]string {
	words := make(map[string]string)
	for ; of != nil; of = of.parent {
		for _, field := range docsFlat(d.structs, of) {
			word, _, _ := strings.Cut(docsOptionUsage[field.owner+"."+field.name], " ")
			if word == "" || strings.HasPrefix(word, "<") {
				word = field.json
			}
			name := strings.TrimSuffix(field.name, "Raw")
			if words[name] == "" {
				words[name] = word
			}
		}
	}
	delete(words, "Kubernetes") // these are names, too
	delete(words, "Service")
	return words
}

// docsMeaning splits a comment into what an option means and its default.
func docsMeaning(t *testing.T, of string, field docsField, idents map[string]string) (meaning, byDefault string) {
	t.Helper()
	text := strings.Join(strings.Fields(field.comment), " ")
	if text == "" {
		t.Errorf("%s: %s has no comment", of, field.name)
		return "", ""
	}
	meaning, byDefault, _ = strings.Cut(text, "Default: ")
	required := regexp.MustCompile(`(?:^| )Required((?:[: ][^.]*)?)\.(?: |$)`)
	if match := required.FindStringSubmatch(meaning); match != nil {
		if byDefault != "" {
			t.Errorf("%s: %s is required and has a default", of, field.name)
		}
		byDefault = "required" + match[1]
		meaning = required.ReplaceAllString(meaning, " ")
	}
	byDefault = strings.TrimSuffix(strings.TrimSpace(byDefault), ".")
	if byDefault == "" || strings.Contains(byDefault, ". ") {
		t.Errorf("%s: the comment of %s does not end with a default, and the option is not required: %q", of, field.name, byDefault)
	}
	meaning = docsSubject(strings.TrimSpace(meaning), field.name)
	return docsSpans(meaning, true, idents), docsSpans(byDefault, false, idents)
}

// docsSubject takes the name of the field off the beginning: the first column has it.
func docsSubject(text, name string) string {
	match := regexp.MustCompile(`^` + name + `(?:, [A-Z]\w+)*(?: and [A-Z]\w+)? (is |are )?`).FindStringSubmatch(text)
	if len(match) == 0 || match[1] == "" && regexp.MustCompile(`^\w+ (?:of|for) `).MatchString(text) {
		return text
	}
	rest := strings.TrimPrefix(text, match[0])
	first, size := utf8.DecodeRuneInString(rest)
	return string(unicode.ToUpper(first)) + rest[size:]
}

var (
	docsQuoted = regexp.MustCompile(`"([^"]+)"`)
	docsHeader = regexp.MustCompile(`^(?:Authorization|[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)+\*?|[A-Z][A-Za-z]*-(?:[A-Z][A-Za-z]*-)*\*)$`)
	docsClaim  = regexp.MustCompile(`^(?:aud|azp|cnf|exp|iat|iss|nbf|sid|tid)$`)
	docsSnake  = regexp.MustCompile(`^[a-z0-9]+(?:_[a-z0-9]+)+$`)
	docsSigns  = regexp.MustCompile(`[<>{}*_$=\\#]|\w:\w|^/|/$|\w/\w`)
)

// docsSpans puts options, values and names of header fields into backquotes. The first word of a
// sentence is an option only if it cannot be a word of English.
func docsSpans(text string, begins bool, idents map[string]string) string {
	var out []string
	for i, part := range strings.Split(docsQuoted.ReplaceAllString(text, "`$1`"), "`") {
		if i%2 == 1 {
			out = append(out, "`"+part+"`")
			begins = false
			continue
		}
		words := strings.Split(part, " ")
		for j, word := range words {
			if word == "" {
				continue
			}
			words[j] = docsWord(word, begins, idents)
			begins = strings.HasSuffix(word, ".")
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, "")
}

// docsWord does it for one word.
func docsWord(word string, begins bool, idents map[string]string) string {
	core := strings.Trim(word, "(),.;:")
	core = strings.TrimSuffix(core, "'s")
	if core == "" {
		return word
	}
	before, after, _ := strings.Cut(word, core)
	humps := len(regexp.MustCompile(`[A-Z]+`).FindAllString(core, -1)) > 1 || len(core) > 4 && core == strings.ToUpper(core)
	switch option, known := idents[core]; {
	case known && (humps || !begins && core != strings.ToUpper(core)):
		return before + "`" + option + "`" + after
	case docsHeader.MatchString(core) && core != "Back-Channel", docsClaim.MatchString(core), docsSnake.MatchString(core), docsSigns.MatchString(core):
		return before + "`" + core + "`" + after
	}
	return word
}

// docsCell escapes what would end a cell.
func docsCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
