// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// settings are the values that the parsers of the tests fill in.
type settings struct {
	Flag      bool
	Word      string
	List      []string
	Number    int
	Size      int
	Duration  caddy.Duration
	Fields    []string
	Separator string
}

// notBad is a check that the value "bad" does not pass.
func notBad(value string) error {
	if value == "bad" {
		return errors.New("the value is bad")
	}
	return nil
}

func (s *settings) options() option.Options {
	return option.Options{
		"flag":         option.Flag(&s.Flag),
		"word":         option.Word(&s.Word, notBad),
		"list":         option.List(&s.List, option.Each(notBad)),
		"number":       option.Number(&s.Number),
		"size":         option.Size(&s.Size, 4096),
		"placeholders": option.PlaceholderNames(&s.List),
		"duration":     option.Duration(&s.Duration),
		"fields":       option.ListAndSeparator(&s.Fields, &s.Separator, option.Each(notBad)),
		"one": func(d *caddyfile.Dispenser) error {
			return option.OneAndSeparator(d, &s.Word, &s.Separator, notBad)
		},
		"again": func(d *caddyfile.Dispenser) error {
			s.List = append(s.List, d.RemainingArgs()...)
			return option.NoBlock(d)
		},
	}
}

// parse parses a block of these lines.
func parse(lines string) (settings, error) {
	var s settings
	d := caddyfile.NewTestDispenser("kind {\n" + lines + "\n}\n")
	d.Next()
	err := option.Block(d, s.options(), "again")
	return s, err
}

func TestOptionsAreRead(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  settings
	}{
		"nothing":                             {"", settings{}},
		"a flag":                              {"flag", settings{Flag: true}},
		"a word":                              {"word a", settings{Word: "a"}},
		"a word in quotes":                    {`word "a b"`, settings{Word: "a b"}},
		"a list of one":                       {"list a", settings{List: []string{"a"}}},
		"a list of several":                   {"list a b c", settings{List: []string{"a", "b", "c"}}},
		"a number":                            {"number 7", settings{Number: 7}},
		"the smallest number":                 {"number 1", settings{Number: 1}},
		"a duration":                          {"duration 90s", settings{Duration: caddy.Duration(90 * time.Second)}},
		"a duration in days":                  {"duration 2d", settings{Duration: caddy.Duration(48 * time.Hour)}},
		"a size in bytes":                     {"size 7", settings{Size: 7}},
		"a size in kibibytes":                 {"size 2KiB", settings{Size: 2048}},
		"the largest size":                    {"size 4KiB", settings{Size: 4096}},
		"names of placeholders":               {"placeholders a.b {c.d}", settings{List: []string{"a.b", "c.d"}}},
		"several options":                     {"flag\nword a\nnumber 2", settings{Flag: true, Word: "a", Number: 2}},
		"an option that may be repeated":      {"again a\nagain b", settings{List: []string{"a", "b"}}},
		"fields without a separator":          {"fields X-A X-B", settings{Fields: []string{"X-A", "X-B"}}},
		"fields and a separator":              {"fields X-A X-B ,", settings{Fields: []string{"X-A", "X-B"}, Separator: ","}},
		"a separator alone is a field":        {"fields ,", settings{Fields: []string{","}}},
		"only the last may be a separator":    {"fields ; ,", settings{Fields: []string{";"}, Separator: ","}},
		"a blank as separator":                {`fields X-A " "`, settings{Fields: []string{"X-A"}, Separator: " "}},
		"a letter is not a separator":         {"fields X-A x", settings{Fields: []string{"X-A", "x"}}},
		"one field":                           {"one X-A", settings{Word: "X-A"}},
		"one field and a separator":           {"one X-A |", settings{Word: "X-A", Separator: "|"}},
		"one field that could be a separator": {"one | ,", settings{Word: "|", Separator: ","}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parse(test.lines); err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestOptionsAreRefused(t *testing.T) {
	const arguments = "rong argument count"
	for name, test := range map[string]struct{ lines, want string }{
		"a word that is not an option":         {"flags", "unrecognized subdirective 'flags'"},
		"a word in another case":               {"Flag", "unrecognized subdirective 'Flag'"},
		"an argument of a flag":                {"flag yes", arguments},
		"no argument of a word":                {"word", arguments},
		"two arguments of a word":              {"word a b", arguments},
		"no argument of a list":                {"list", arguments},
		"no argument of a number":              {"number", arguments},
		"two arguments of a number":            {"number 1 2", arguments},
		"no argument of a duration":            {"duration", arguments},
		"two arguments of a duration":          {"duration 1s 2s", arguments},
		"no argument of fields":                {"fields", arguments},
		"no argument of one field":             {"one", arguments},
		"three arguments of one field":         {"one X-A , ;", arguments},
		"a flag twice":                         {"flag\nflag", "flag already specified"},
		"a word twice":                         {"word a\nflag\nword a", "word already specified"},
		"a list twice":                         {"list a\nlist b", "list already specified"},
		"a block after a flag":                 {"flag {\nword a\n}", "unexpected block"},
		"an empty block after a flag":          {"flag {\n}", "unexpected block"},
		"a block after a word":                 {"word a {\nflag\n}", "unexpected block"},
		"an empty block after a word":          {"word a {\n}", "unexpected block"},
		"a block after a list":                 {"list a b {\nflag\n}", "unexpected block"},
		"a block after a number":               {"number 1 {\nflag\n}", "unexpected block"},
		"a block after a duration":             {"duration 1s {\nflag\n}", "unexpected block"},
		"a block after fields":                 {"fields X-A , {\nflag\n}", "unexpected block"},
		"a block after one field":              {"one X-A , {\nflag\n}", "unexpected block"},
		"a bad word":                           {"word bad", "parsing word: the value is bad"},
		"a bad element of a list":              {"list a bad b", "parsing list: the value is bad"},
		"a bad field":                          {"fields bad ,", "parsing fields: the value is bad"},
		"a bad field alone":                    {"one bad", "parsing one: the value is bad"},
		"a number that is a word":              {"number many", "parsing number: expected a whole number such as 100, and got 'many'"},
		"a number with a fraction":             {"number 1.5", "parsing number"},
		"a number that is too large":           {"number 99999999999999999999", "is too large"},
		"zero":                                 {"number 0", "parsing number: 0 is less than 1"},
		"a negative number":                    {"number -1", "parsing number: -1 is less than 1"},
		"no argument of a size":                {"size", arguments},
		"a size of zero":                       {"size 0", "parsing size: 0 bytes is not between 1 and 4096"},
		"a size of zero kibibytes":             {"size 0KiB", "parsing size: 0 bytes is not between 1 and 4096"},
		"a size that is too large":             {"size 4097", "parsing size: 4097 bytes is not between 1 and 4096"},
		"a size that is far too large":         {"size 99999999999KiB", "is not a number of bytes"},
		"a size in another unit":               {"size 4kB", `parsing size: "4kB" is not a number of bytes: write one such as 4096 or 32KiB`},
		"a block after a size":                 {"size 1 {\nflag\n}", "unexpected block"},
		"a placeholder of the client's":        {"placeholders http.request.header.X", "a client can write {http.request.header.X}"},
		"the same in braces":                   {"placeholders {http.request.header.X}", "a client can write {http.request.header.X}"},
		"a placeholder with text around it":    {"placeholders x{a.b}", "is not the exact name of one placeholder"},
		"a duration without a unit":            {"duration 5", "parsing duration"},
		"a duration that is a word":            {"duration soon", "parsing duration"},
		"a duration of zero":                   {"duration 0s", "parsing duration: 0s is not above zero"},
		"a negative duration":                  {"duration -1s", "parsing duration: -1s is not above zero"},
		"a separator of two characters":        {"one X-A ,,", "parsing one: the separator "},
		"a letter as separator":                {"one X-A x", "parsing one: the separator "},
		"a digit as separator":                 {"one X-A 1", "parsing one: the separator "},
		"a separator that is not ASCII":        {"one X-A ·", "parsing one: the separator "},
		"the line of the option, not the last": {"flag\nword bad\nnumber 1", "Testfile:3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parse(test.lines); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v and error %v, want one that says %q", got, err, test.want)
			}
		})
	}
}

// An option that is refused leaves the value as it was.
func TestAValueIsSetOnlyWhenItIsGood(t *testing.T) {
	for _, lines := range []string{"word bad", "list bad", "number 0", "size 0", "placeholders http.request", "duration 0s", "fields bad", "one bad", "flag x"} {
		if got, err := parse(lines); err == nil || !reflect.DeepEqual(got, settings{}) {
			t.Errorf("%s: got %+v and error %v", lines, got, err)
		}
	}
}
