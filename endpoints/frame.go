// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxFrame is how long one frame may be, in bytes: etcd stores objects of up to 1.5 MiB.
	maxFrame = 4 << 20

	// initialEnd is the annotation of the bookmark after the initial slices (KEP-3157).
	initialEnd = "k8s.io/initial-events-end"
)

// The types of frames (k8s.io/apimachinery, pkg/watch).
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	bookmark = "BOOKMARK"
	broken   = "ERROR"
)

// errExpired is about a watch from a version that the API server has no longer: 410, as the
// status of the answer or in a frame.
var errExpired = errors.New("the API server does not have the version any more")

// frame is one line of a watch.
type frame struct {
	Type   string `json:"type"`
	Object object `json:"object"`
}

// object is what is read of an EndpointSlice, which a bookmark is too, and of a Status.
type object struct {
	Kind     string `json:"kind"`
	Version  string `json:"apiVersion"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	AddressType string     `json:"addressType"`
	Endpoints   []endpoint `json:"endpoints"`

	Code    int    `json:"code"`
	Message string `json:"message"`
}

// endpoint is one pod. Conditions that are not there are unknown.
type endpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready   *bool `json:"ready"`
		Serving *bool `json:"serving"`
	} `json:"conditions"`
}

// sends says whether the endpoint may send requests. An endpoint that is terminating and still
// serves has requests under way. Unknown means ready, as the API's documentation says.
func (e *endpoint) sends() bool {
	switch c := e.Conditions; {
	case c.Serving != nil:
		return *c.Serving
	case c.Ready != nil:
		return *c.Ready
	default:
		return true
	}
}

// list is a page of EndpointSlices.
type list struct {
	Kind     string `json:"kind"`
	Version  string `json:"apiVersion"`
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []object `json:"items"`
}

const (
	apiVersion = "discovery.k8s.io/v1"
	sliceKind  = "EndpointSlice"
)

// frames reads a watch line by line.
func frames(body io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxFrame)
	return lines
}

// parseFrame reads one line. An error does not show it. A frame of the type ERROR is one, too.
func parseFrame(line []byte) (*frame, error) {
	f := new(frame)
	if err := json.Unmarshal(line, f); err != nil {
		return nil, errors.New("a frame of the watch is not JSON of the expected form")
	}
	switch f.Type {
	case added, modified, deleted, bookmark:
		if f.Object.Kind != sliceKind || f.Object.Version != apiVersion {
			return nil, fmt.Errorf("a frame of the watch is about %s of %s", identity.Quote(f.Object.Kind), identity.Quote(f.Object.Version))
		}
		return f, nil
	case broken:
		if f.Object.Code == http.StatusGone {
			return nil, errExpired
		}
		return nil, fmt.Errorf("the API server ends the watch (status %d): %s", f.Object.Code, identity.Quote(f.Object.Message))
	default:
		return nil, fmt.Errorf("a frame of the watch has the type %s", identity.Quote(f.Type))
	}
}

// parseList reads the answer to a list.
func parseList(body []byte) (*list, error) {
	l := new(list)
	switch err := json.Unmarshal(bytes.TrimSpace(body), l); {
	case err != nil:
		return nil, errors.New("the list is not JSON of the expected form")
	case l.Kind != sliceKind+"List" || l.Version != apiVersion:
		return nil, fmt.Errorf("the list is %s of %s", identity.Quote(l.Kind), identity.Quote(l.Version))
	case l.Metadata.Continue != "":
		return nil, errTooManySlices
	case l.Metadata.ResourceVersion == "":
		return nil, errors.New("the list has no resourceVersion")
	}
	return l, nil
}
