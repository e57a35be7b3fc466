// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// CheckOpenShiftUser refuses a name that a user of OpenShift cannot have
// (openshift/apiserver-library-go, pkg/apivalidation: ValidateUserName). OpenShift itself
// would refuse it after the login, or map a name with ":" or "/" to another one
// (openshift/oauth-server, pkg/api: an identity "b64:…"). The error wraps
// [identity.ErrForbidden].
func CheckOpenShiftUser(name string) error {
	if name == "." || name == ".." || name == "~" || strings.ContainsAny(name, "/%:") {
		return fmt.Errorf("%w: user %s cannot be a user of OpenShift", identity.ErrForbidden, identity.Quote(name))
	}
	return nil
}
