// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// ApplyFile applies a YAML manifest of one or more documents, as admin, in the order of
// the file. The API server reads the YAML; this code only has to find the path for each
// document, so it knows a handful of kinds, and expects apiVersion, kind and metadata in
// block style.
func (s *Server) ApplyFile(ctx context.Context, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	for _, document := range documents(string(content)) {
		if err := s.apply(ctx, document); err != nil {
			return fmt.Errorf("applying %s: %w", path, err)
		}
	}
	return nil
}

func (s *Server) apply(ctx context.Context, document string) error {
	object := scan(document)
	target, err := object.path()
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/apply-patch+yaml"}}
	target += "?fieldManager=caddytest&force=true"
	status, answer, err := s.send(ctx, s.admin, http.MethodPatch, target, header, []byte(document))
	if err != nil {
		return err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return refused(object.kind+" "+object.name, status, answer)
	}
	return nil
}

// documents splits at the lines "---" and leaves out documents of comments only.
func documents(content string) []string {
	var all []string
	var current strings.Builder
	var filled bool
	flush := func() {
		if filled {
			all = append(all, current.String())
		}
		current.Reset()
		filled = false
	}
	for line := range strings.Lines(content) {
		trimmed := strings.TrimRight(line, " \t\r\n")
		if trimmed == "---" {
			flush()
			continue
		}
		text := strings.TrimSpace(trimmed)
		filled = filled || (text != "" && !strings.HasPrefix(text, "#"))
		current.WriteString(line)
	}
	flush()
	return all
}

// object has the fields that decide the path of a document in the API.
type object struct {
	apiVersion, kind, namespace, name string
}

// scan reads the fields of object from a document, and nothing else.
func scan(document string) object {
	var found object
	section, indent := "", 0
	for line := range strings.Lines(document) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, value, _ := strings.Cut(text, ":")
		depth := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case depth == 0:
			section, indent = key, 0
			found.set(key, value)
		case section != "metadata":
		case indent == 0 || depth == indent: // deeper is a label or an annotation
			indent = depth
			found.set("metadata."+key, value)
		}
	}
	return found
}

func (o *object) set(key, value string) {
	value, _, _ = strings.Cut(value, " #")
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	switch key {
	case "apiVersion":
		o.apiVersion = value
	case "kind":
		o.kind = value
	case "metadata.namespace":
		o.namespace = value
	case "metadata.name":
		o.name = value
	}
}

// path is the path of the object in the REST API.
func (o object) path() (string, error) {
	const rbac = "rbac.authorization.k8s.io/v1"
	kinds := map[string]struct {
		apiVersion, resource string
		namespaced           bool
	}{
		"Namespace":          {"v1", "namespaces", false},
		"ServiceAccount":     {"v1", "serviceaccounts", true},
		"Secret":             {"v1", "secrets", true},
		"ConfigMap":          {"v1", "configmaps", true},
		"ClusterRole":        {rbac, "clusterroles", false},
		"ClusterRoleBinding": {rbac, "clusterrolebindings", false},
		"Role":               {rbac, "roles", true},
		"RoleBinding":        {rbac, "rolebindings", true},
	}
	kind, known := kinds[o.kind]
	switch {
	case !known || kind.apiVersion != o.apiVersion:
		return "", fmt.Errorf("unknown kind %q of %q", o.kind, o.apiVersion)
	case o.name == "":
		return "", fmt.Errorf("%s without a name", o.kind)
	case kind.namespaced && o.namespace == "":
		return "", fmt.Errorf("%s %s without a namespace", o.kind, o.name)
	}
	path := "/api/v1/"
	if o.apiVersion != "v1" {
		path = "/apis/" + o.apiVersion + "/"
	}
	if kind.namespaced {
		path += "namespaces/" + o.namespace + "/"
	}
	// RBAC names may hold a colon and more; they are valid in the path as they are.
	return path + kind.resource + "/" + o.name, nil
}
