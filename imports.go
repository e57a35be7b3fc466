// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	_ "github.com/caddy-kube-identity/caddy-kube-identity/admin" // registers admin.api.kube_identity
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	_ "github.com/caddy-kube-identity/caddy-kube-identity/ipsource" // registers http.ip_sources.kubernetes_service
	_ "github.com/caddy-kube-identity/caddy-kube-identity/pages"    // registers the handlers kube_identity_ready and kube_identity_whoami
	_ "github.com/caddy-kube-identity/caddy-kube-identity/sources"  // registers http.kube_identity.sources.*
)

// An import of this package registers every module: its other files import command,
// injectors and trustpool. The interfaces of injectors are declared here, where they are
// used, so the guards are here too.
var (
	_ Injector     = (*injectors.Token)(nil)
	_ Injector     = (*injectors.Impersonation)(nil)
	_ Injector     = (*injectors.Headers)(nil)
	_ Injector     = (*injectors.FrontProxy)(nil)
	_ CookieWriter = (*injectors.Token)(nil)
	_ TokenSender  = (*injectors.Token)(nil)
	_ TokenSender  = (*injectors.Headers)(nil)
	_ TokenWriter  = (*injectors.Token)(nil)
	_ TokenWriter  = (*injectors.Headers)(nil)

	_ TransportUser = (*injectors.FrontProxy)(nil)
	_ TransportUser = (*injectors.Impersonation)(nil)
)
