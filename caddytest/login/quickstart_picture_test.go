// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

const pictureFile = "../../docs/images/quickstart.png"

var picture = flag.Bool("picture", false, "take "+pictureFile+" again")

// The picture of the quickstart shows the page that a reader comes to by the README's steps: it has
// the page's text within, which is compared with the page of today.
func TestChromiumThePictureOfTheQuickstartShowsThePage(t *testing.T) {
	ports := freeport.Ports(t, 4)
	runQuickstart(t, ports)
	page := newProfile(t).tab()
	page.profile.do(page.session, "Emulation.setDeviceMetricsOverride", object{"width": 680, "height": 450, "deviceScaleFactor": 2, "mobile": false}, nil)
	page.profile.do(page.session, "Emulation.setScrollbarsHidden", object{"hidden": true}, nil)
	site := "http://127.0.0.1:" + ports[1] + "/"
	for deadline := time.Now().Add(time.Minute); page.text("document.querySelector('input[type=password]') ? 'form' : ''") != "form"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is no form to log in, but %s", page.text("document.body.innerText"))
		}
		page.open(site) // 503 until the issuer, which is in the same process, has been asked for its keys
		page.want("document.readyState", "complete")
	}
	page.run("document.querySelector('input[name=user]').value = 'alice', document.querySelector('input[type=password]').value = 'alice-demo'")
	page.click("form button")
	page.wantAt(site)
	page.wantHeading("What the upstream received")
	// the README's ports
	for i, port := range []string{"8080", "8081", "8082", "8083"} {
		page.run("document.body.innerHTML = document.body.innerHTML.replaceAll(" + quote(ports[i]) + ", " + quote(port) + ")")
	}
	text, _, _ := strings.Cut(page.text("document.body.innerText"), "The request\n")
	text = strings.Join(strings.Fields(text), " ")
	for _, said := range []string{"It takes you for alice", "source oidc", "Impersonate-User alice", "Impersonate-Group developers", "Log out"} {
		if !strings.Contains(text, said) {
			t.Errorf("the page does not say %q: %s", said, text)
		}
	}
	if *picture {
		var shot struct{ Data []byte }
		page.profile.do(page.session, "Page.captureScreenshot", object{"format": "png"}, &shot)
		if err := os.WriteFile(pictureFile, describedPNG(t, shot.Data, text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil || size.Width != 1360 || len(content) > 60_000 {
		t.Errorf("the picture is %d wide, and has %d bytes: %v", size.Width, len(content), err)
	}
	if got := description(content); got != text {
		t.Errorf("the picture shows\n%s\nand the page says\n%s\ntake it again: go test ./caddytest/login -run Picture -picture", got, text)
	}
}

// runQuickstart runs the README's command, with other ports.
func runQuickstart(t *testing.T, ports []string) {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(t.TempDir(), "caddy")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/caddy")
	build.Env = environment
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building ./cmd/caddy: %v\n%s", err, output)
	}
	caddy := exec.CommandContext(t.Context(), binary, "run", "--config", "examples/quickstart.caddyfile")
	caddy.Dir = "../.."
	caddy.Env = append(
		slices.Clone(environment), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"LOGIN_PORT="+ports[0], "PROTECTED_PORT="+ports[1], "UPSTREAM_PORT="+ports[2], "ISSUER_PORT="+ports[3],
	)
	if err := caddy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Wait() }) // the end of the test's context has ended it
}

// describedPNG makes a picture small, and puts its text into it. A page has few colours, so that a
// palette of those of four bits a channel is enough.
func describedPNG(t *testing.T, content []byte, text string) []byte {
	t.Helper()
	shot, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	small := image.NewPaletted(shot.Bounds(), nil)
	seen := make(map[color.Color]uint8)
	for y := range shot.Bounds().Dy() {
		for x := range shot.Bounds().Dx() {
			r, g, b, _ := shot.At(x, y).RGBA()
			one := color.RGBA{R: uint8(r>>12) * 17, G: uint8(g>>12) * 17, B: uint8(b>>12) * 17, A: 255}
			if _, known := seen[one]; !known {
				seen[one] = uint8(len(small.Palette))
				small.Palette = append(small.Palette, one)
			}
			small.SetColorIndex(x, y, seen[one])
		}
	}
	if len(small.Palette) > 256 {
		t.Fatalf("the page has %d colours", len(small.Palette))
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 25 // the signature and IHDR
	chunk := append([]byte("tEXtDescription\x00"), text...)
	var described []byte
	described = append(described, out.Bytes()[:header]...)
	described = binary.BigEndian.AppendUint32(described, uint32(len(chunk)-4))
	described = append(described, chunk...)
	described = binary.BigEndian.AppendUint32(described, crc32.ChecksumIEEE(chunk))
	return append(described, out.Bytes()[header:]...)
}

// description is the text in a picture (PNG, section 11.3.3.2: tEXt).
func description(content []byte) string {
	_, text, _ := bytes.Cut(content, []byte("tEXtDescription\x00"))
	start := len(content) - len(text)
	const before = len("tEXtDescription\x00") + 4
	if len(text) == 0 || start < before {
		return ""
	}
	length := int(binary.BigEndian.Uint32(content[start-before:])) - len("Description\x00")
	if length < 0 || length > len(text) {
		return ""
	}
	return string(text[:length])
}
