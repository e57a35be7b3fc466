// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// Every pod of the chart's values serves as PodSecurity "restricted" has it: as 65532, with the
// root read-only, all capabilities dropped and no_new_privs. The root has what the Dockerfile says.
// There is no issuer here, so that it is ready when it listens.
func TestThePodServesUnderItsRestrictions(t *testing.T) {
	server := released(t)
	for name, values := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			ports := freeport.Ports(t, 2)
			r := render(t, "restricted", values, "--set", "probes.waitForIssuers=false,ports.http="+ports[0]+",ports.metrics="+ports[1])
			r.wantContext(t)
			p := newPod(t, server, r)
			p.run(t)
			p.wantAnswers(t, ports[0], ports[1])
			wantRestricted(t, p.command.Process.Pid)
			p.stop(t)
		})
	}
}

// wantContext compares the Deployment with what the sandbox does.
func (r *release) wantContext(t *testing.T) {
	t.Helper()
	own, pod := r.container().SecurityContext, r.deployment.Spec.Template.Spec.SecurityContext
	if own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation ||
		own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem ||
		own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(own.Capabilities.Add) > 0 {
		t.Errorf("the container's security context is %+v", own)
	}
	if pod.RunAsNonRoot == nil || !*pod.RunAsNonRoot || pod.RunAsUser != nil && *pod.RunAsUser != nonroot ||
		pod.SeccompProfile == nil || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security context is %+v", pod)
	}
}

// pod is a pod of a release, in a sandbox.
type pod struct {
	sandbox
	ca      *testpki.Pair
	command *exec.Cmd
	log     *bytes.Buffer
	secure  bool
}

// newPod makes the folders of the image and of the volumes, as the kubelet does.
func newPod(t *testing.T, server string, r *release) *pod {
	t.Helper()
	container := r.container()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // so that another user gets in
		t.Fatal(err)
	}
	p := &pod{ca: testpki.NewCA(t, nil, "ca", nil), log: new(bytes.Buffer)}
	p.Root = filepath.Join(dir, "root")
	p.secure = strings.Contains(r.config.Data["Caddyfile"], "\nhttps://:")
	for _, folder := range []string{"usr/bin", "srv", "proc", "tmp", "config", "data", "etc/ssl/certs", "etc/caddy"} {
		makeFolder(t, filepath.Join(p.Root, folder))
	}
	copyFile(t, server, filepath.Join(p.Root, "usr", "bin", "caddy"), 0o755)
	for _, at := range container.VolumeMounts {
		from := filepath.Join(dir, "volumes", at.Name)
		p.fill(t, from, at.Name, r)
		makeFolder(t, p.Root+at.MountPath)
		p.Mounts = append(p.Mounts, mount{From: from, At: at.MountPath, ReadOnly: at.ReadOnly})
	}
	p.Args = append(slices.Clone(container.Command), container.Args...)
	p.Args[0] = "/usr/bin/" + p.Args[0] // by the image's PATH
	p.Env = []string{"PATH=/usr/bin", "KUBERNETES_SERVICE_HOST=127.0.0.1", "KUBERNETES_SERVICE_PORT=1"}
	for _, variable := range container.Env {
		p.Env = append(p.Env, variable.Name+"="+variable.Value)
	}
	return p
}

// fill writes the files of a volume. Only an emptyDir and a claim can be written to.
func (p *pod) fill(t *testing.T, dir, name string, r *release) {
	t.Helper()
	makeFolder(t, dir)
	all := r.deployment.Spec.Template.Spec.Volumes
	i := slices.IndexFunc(all, func(v corev1.Volume) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("there is no volume %s", name)
	}
	volume := all[i]
	switch {
	case volume.EmptyDir != nil || volume.PersistentVolumeClaim != nil:
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	case volume.ConfigMap != nil:
		data := map[string]string{"ca.crt": testpki.PEM(p.ca)}
		if volume.ConfigMap.Name == r.config.Name {
			data = r.config.Data
		}
		for file, content := range data {
			writeFile(t, filepath.Join(dir, file), content)
		}
	case volume.Secret != nil: // kubernetes.io/tls
		leaf := p.ca.Leaf(t, func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"proxy.example.com"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		writeFile(t, filepath.Join(dir, "tls.crt"), testpki.PEM(leaf))
		writeFile(t, filepath.Join(dir, "tls.key"), testpki.KeyPEM(t, leaf))
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			p.project(t, dir, source, r)
		}
	default:
		t.Fatalf("the volume %s is of an unknown kind", name)
	}
}

func (p *pod) project(t *testing.T, dir string, source corev1.VolumeProjection, r *release) {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	switch {
	case source.ServiceAccountToken != nil:
		writeFile(t, filepath.Join(dir, source.ServiceAccountToken.Path), "token")
	case source.DownwardAPI != nil:
		writeFile(t, filepath.Join(dir, source.DownwardAPI.Items[0].Path), r.namespace)
	case source.ConfigMap != nil:
		writeFile(t, filepath.Join(dir, source.ConfigMap.Items[0].Path), testpki.PEM(p.ca))
	case source.Secret != nil:
		writeFile(t, filepath.Join(dir, source.Secret.Items[0].Path), base64.StdEncoding.EncodeToString(key))
	default:
		t.Fatalf("a projected volume has %+v", source)
	}
}

func (p *pod) run(t *testing.T) {
	t.Helper()
	p.command = p.start(t)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		t.Fatalf("the kernel does not let this test make a user namespace: %v\nOn Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0", err)
	}
}

// wantAnswers asks as the kubelet, Prometheus and a client do.
func (p *pod) wantAnswers(t *testing.T, site, metrics string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for p.status(t, "http://127.0.0.1:"+metrics+"/readyz", "") != http.StatusOK {
		if time.Now().After(deadline) {
			_ = p.command.Process.Kill()
			_ = p.command.Wait()
			t.Fatalf("it does not become ready\n%s", p.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if status := p.status(t, "http://127.0.0.1:"+metrics+"/livez", ""); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
	if status := p.status(t, "http://127.0.0.1:"+metrics+"/metrics", "caddy_kube_identity_"); status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
	address := "http://127.0.0.1:" + site + "/"
	if p.secure {
		address = "https://127.0.0.1:" + site + "/"
	}
	if status := p.status(t, address, ""); status != http.StatusUnauthorized {
		t.Errorf("a request without a credential: %d, want 401", status)
	}
}

// status is 0 if there is no answer, or the answer does not have the text.
func (p *pod) status(t *testing.T, address, text string) int {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(p.ca.Cert)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "proxy.example.com", MinVersion: tls.VersionTLS13},
		DisableKeepAlives: true,
	}}
	response, err := client.Get(address)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), text) {
		return 0
	}
	return response.StatusCode
}

// stop ends it as the kubelet does. Its log must not complain about a folder that it cannot write
// to, or about what it must not do.
func (p *pod) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, p.log)
	}
	complaint := regexp.MustCompile(`(?i)read-only file system|permission denied|operation not permitted|no such file|could not`)
	for line := range strings.Lines(p.log.String()) {
		if complaint.MatchString(line) {
			t.Errorf("it complains: %s", line)
		}
	}
}

// The sandbox takes away what the pods of the other test must do without: there a file that every
// user may write to cannot be written to.
func TestTheSandboxIsReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"usr/bin", "srv", "proc", "data"} {
		makeFolder(t, filepath.Join(dir, folder))
	}
	copyFile(t, released(t), filepath.Join(dir, "usr", "bin", "caddy"), 0o755)
	for _, folder := range []string{"srv", "data"} {
		writeFile(t, filepath.Join(dir, folder, "Caddyfile"), ":80 {\nrespond 200\n}\n")
		if err := os.Chmod(filepath.Join(dir, folder, "Caddyfile"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	format := func(file string) (string, error) {
		s := &sandbox{
			Root: dir, Mounts: []mount{{From: filepath.Join(dir, "data"), At: "/data"}},
			Args: []string{"/usr/bin/caddy", "fmt", "--overwrite", file}, Env: []string{},
		}
		output, err := s.start(t).CombinedOutput()
		return string(output), err
	}
	if output, err := format("/srv/Caddyfile"); err == nil || !strings.Contains(output, "read-only file system") {
		t.Errorf("writing to the root: %v\n%s", err, output)
	}
	if output, err := format("/data/Caddyfile"); err != nil {
		t.Errorf("writing to a volume: %v\n%s", err, output)
	}
}
