// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

// CredentialID is the extra attribute under which kube-apiserver itself notes which
// credential it was (k8s.io/apiserver, pkg/authentication/user: CredentialIDKey): "JTI=" and
// the id of a token, or "X509SHA256=" and the fingerprint of a certificate. By it an audit
// log can tell two credentials of one user apart. The key is reserved: a source that sets it
// names it in [Identity].AllowReserved.
const CredentialID = "authentication.kubernetes.io/credential-id"
