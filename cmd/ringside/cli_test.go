// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// asRingside makes the test binary run as the program it tests.
const asRingside = "RINGSIDE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asRingside) == "1" {
		main()
	}
	os.Exit(m.Run())
}

// patience is how long a condition may take to come true on a busy machine.
const patience = 30 * time.Second

// shell runs ringside as a user would: another process, its own socket, a
// directory that every user may enter.
type shell struct {
	t      *testing.T
	bin    string
	socket string
	bpffs  string // in a shell with maps
	uid    uint32 // who runs it
}

func newShell(t *testing.T) *shell {
	t.Helper()
	dir, err := os.MkdirTemp("", "ringside-run-") // t.TempDir lets in nobody else
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &shell{t: t, bin: program(t, dir), socket: filepath.Join(dir, "ringside.sock"), uid: uint32(os.Geteuid())}
}

// program is the test binary, where every user may run it.
func program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return self // nobody else will run it
	}
	bin := filepath.Join(dir, "ringside")
	if os.Link(self, bin) == nil {
		return bin
	}
	text, err := os.ReadFile(self) // on another file system
	if err == nil {
		err = os.WriteFile(bin, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// newRootShell has a bpffs of its own.
func newRootShell(t *testing.T) *shell {
	t.Helper()
	bpffs := bpftest.MountBPFFS(t)
	s := newShell(t)
	s.bpffs = bpffs
	return s
}

// as is the same shell for another user.
func (s *shell) as(uid uint32) *shell {
	other := *s
	other.uid = uid
	return &other
}

// command prepares a run.
func (s *shell) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Args[0] = "ringside"
	cmd.Env = append(os.Environ(), asRingside+"=1", socketEnv+"="+s.socket)
	if s.uid != uint32(os.Geteuid()) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.uid, Gid: s.uid}}
	}
	return cmd
}

// result is what a run left behind.
type result struct {
	t              *testing.T
	stdout, stderr string
	code           int
}

// run runs ringside to its end.
func (s *shell) run(args ...string) result {
	s.t.Helper()
	return s.start(args...).wait()
}

// process is a ringside that runs.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr bytes.Buffer
	ended  bool
}

func (s *shell) start(args ...string) *process {
	s.t.Helper()
	p := &process{t: s.t, cmd: s.command(args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if !p.ended {
			p.signal(syscall.SIGKILL)
			p.wait()
		}
	})
	return p
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// wait waits for the end, which has to come by itself.
func (p *process) wait() result {
	p.t.Helper()
	late := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	err := p.cmd.Wait()
	p.ended = true
	if !late.Stop() {
		p.t.Fatalf("%v did not end; it said %s%s", p.cmd.Args[1:], p.stdout.String(), p.stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return result{p.t, p.stdout.String(), p.stderr.String(), p.cmd.ProcessState.ExitCode()}
}

// decode is for what was printed as one document.
func (r result) decode(to any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), to); err != nil {
		r.t.Errorf("%v: %s", err, r.stdout)
	}
}

// exits holds the exit code, and what must be said on either output.
func (r result) exits(code int, says ...string) result {
	r.t.Helper()
	if r.code != code {
		r.t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, s := range says {
		if !strings.Contains(r.stdout+r.stderr, s) {
			r.t.Errorf("does not say %q:\n%s%s", s, r.stdout, r.stderr)
		}
	}
	return r
}

// serve starts a sidecar for the pins in the shell's bpffs, and waits until it
// answers.
func (s *shell) serve(flags ...string) *process {
	s.t.Helper()
	p := s.start(append([]string{"serve", "--socket", s.socket, "--map", s.bpffs + "/*=20ms"}, flags...)...)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	return p
}

// await waits for a condition, or fails.
func (s *shell) await(what string, true func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); !true(); {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waited for %s, %v", what, patience)
		}
	}
}

// attached waits until a consumer of that name is attached.
func (s *shell) attached(name string) {
	s.t.Helper()
	s.await(name+" to attach", func() bool {
		return strings.Contains(s.run("status", "-o", "json").stdout, `"name": "`+name+`"`)
	})
}
