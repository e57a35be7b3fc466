// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		If          string
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	all := make(map[string]workflow)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var one workflow
		if err := yaml.Unmarshal(content, &one); err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = one
	}
	return all
}

// A tag of an action can be moved to other code, a commit cannot.
func TestActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40}$`)
	for name, one := range workflows(t) {
		for _, job := range one.Jobs {
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s", name, step.Uses)
				}
			}
		}
	}
}

// Only the job that publishes may write, and it does not run for a branch.
func TestWorkflowsMayReadOnly(t *testing.T) {
	read := map[string]string{"contents": "read"}
	for name, one := range workflows(t) {
		if !maps.Equal(one.Permissions, read) {
			t.Errorf("%s may %v", name, one.Permissions)
		}
		for job, settings := range one.Jobs {
			if settings.Permissions == nil {
				continue
			}
			if job != "release" || settings.If != "github.event_name == 'push'" {
				t.Errorf("%s: the job %s may %v if %q", name, job, settings.Permissions, settings.If)
			}
		}
	}
	want := map[string]string{"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"}
	if got := workflows(t)["release.yml"].Jobs["release"].Permissions; !maps.Equal(got, want) {
		t.Errorf("the release may %v", got)
	}
}

// The weekly dry run builds what a release has, with the same program.
func TestTheDryRunBuildsAllBinaries(t *testing.T) {
	jobs := workflows(t)["release.yml"].Jobs
	runs := func(job, command string) bool {
		return slices.ContainsFunc(jobs[job].Steps, func(step struct{ Uses, Run string }) bool { return step.Run == command })
	}
	if !runs("dry-run", ".ci/release all dry-run dist") || !runs("release", `.ci/release all "$VERSION" dist`) {
		t.Error("a job does not run .ci/release all")
	}
}
