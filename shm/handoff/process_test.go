// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// process is this test binary, playing a role as another user.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // its end tells a role to finish
	lines chan string    // what it prints, closed at its end
	ended bool
}

// start runs a role. Other users need root to be played.
func start(t testing.TB, uid int, groups []uint32, role string, args ...string) *process {
	t.Helper()
	// Not by path: only its owner can search the directory of a test binary.
	cmd := exec.Command("/proc/self/exe", args...)
	// The race detector's runtime otherwise sleeps a second at every exit.
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	if uid != os.Geteuid() || groups != nil {
		needRoot(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: groups}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, stdin: stdin, lines: make(chan string, 1024)}
	go func() {
		defer close(p.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			p.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// needRoot skips where there is only one user to play.
func needRoot(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		bpftest.Skip(t, "needs root to play two users, runs as uid %d", uid)
	}
}

// expect waits for a line that begins with prefix and returns what follows it.
func (p *process) expect(t testing.TB, prefix string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%v ended without %q", p.cmd.Args, prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
		case <-deadline:
			t.Fatalf("no %q from %v", prefix, p.cmd.Args)
		}
	}
}

// finish asks the role to end and returns how it did.
func (p *process) finish() error {
	p.stdin.Close()
	return p.wait()
}

// kill ends it without asking.
func (p *process) kill() {
	if !p.ended {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		_ = p.wait()
	}
}

func (p *process) wait() error {
	for range p.lines { // Wait must not close the pipe before all of it is read
	}
	p.ended = true
	return p.cmd.Wait()
}

// stdinEnds is closed when whoever started this process wants it to finish.
func stdinEnds() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the pipe, whatever the reason
	}()
	return done
}
