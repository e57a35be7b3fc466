// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package apiserver

import "errors"

func (c *child) pause() error  { return errors.ErrUnsupported }
func (c *child) resume() error { return errors.ErrUnsupported }
