// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	goyaml "go.yaml.in/yaml/v2"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

const (
	// maxSize is how long a file may be, in bytes.
	maxSize = 1 << 20

	group = "apiserver.config.k8s.io"
	kind  = "AuthenticationConfiguration"
)

// Parse reads a file, YAML or JSON. It must have exactly one document, of at most 1 MiB; an
// unknown field (names are case-sensitive) or a repeated one is an error. The error names
// every wrong field. No network is used.
func Parse(content []byte) (*Config, error) {
	if len(content) > maxSize {
		return nil, fmt.Errorf("the file has %d bytes, more than %d", len(content), maxSize)
	}
	document, err := toJSON(content)
	if err != nil {
		return nil, err
	}
	if err := checkKind(document); err != nil {
		return nil, err
	}
	var c configuration
	strict, err := json.UnmarshalStrict(document, &c)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if err := utilerrors.NewAggregate(strict); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return newConfig(&c)
}

// toJSON finds the one document. JSON is left unchanged: it may be indented with tabs, which
// YAML does not allow.
func toJSON(content []byte) ([]byte, error) {
	if stdjson.Valid(content) {
		return content, nil
	}
	// the API server reads the first document and ignores the others
	decoder := goyaml.NewDecoder(bytes.NewReader(content))
	for n := 0; ; n++ {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, yamlError(err)
		}
		if n > 0 && document != nil {
			return nil, errors.New("the file has more than one document")
		}
	}
	// strict: the API server and this package could each believe another one of two equal keys
	document, err := yaml.YAMLToJSONStrict(content)
	if err != nil {
		return nil, yamlError(err)
	}
	return document, nil
}

// yamlError puts several errors on one line.
func yamlError(err error) error {
	if several, ok := errors.AsType[*goyaml.TypeError](err); ok {
		return fmt.Errorf("reading YAML: %s", strings.Join(several.Errors, ", "))
	}
	return fmt.Errorf("reading YAML: %w", err)
}

// checkKind checks the version and kind of the document before its fields are read by them.
func checkKind(document []byte) error {
	var meta struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(document, &meta); err != nil {
		return errors.New("the document is not an object with apiVersion and kind")
	}
	switch {
	case meta.Kind == "":
		return errors.New("kind: Required value: " + kind)
	case meta.Kind != kind:
		return fmt.Errorf("kind: Unsupported value: %q: must be %s", meta.Kind, kind)
	}
	switch meta.APIVersion {
	case group + "/v1", group + "/v1beta1":
		return nil
	case "":
		return fmt.Errorf("apiVersion: Required value: %s/v1", group)
	case group + "/v1alpha1":
		return fmt.Errorf("apiVersion: Unsupported value: %q: v1alpha1 is not read, write v1 (the fields are the same)",
			meta.APIVersion)
	default:
		return fmt.Errorf("apiVersion: Unsupported value: %q: must be %s/v1 or %s/v1beta1", meta.APIVersion, group, group)
	}
}
