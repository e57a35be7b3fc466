// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// rbacOptions are the command's own options for the manifest.
type rbacOptions struct {
	subject     string // <namespace>/<name> of the service account that Caddy runs as
	constrained bool   // the verbs of KEP-5284
}

// needs are the rights that the handlers of one configuration need in the cluster.
type needs struct {
	reviews  bool
	watched  []string                  // namespaces whose EndpointSlices are watched
	accounts []string                  // accounts whose tokens are requested, <namespace>/<name>
	acting   map[string]*impersonating // by the account that impersonates
}

// impersonating is what one account impersonates.
type impersonating struct {
	users     []string // exact names
	allUsers  bool     // all users: a require_users is missing or has a pattern
	groups    []string // exact names
	allGroups bool     // all groups: an allow_groups is missing or has a pattern
	accounts  bool     // service accounts, which token_review can return
	uid       bool
	extra     []string
	byCert    bool // the account authenticates with a client certificate
	reviewed  bool // clients may ask to be other users
}

// rbac prints the manifest that a configuration needs.
func rbac(out io.Writer, config []byte, options rbacOptions) error {
	if err := injectors.CheckServiceAccount(options.subject); err != nil {
		return fmt.Errorf("--subject: %w", err)
	}
	var document any
	if err := json.Unmarshal(config, &document); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	n := &needs{acting: make(map[string]*impersonating)}
	handlers := 0
	err := eachHandler(document, func(h *handler) error {
		handlers++
		return n.add(h, options.subject)
	})
	if err == nil {
		err = n.addProxies(document)
	}
	switch {
	case err != nil:
		return err
	case handlers == 0 && len(n.watched) == 0:
		return errors.New("there is no kube_identity in the configuration")
	case !n.reviews && len(n.watched) == 0 && len(n.accounts) == 0 && len(n.acting) == 0:
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

// handler has the options of a kube_identity that rbac reads.
type handler struct {
	Sources     []json.RawMessage `json:"sources"`
	Injectors   []json.RawMessage `json:"injectors"`
	AllowGroups []string          `json:"allow_groups"`

	RequireUsers        []string `json:"require_users"`
	ClientImpersonation string   `json:"client_impersonation"`
}

// eachHandler finds the handlers at any depth.
func eachHandler(value any, visit func(*handler) error) error {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if err := eachHandler(element, visit); err != nil {
				return err
			}
		}
	case map[string]any:
		if value["handler"] == "kube_identity" {
			h := new(handler)
			encoded, err := json.Marshal(value)
			if err == nil {
				err = json.Unmarshal(encoded, h)
			}
			if err == nil {
				err = guest.Expand(h)
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

// settings is a guest module's configuration: its name, for an injector the sources that
// it writes, and its needs in the cluster.
type settings struct {
	Source   string   `json:"source"`
	Injector string   `json:"injector"`
	Sources  []string `json:"sources"`

	needs identity.ClusterNeeds
}

// readGuest asks a guest module what it needs. The module is only decoded: provisioning it
// would already ask the cluster.
func readGuest(namespace string, raw json.RawMessage) (*settings, error) {
	s := new(settings)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, err
	}
	if err := guest.Expand(s); err != nil {
		return nil, err
	}
	info, err := caddy.GetModule(namespace + "." + s.Source + s.Injector)
	if err != nil {
		return nil, err
	}
	module := info.New()
	if err := json.Unmarshal(raw, module); err != nil {
		return nil, err
	}
	if err := guest.Expand(module); err != nil {
		return nil, err
	}
	if user, ok := module.(identity.ClusterUser); ok {
		s.needs = user.ClusterNeeds()
	}
	return s, nil
}

// add notes what one handler does.
func (n *needs) add(h *handler, subject string) error {
	var all []*settings
	for _, raw := range h.Sources {
		src, err := readGuest(guest.Sources, raw)
		if err != nil {
			return fmt.Errorf("reading a source: %w", err)
		}
		all = append(all, src)
		n.reviews = n.reviews || src.needs.ReviewTokens
	}
	for _, raw := range h.Injectors {
		injector, err := readGuest(guest.Injectors, raw)
		if err != nil {
			return fmt.Errorf("reading an injector: %w", err)
		}
		does := injector.needs.Impersonate
		if does == nil {
			continue
		}
		account := subject
		if does.Account != "" {
			account = does.Account
			n.accounts = option.Union(n.accounts, []string{account})
		}
		covered := slices.DeleteFunc(slices.Clone(all), func(src *settings) bool {
			return len(injector.Sources) > 0 && !slices.Contains(injector.Sources, src.Source)
		})
		n.act(account).add(h, does, covered)
	}
	return nil
}

func (n *needs) act(account string) *impersonating {
	if n.acting[account] == nil {
		n.acting[account] = new(impersonating)
	}
	return n.acting[account]
}

// add notes what one injector impersonates for the sources that it covers.
func (i *impersonating) add(h *handler, does *identity.ImpersonationNeeds, covered []*settings) {
	i.uid = i.uid || does.UID
	i.byCert = i.byCert || does.Certificate
	i.extra = option.Union(i.extra, does.Extra)
	i.users, i.allUsers = names(i.users, i.allUsers, h.RequireUsers)
	i.groups, i.allGroups = names(i.groups, i.allGroups, h.AllowGroups)
	i.addReview(h)
	for _, src := range covered {
		i.accounts = i.accounts || src.needs.ServiceAccounts
	}
}

// names adds patterns to exact names; without patterns, or with a prefix, all names may occur.
func names(known []string, all bool, patterns []string) ([]string, bool) {
	if len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return strings.HasSuffix(p, "*") }) {
		return known, true
	}
	return option.Union(known, patterns), all
}

// remarks are the comments for the operator that the manifest cannot express as rules.
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
		lines = append(lines, i.remarksOnReview(account, options)...)
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
