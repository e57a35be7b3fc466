// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Folder is a folder with the files of an authority, such as one made by OpenSSL.
type Folder struct{ dir string }

// NewFolder makes an empty folder, which is removed after the test.
func NewFolder(tb testing.TB) *Folder {
	tb.Helper()
	return &Folder{tb.TempDir()}
}

// Path is the path of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.dir, name) }

// Read reads a file of the folder.
func (f *Folder) Read(tb testing.TB, name string) []byte {
	tb.Helper()
	content, err := os.ReadFile(f.Path(name))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// Cert reads the certificate in the file name.pem of the folder.
func (f *Folder) Cert(tb testing.TB, name string) *x509.Certificate {
	tb.Helper()
	block, _ := pem.Decode(f.Read(tb, name+".pem"))
	if block == nil {
		tb.Fatalf("%s.pem has no PEM block", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// Write writes a file of the folder.
func (f *Folder) Write(tb testing.TB, name, content string) {
	tb.Helper()
	if err := os.WriteFile(f.Path(name), []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// OpenSSL runs the command line of OpenSSL in the folder.
func (f *Folder) OpenSSL(tb testing.TB, args ...string) {
	tb.Helper()
	command := f.Command(tb, args...)
	if output, err := command.CombinedOutput(); err != nil {
		tb.Fatalf("openssl %v: %v\n%s", args, err, output)
	}
}

// Command is a command of OpenSSL in the folder. It ends with the test.
func (f *Folder) Command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), "openssl", args...)
	command.Dir = f.dir
	return command
}
