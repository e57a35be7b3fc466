// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

// user can log in. The password is not a secret: the login page shows it.
type user struct {
	name, password, fullName string
	groups                   []string
}

func (u user) email() string { return u.name + "@example.com" }

// users are all that there are: one who may look at a dashboard, and one who may do more.
func users() []user {
	return []user{
		{"alice", "alice-demo", "Alice Example", []string{"developers", "viewers"}},
		{"admin-bob", "bob-demo", "Bob Example", []string{"ops"}},
	}
}

func findUser(name, password string) (user, bool) {
	for _, one := range users() {
		if one.name == name && one.password == password {
			return one, true
		}
	}
	return user{}, false
}
