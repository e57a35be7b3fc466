// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddy-kube-identity/caddy-kube-identity/certauth"

// mapping returns the options about names. The issuers are certificates of the pool.
func (c *ClientCert) mapping(trusted certTrust) (m certauth.Mapping, err error) {
	m = certauth.Mapping{
		UserPrefix:   c.UserPrefix,
		GroupPrefix:  c.GroupPrefix,
		AllowedNames: c.AllowedNames,
		MapOnly:      c.MapOnly,
	}
	for _, attribute := range c.Username {
		m.Username = append(m.Username, certauth.Attribute(attribute))
	}
	for _, attribute := range c.Groups {
		m.Groups = append(m.Groups, certauth.Attribute(attribute))
	}
	for _, entry := range c.Map {
		mapped := certauth.Entry{Name: entry.Name, User: entry.User, Groups: entry.UserGroups}
		if entry.Issuer != "" {
			if err = checkFingerprint(entry.Issuer); err == nil {
				mapped.Issuer, err = trusted.named(entry.Issuer)
			}
			if err != nil {
				return m, err
			}
		}
		m.Map = append(m.Map, mapped)
	}
	if c.DefaultUser != nil {
		m.Default = &certauth.Entry{User: c.DefaultUser.User, Groups: c.DefaultUser.UserGroups}
	}
	return m, nil
}
