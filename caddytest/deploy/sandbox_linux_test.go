// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// nonroot is the user of the image and of the chart's pods.
const nonroot = 65532

// sandboxVariable says to this program that it is to enter a sandbox, and which.
const sandboxVariable = "DEPLOY_TEST_SANDBOX"

// sandbox is what a container runtime makes of a pod's spec: a root that is read-only, volumes in
// it, a user that is not root, no capability and no way to one.
type sandbox struct {
	Root   string
	Mounts []mount
	Args   []string
	Env    []string
}

type mount struct {
	From, At string
	ReadOnly bool
}

// start starts the program of the sandbox in a user namespace and a mount namespace of its own. It
// does not need root, but the kernel must allow user namespaces: where it does not, the test fails,
// and does not pass unseen.
func (s *sandbox) start(t *testing.T) *exec.Cmd {
	t.Helper()
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	// This program, even where the user of the sandbox cannot reach its folder.
	command := exec.CommandContext(t.Context(), "/proc/self/exe")
	command.Env = []string{sandboxVariable + "=" + string(encoded)}
	uid, gid, groups := os.Getuid(), os.Getgid(), false
	if uid == 0 {
		uid, gid, groups = nonroot, nonroot, true
	}
	const admin, chroot, setpcap = 21, 18, 8
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings:                []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: uid, Size: 1}},
		GidMappings:                []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: gid, Size: 1}},
		GidMappingsEnableSetgroups: groups,
		Credential:                 &syscall.Credential{Uid: nonroot, Gid: nonroot, NoSetGroups: !groups},
		AmbientCaps:                []uintptr{admin, chroot, setpcap}, // until the sandbox is complete
	}
	return command
}

// enterSandbox enters the sandbox and becomes its program, if this is what the program was started
// for.
func enterSandbox() {
	encoded, asked := os.LookupEnv(sandboxVariable)
	if !asked {
		return
	}
	var s sandbox
	err := json.Unmarshal([]byte(encoded), &s)
	if err == nil {
		err = s.enter()
	}
	fmt.Fprintln(os.Stderr, "entering the sandbox:", err)
	os.Exit(125)
}

func (s *sandbox) enter() error {
	runtime.LockOSThread() // capabilities are the thread's
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := bind(s.Root, s.Root, false); err != nil {
		return err
	}
	if err := syscall.Mount("/proc", s.Root+"/proc", "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, one := range s.Mounts {
		if err := bind(one.From, s.Root+one.At, one.ReadOnly); err != nil {
			return err
		}
	}
	if err := bind("", s.Root, true); err != nil {
		return err
	}
	if err := errors.Join(syscall.Chroot(s.Root), syscall.Chdir("/srv")); err != nil {
		return fmt.Errorf("entering the root: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return syscall.Exec(s.Args[0], s.Args, s.Env)
}

// bind mounts a folder, or with an empty from changes a mount that is there.
func bind(from, at string, readOnly bool) error {
	if from != "" {
		if err := syscall.Mount(from, at, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", at, err)
		}
	}
	if !readOnly {
		return nil
	}
	var is syscall.Statfs_t
	if err := syscall.Statfs(at, &is); err != nil {
		return err
	}
	// Flags of the mount below cannot be taken away in a user namespace.
	flags := uintptr(is.Flags) & (syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC | syscall.MS_NOATIME | syscall.MS_NODIRATIME | syscall.MS_RELATIME)
	if err := syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|flags, ""); err != nil {
		return fmt.Errorf("making %s read-only: %w", at, err)
	}
	return nil
}

// dropCapabilities is "drop: [ALL]" and "allowPrivilegeEscalation: false".
func dropCapabilities() error {
	const boundingDrop, noNewPrivs, ambient, ambientClearAll = 24, 38, 47, 4
	for capability := uintptr(0); ; capability++ {
		_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, boundingDrop, capability, 0)
		if errno == syscall.EINVAL && capability > 0 {
			break // the kernel does not know more of them
		}
		if errno != 0 {
			return fmt.Errorf("dropping capability %d: %w", capability, errno)
		}
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, ambient, ambientClearAll, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("dropping ambient capabilities: %w", errno)
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("setting no_new_privs: %w", errno)
	}
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0); errno != 0 {
		return fmt.Errorf("dropping capabilities: %w", errno)
	}
	return nil
}

// wantRestricted asks the kernel about the process.
func wantRestricted(t *testing.T, pid int) {
	t.Helper()
	status := make(map[string]string)
	for line := range strings.Lines(readFile(t, "/proc/"+strconv.Itoa(pid)+"/status")) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.Join(strings.Fields(value), " ")
	}
	const none = "0000000000000000"
	for name, want := range map[string]string{
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1",
	} {
		if status[name] != want {
			t.Errorf("%s is %q, want %q", name, status[name], want)
		}
	}
	user := strconv.Itoa(nonroot)
	if os.Getuid() != 0 {
		user = strconv.Itoa(os.Getuid()) // as seen from here
	}
	if want := strings.Join([]string{user, user, user, user}, " "); status["Uid"] != want {
		t.Errorf("it runs as %q, want %q", status["Uid"], want)
	}
	readOnly := false
	for line := range strings.Lines(readFile(t, "/proc/"+strconv.Itoa(pid)+"/mountinfo")) {
		if fields := strings.Fields(line); fields[4] == "/" {
			readOnly = strings.HasPrefix(fields[5], "ro,") || fields[5] == "ro"
		}
	}
	if !readOnly {
		t.Error("its root is not read-only")
	}
}
