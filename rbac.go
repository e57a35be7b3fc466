// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// rbacOptions are what the configuration does not say.
type rbacOptions struct {
	subject     string // <namespace>/<name> of the service account that Caddy runs as
	constrained bool   // the verbs of KEP-5284
}

// needs is what the handlers of one configuration do in the cluster.
type needs struct {
	reviews  bool
	accounts []string                  // of which tokens are asked for, <namespace>/<name>
	acting   map[string]*impersonating // by the account whose credential it is
}

// impersonating is whom a credential impersonates.
type impersonating struct {
	groups    []string // exact names
	allGroups bool     // any, since some allow_groups does not say which
	accounts  bool     // service accounts, out of TokenReviews
	uid       bool
	extra     []string
	byCert    bool // a client certificate, and not a token, of the account
}

// rbac prints the manifest that a configuration needs.
func rbac(out io.Writer, config []byte, options rbacOptions) error {
	if err := checkServiceAccount(options.subject); err != nil {
		return fmt.Errorf("--subject: %w", err)
	}
	var document any
	if err := json.Unmarshal(config, &document); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	n := &needs{acting: make(map[string]*impersonating)}
	handlers := 0
	err := eachHandler(document, func(h *Handler) error {
		handlers++
		return n.add(h, options.subject)
	})
	switch {
	case err != nil:
		return err
	case handlers == 0:
		return errors.New("there is no kube_identity in the configuration")
	case !n.reviews && len(n.accounts) == 0 && len(n.acting) == 0:
		_, err := fmt.Fprintln(out, "# This configuration needs nothing in the cluster.")
		return err
	}
	for _, line := range n.remarks(options) {
		if _, err := fmt.Fprintf(out, "# %s\n", line); err != nil {
			return err
		}
	}
	for _, object := range n.objects(options) {
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "---\n%s", encoded); err != nil {
			return err
		}
	}
	return nil
}

// eachHandler finds the handlers wherever they stand.
func eachHandler(value any, visit func(*Handler) error) error {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if err := eachHandler(element, visit); err != nil {
				return err
			}
		}
	case map[string]any:
		if value["handler"] == "kube_identity" {
			h := new(Handler)
			encoded, err := json.Marshal(value)
			if err == nil {
				err = json.Unmarshal(encoded, h)
			}
			if err != nil {
				return fmt.Errorf("reading a kube_identity: %w", err)
			}
			return visit(h)
		}
		for _, element := range value {
			if err := eachHandler(element, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// add notes what one handler does.
func (n *needs) add(h *Handler, subject string) error {
	var sources []string
	var anonymous []string // groups
	for _, raw := range h.SourcesRaw {
		var src struct {
			Source string   `json:"source"`
			Groups []string `json:"groups"`
		}
		if err := json.Unmarshal(raw, &src); err != nil {
			var name struct{ Source string }
			if json.Unmarshal(raw, &name) != nil {
				return fmt.Errorf("reading a source: %w", err)
			}
			src.Source = name.Source
		}
		sources = append(sources, src.Source)
		switch src.Source {
		case "token_review":
			n.reviews = true
		case "anonymous":
			if anonymous = src.Groups; len(anonymous) == 0 {
				anonymous = []string{"system:unauthenticated"}
			}
		}
	}
	for _, raw := range h.InjectorsRaw {
		var injector struct {
			Injector string `json:"injector"`
			InjectImpersonation
		}
		if err := json.Unmarshal(raw, &injector); err != nil {
			return fmt.Errorf("reading an injector: %w", err)
		}
		if injector.Injector != "impersonation" {
			continue
		}
		account := subject
		if injector.ServiceAccount != nil {
			account = injector.ServiceAccount.String()
			n.accounts = union(n.accounts, []string{account})
		}
		covered := func(source string) bool {
			return slices.Contains(sources, source) && (len(injector.Sources) == 0 || slices.Contains(injector.Sources, source))
		}
		n.act(account).add(h, &injector.InjectImpersonation, covered, anonymous)
	}
	return nil
}

func (n *needs) act(account string) *impersonating {
	if n.acting[account] == nil {
		n.acting[account] = new(impersonating)
	}
	return n.acting[account]
}

func (i *impersonating) add(h *Handler, injector *InjectImpersonation, covered func(string) bool, anonymous []string) {
	i.uid = i.uid || injector.UID
	i.byCert = i.byCert || injector.NoCredential
	i.extra = union(i.extra, injector.Extra)
	exact := len(h.AllowGroups) > 0 && !slices.ContainsFunc(h.AllowGroups, func(g string) bool { return strings.HasSuffix(g, "*") })
	if exact {
		i.groups = union(i.groups, h.AllowGroups)
	} else {
		i.allGroups = true
	}
	if covered("anonymous") {
		i.groups = union(i.groups, goOn(h.AllowGroups, anonymous))
	}
	i.accounts = i.accounts || covered("token_review")
}

// goOn returns the groups that allow_groups lets pass.
func goOn(allowed, groups []string) []string {
	if len(allowed) == 0 {
		return groups
	}
	patterns := identity.Patterns(allowed)
	return slices.DeleteFunc(slices.Clone(groups), func(group string) bool { return !patterns.Match(group) })
}

// remarks are what the manifest cannot say by itself.
func (n *needs) remarks(options rbacOptions) []string {
	var lines []string
	for _, account := range slices.Sorted(maps.Keys(n.acting)) {
		i := n.acting[account]
		if i.byCert {
			lines = append(lines, "no_credential: the subject is the user of reverse_proxy's client certificate, which is not known here. Put it in place of "+account+".")
		}
		if i.allGroups && !options.constrained {
			lines = append(lines, "Without exact allow_groups "+account+" may impersonate every group, and so system:masters, which may do everything.")
		}
		if !options.constrained {
			continue
		}
		if i.accounts && (i.allGroups || slices.ContainsFunc(i.groups, identity.IsReserved) || i.uid || len(i.extra) > 0) {
			lines = append(lines, "With --constrained a service account can be impersonated by its name only, without groups, uid and extra. Let allow_groups leave its groups out: the API server adds them.")
		}
		if slices.ContainsFunc(i.extra, func(key string) bool { return !strings.Contains(key, "/") }) {
			lines = append(lines, "With --constrained the API server refuses extra keys without a domain, such as example.com/tenant.")
		}
	}
	return lines
}
