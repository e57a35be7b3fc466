// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is a browser that is driven over a pipe, with messages of the DevTools protocol. Each
// ends with a zero byte.
type chromium struct {
	command *exec.Cmd
	to      *os.File

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	err     error // after which no answer comes
}

// message is a command, an answer or an event.
type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params any             `json:"params,omitempty"`
	In     string          `json:"sessionId,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type object = map[string]any

// browsers is the one Chromium of this test program. Each test has a profile of its own in it.
var browsers struct {
	once    sync.Once
	running *chromium
	err     error
}

// sharedChromium starts Chromium for the first test that needs it.
func sharedChromium(t *testing.T) *chromium {
	t.Helper()
	browsers.once.Do(func() {
		var dir string
		if dir, browsers.err = os.MkdirTemp("", "chromium"); browsers.err == nil { //nolint:usetesting // it outlives the test
			browsers.running, browsers.err = startChromium(dir)
		}
	})
	if browsers.err != nil {
		t.Fatal(browsers.err)
	}
	return browsers.running
}

// startChromium runs Chromium with a folder for its data. It ends when its pipe is closed, such as
// with this process, and the shell removes the folder then. The names below test and localhost
// are this machine.
func startChromium(dir string) (*chromium, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("%w: on Debian, apt-get install chromium", err)
	}
	commands, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// It outlives the test that needs it first.
	command := exec.Command(
		"sh", "-c", `"$@"; rm -rf `+dir, "sh", path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--disable-extensions", "--no-proxy-server", "--disable-features=HttpsUpgrades", "--ignore-certificate-errors",
		"--host-resolver-rules=MAP *.test 127.0.0.1,MAP *.localhost 127.0.0.1,MAP localhost 127.0.0.1",
		"--remote-debugging-pipe", "--user-data-dir="+dir,
	)
	command.ExtraFiles = []*os.File{commands, answers} // 3 and 4
	if err := command.Start(); err != nil {
		return nil, err
	}
	_ = commands.Close()
	_ = answers.Close()
	c := &chromium{command: command, to: to, waiting: make(map[int]chan message)}
	go c.read(from)
	return c, nil
}

// close ends it.
func (c *chromium) close() {
	_ = c.to.Close()
	_ = c.command.Wait()
}

// read hands answers to those who wait. Events are dropped: the tests ask.
func (c *chromium) read(from *os.File) {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(line[:len(line)-1], &m)
		}
		c.mu.Lock()
		if err != nil {
			c.err = err
			for _, answer := range c.waiting {
				close(answer)
			}
			c.waiting = nil
			c.mu.Unlock()
			return
		}
		if answer := c.waiting[m.ID]; answer != nil {
			answer <- m
			delete(c.waiting, m.ID)
		}
		c.mu.Unlock()
	}
}

// call sends a command, to a page or, with an empty session, to the browser.
func (c *chromium) call(session, method string, params object, result any) error {
	answer := make(chan message, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.last++
	m := message{ID: c.last, Method: method, Params: params, In: session}
	c.waiting[m.ID] = answer
	text, err := json.Marshal(m)
	if err == nil {
		_, err = c.to.Write(append(text, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case got, ok := <-answer:
		switch {
		case !ok:
			return errors.New("chromium has ended")
		case got.Error != nil:
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		case result != nil:
			return json.Unmarshal(got.Result, result)
		}
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s: there is no answer", method)
	}
}

// profile is a browser with cookies and a cache of its own.
type profile struct {
	t       *testing.T
	browser *chromium
	context string // empty: the browser's own
}

// newProfile is a fresh profile in the Chromium of all tests.
func newProfile(t *testing.T) *profile {
	t.Helper()
	p := &profile{t: t, browser: sharedChromium(t)}
	var made struct {
		BrowserContextID string `json:"browserContextId"`
	}
	p.do("", "Target.createBrowserContext", object{}, &made)
	p.context = made.BrowserContextID
	t.Cleanup(func() {
		_ = p.browser.call("", "Target.disposeBrowserContext", object{"browserContextId": p.context}, nil)
	})
	return p
}

// newProfileWithoutCookies is a Chromium of its own, that blocks all cookies.
func newProfileWithoutCookies(t *testing.T) *profile {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "Default"), 0o700); err != nil {
		t.Fatal(err)
	}
	const preferences = `{"profile": {"default_content_setting_values": {"cookies": 2}}}`
	if err := os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		t.Fatal(err)
	}
	browser, err := startChromium(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(browser.close)
	return &profile{t: t, browser: browser}
}

func (p *profile) do(session, method string, params object, result any) {
	p.t.Helper()
	if err := p.browser.call(session, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

// in adds the profile to the parameters of a command.
func (p *profile) in(params object) object {
	if p.context != "" {
		params["browserContextId"] = p.context
	}
	return params
}

// jarCookie is one of a profile.
type jarCookie struct {
	Name, Value, Domain, Path, SameSite string
	Secure, HTTPOnly                    bool
}

// cookies are all of the profile, of all sites.
func (p *profile) cookies() []jarCookie {
	p.t.Helper()
	var got struct {
		Cookies []jarCookie `json:"cookies"`
	}
	p.do("", "Storage.getCookies", p.in(object{}), &got)
	return got.Cookies
}

// sessionCookies are the names of our own cookies, and their values.
func (p *profile) sessionCookies() map[string]string {
	p.t.Helper()
	found := make(map[string]string)
	for _, c := range p.cookies() {
		if strings.Contains(c.Name, "kube_") {
			found[c.Name] = c.Value
		}
	}
	return found
}

// forget drops all cookies.
func (p *profile) forget() {
	p.t.Helper()
	p.do("", "Storage.clearCookies", p.in(object{}), nil)
}
