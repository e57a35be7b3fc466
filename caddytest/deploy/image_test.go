// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dockerfile has the instructions of the Dockerfile, one a line.
func dockerfile(t *testing.T) (instructions []string) {
	t.Helper()
	content, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(content), ""), "\\\n", "")
	for line := range strings.Lines(joined) {
		if words := strings.Join(strings.Fields(line), " "); words != "" {
			instructions = append(instructions, words)
		}
	}
	return instructions
}

// There is no registry here, so the image cannot be built. Its text can be read, its build command
// is run by the test below, and what it makes is run by TestThePodServesUnderItsRestrictions.
func TestTheDockerfile(t *testing.T) {
	lines := dockerfile(t)
	var from []string
	for _, line := range lines {
		if strings.HasPrefix(line, "FROM ") {
			from = append(from, line)
		}
		if strings.Contains(line, "setcap") {
			t.Errorf("%s: with a file capability the binary does not start where all are dropped", line)
		}
	}
	builder := regexp.MustCompile(`^FROM --platform=\$BUILDPLATFORM docker\.io/library/golang:(1\.[0-9.]+)-bookworm@sha256:[0-9a-f]{64} AS build$`)
	if len(from) != 2 || !builder.MatchString(from[0]) || from[1] != "FROM scratch" {
		t.Errorf("the stages are %q", from)
	}
	last := lines[slices.Index(lines, "FROM scratch"):]
	if slices.ContainsFunc(last, func(line string) bool { return strings.HasPrefix(line, "RUN ") }) {
		t.Error("the last stage runs something, which needs an emulator for the other platforms")
	}
	for _, want := range []string{
		`RUN .ci/release binary "$VERSION" "$TARGETOS" "$TARGETARCH" /out/usr/bin/caddy`,
		"COPY --from=build /out/ /",
		"ENV PATH=/usr/bin XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data",
		"USER 65532:65532",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no %q", want)
		}
	}
	label := slices.IndexFunc(last, func(line string) bool { return strings.HasPrefix(line, "LABEL ") })
	for _, name := range []string{"title", "source", "licenses", "version", "revision"} {
		if label < 0 || !strings.Contains(last[label], "org.opencontainers.image."+name+"=") {
			t.Errorf("there is no label %s", name)
		}
	}
	for _, line := range last {
		if ports, found := strings.CutPrefix(line, "EXPOSE "); found {
			for port := range strings.FieldsSeq(ports) {
				if n, err := strconv.Atoi(port); err != nil || n < 1024 {
					t.Errorf("it needs a right for port %s", port)
				}
			}
		}
	}
}

// The image starts Caddy as the chart does.
func TestTheImagesCommandIsTheCharts(t *testing.T) {
	container := render(t, "command", valuesFiles(t)["minimal"]).container()
	words := append(slices.Clone(container.Command), container.Args...)
	if want := `CMD ["` + strings.Join(words, `", "`) + `"]`; !slices.Contains(dockerfile(t), want) {
		t.Errorf("there is no %s", want)
	}
}

// The builder's Go is at least that of go.mod, and a version that its image has: it does not
// download another.
func TestTheBuildersGo(t *testing.T) {
	content, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	needed := regexp.MustCompile(`(?m)^go 1\.([0-9]+)`).FindStringSubmatch(string(content))
	has := regexp.MustCompile(`golang:1\.([0-9]+)`).FindStringSubmatch(strings.Join(dockerfile(t), "\n"))
	if needed == nil || has == nil {
		t.Fatal("a version is missing")
	}
	least, _ := strconv.Atoi(needed[1])
	if got, _ := strconv.Atoi(has[1]); got < least {
		t.Errorf("the builder has Go 1.%d, and go.mod needs 1.%d", got, least)
	}
}

func TestTheReleasedServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("this test reads an ELF file; the tests run on Linux")
	}
	file := released(t)
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("it is not static")
		}
	}
	if binary.Section(".symtab") != nil || binary.Section(".debug_info") != nil {
		t.Error("it is not stripped")
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, one := range info.Settings {
		settings[one.Key] = one.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("it was built with %v", settings)
	}
	if got := run(t, file, "version"); !strings.HasPrefix(got, "caddy-kube-identity-v0.0.0-test v2.") {
		t.Errorf("its version is %q", got)
	}
	want, err := os.ReadFile(root + "/testdata/list-modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	// Without the issuer for demonstrations, whose users and passwords all know.
	listed := regexp.MustCompile(`(?m)^[a-z].*\n`).FindAllString(run(t, file, "list-modules", "--skip-standard"), -1)
	if got := strings.Join(listed, ""); got != string(want) {
		t.Errorf("its modules are\n%s", got)
	}
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return string(output)
}

// The files that .dockerignore lets into the build are enough for it, and the same sources make the
// same bytes in another folder.
func TestTheFilesOfTheImagesBuild(t *testing.T) {
	context := t.TempDir()
	kept := keptByDockerignore(t)
	walk := func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == ".git":
			return fs.SkipDir
		}
		if entry.Type().IsRegular() && kept(name) {
			makeFolder(t, filepath.Join(context, path.Dir(name)))
			copyFile(t, filepath.Join(root, name), filepath.Join(context, name), 0o755)
		}
		return nil
	}
	if err := fs.WalkDir(os.DirFS(root), ".", walk); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(context, "README.md")); err == nil {
		t.Error("README.md is among them: another README would be another image")
	}
	again := filepath.Join(t.TempDir(), "caddy")
	build := exec.CommandContext(t.Context(), filepath.Join(context, ".ci", "release"), "binary", "v0.0.0-test", runtime.GOOS, runtime.GOARCH, again)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	first, err := os.ReadFile(released(t))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same sources make other bytes in another folder")
	}
}

// keptByDockerignore reads .dockerignore: the last line that fits a file, or a folder of it, counts.
func keptByDockerignore(t *testing.T) func(name string) bool {
	t.Helper()
	content, err := os.ReadFile(root + "/.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	type rule struct {
		fits *regexp.Regexp
		keep bool
	}
	var rules []rule
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, keep := strings.CutPrefix(line, "!")
		pattern = strings.NewReplacer(`\*\*/`, `(.*/)?`, `\*`, `[^/]*`).Replace(regexp.QuoteMeta(pattern))
		rules = append(rules, rule{regexp.MustCompile(`^` + pattern + `(/|$)`), keep})
	}
	return func(name string) bool {
		keep := true
		for _, one := range rules {
			if one.fits.MatchString(name) {
				keep = one.keep
			}
		}
		return keep
	}
}
