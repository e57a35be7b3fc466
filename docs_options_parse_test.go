// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docsStruct is a struct of options.
type docsStruct struct {
	name   string // such as sources.OIDC
	fields []docsField
	line   *docsLine // what sets it in the grammar
	parent *docsStruct
}

// docsField is one of its fields. A field without a comment shares that of the field above it.
type docsField struct {
	owner, name, json, comment string
	of                         string // the struct of this module that is its type, if any
}

// docsLine is a line of a grammar, with the lines in its block.
type docsLine struct {
	text  string
	block []*docsLine
}

// parseDocsStructs reads the structs of all rooms.
func parseDocsStructs(t *testing.T) map[string]*docsStruct {
	t.Helper()
	structs := make(map[string]*docsStruct)
	grammars := make(map[string]*docsLine)
	for _, room := range []string{".", "pages", "sources", "injectors", "trustpool", "ipsource", "cmd/caddy/internal/demoissuer"} {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files: %v", room, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parseDocsFile(file, structs, grammars)
		}
	}
	for name, grammar := range grammars {
		placeDocsStruct(structs, structs[name], grammar, nil)
	}
	return structs
}

func parseDocsFile(file *ast.File, structs map[string]*docsStruct, grammars map[string]*docsLine) {
	room := file.Name.Name
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.Name == "UnmarshalCaddyfile" {
				_, syntax, _ := strings.Cut(decl.Doc.Text(), "Syntax:\n\n")
				grammars[room+"."+docsTypeName(decl.Recv.List[0].Type)] = parseDocsGrammar(syntax)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				if of, ok := spec.Type.(*ast.StructType); ok {
					name := room + "." + spec.Name.Name
					structs[name] = &docsStruct{name: name, fields: parseDocsFields(room, spec.Name.Name, of)}
				}
			}
		}
	}
}

// parseDocsFields returns the fields with a JSON name, and the embedded ones.
func parseDocsFields(room, owner string, of *ast.StructType) []docsField {
	var fields []docsField
	for _, field := range of.Fields.List {
		found := docsField{owner: owner, comment: field.Doc.Text(), of: room + "." + docsTypeName(field.Type)}
		if len(field.Names) > 0 {
			if field.Tag == nil || len(field.Names) > 1 {
				continue
			}
			tag, _ := strconv.Unquote(field.Tag.Value)
			found.json, _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			found.name = field.Names[0].Name
		}
		fields = append(fields, found)
	}
	return fields
}

func docsTypeName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return docsTypeName(expr.X)
	case *ast.ArrayType:
		return docsTypeName(expr.Elt)
	case *ast.Ident:
		return expr.Name
	}
	return ""
}

// parseDocsGrammar reads a grammar: a first line, and the lines in its block.
func parseDocsGrammar(syntax string) *docsLine {
	root := new(docsLine)
	open := []*docsLine{root}
	for line := range strings.Lines(syntax) {
		if line != "\n" && line[0] != '\t' {
			break
		}
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		depth := len(line) - len(strings.TrimLeft(line, "\t"))
		if depth > len(open) || strings.HasPrefix(words[0], "}") {
			continue
		}
		open = open[:depth]
		found := &docsLine{text: strings.Join(words, " ")}
		above := open[depth-1]
		above.block = append(above.block, found)
		open = append(open, found)
	}
	if len(root.block) == 0 {
		return nil
	}
	return root.block[0]
}

// placeDocsStruct finds the lines of a struct and of the structs in it.
func placeDocsStruct(structs map[string]*docsStruct, of *docsStruct, line *docsLine, parent *docsStruct) {
	of.line, of.parent = line, parent
	for _, field := range docsFlat(structs, of) {
		if inner := structs[field.of]; inner != nil {
			below := line.find(field.json)
			if below == nil {
				below = line // it is a word in the line of the block
			}
			placeDocsStruct(structs, inner, below, of)
		}
	}
}

// docsFlat returns the fields of a struct and of those that it embeds.
func docsFlat(structs map[string]*docsStruct, of *docsStruct) []docsField {
	var fields []docsField
	for _, field := range of.fields {
		switch inner := structs[field.of]; {
		case field.json != "":
			fields = append(fields, field)
		case field.name == "" && inner != nil:
			fields = append(fields, docsFlat(structs, inner)...)
		}
	}
	return fields
}

// find returns the line in the block that begins with a word.
func (l *docsLine) find(word string) *docsLine {
	for _, line := range l.block {
		first, _, _ := strings.Cut(line.text, " ")
		if slices.Contains(strings.Split(first, "|"), word) {
			return line
		}
	}
	return nil
}

var docsLineBrace = regexp.MustCompile(` (\[?)\{$`)

// usage is the line as a reader writes it, with one of several first words.
func (l *docsLine) usage(word string) string {
	_, rest, more := strings.Cut(l.text, " ")
	if more {
		word += " " + rest
	}
	return docsLineBrace.ReplaceAllStringFunc(word, func(brace string) string {
		return brace + " … }" + strings.Repeat("]", strings.Count(brace, "["))
	})
}
