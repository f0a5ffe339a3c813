// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleEnv names the role that a test binary is to play.
const roleEnv = "RINGSIDE_TEST_ROLE"

// rolePatience is how long Expect waits. It asserts nothing about time: a
// machine that is slow beyond it is broken.
const rolePatience = 30 * time.Second

// Role is this test binary, run once more to be another process of a test: one
// that belongs to another user, or that is killed.
type Role struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // its end tells a role to finish
	lines chan string    // what it prints, closed at its end
	ended bool
}

// PlayRole is the first thing that TestMain calls. If this process was started by
// StartRole it plays the role and does not return.
func PlayRole(roles map[string]func(args []string) error) {
	role := os.Getenv(roleEnv)
	if role == "" {
		return
	}
	if err := roles[role](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// StartRole runs a role as a user, with supplementary groups. It is killed when
// the test ends. Other users need root to be played.
func StartRole(tb testing.TB, uid int, groups []uint32, role string, args ...string) *Role {
	tb.Helper()
	// Not by path: only its owner can search the directory of a test binary.
	cmd := exec.Command("/proc/self/exe", args...)
	// The race detector's runtime otherwise sleeps a second at every exit.
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	if uid != os.Geteuid() || groups != nil {
		RequireUsers(tb)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: groups}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	r := &Role{cmd: cmd, stdin: stdin, lines: make(chan string, 1024)}
	go func() {
		defer close(r.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			r.lines <- scan.Text()
		}
	}()
	tb.Cleanup(r.Kill)
	return r
}

// RequireUsers skips where there is only one user to play.
func RequireUsers(tb testing.TB) {
	tb.Helper()
	if uid := os.Geteuid(); uid != 0 {
		Skip(tb, "needs root to play two users, runs as uid %d", uid)
	}
}

// PID is its number.
func (r *Role) PID() int { return r.cmd.Process.Pid }

// Expect waits for a line that begins with prefix and returns what follows it.
func (r *Role) Expect(tb testing.TB, prefix string) string {
	tb.Helper()
	deadline := time.After(rolePatience)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				tb.Fatalf("%v ended without %q", r.cmd.Args, prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
		case <-deadline:
			tb.Fatalf("no %q from %v", prefix, r.cmd.Args)
		}
	}
}

// Finish asks the role to end and returns how it did.
func (r *Role) Finish() error {
	r.stdin.Close()
	return r.Wait()
}

// Last asks the role to end, which is to go well, and returns what follows prefix
// in what it says last.
func (r *Role) Last(tb testing.TB, prefix string) string {
	tb.Helper()
	r.stdin.Close()
	last := r.Expect(tb, prefix)
	if err := r.Wait(); err != nil {
		tb.Error(err)
	}
	return last
}

// Kill ends it without asking.
func (r *Role) Kill() {
	if !r.ended {
		_ = r.cmd.Process.Kill() // it may have ended by itself
		_ = r.Wait()
	}
}

// Signal sends it one.
func (r *Role) Signal(tb testing.TB, s syscall.Signal) {
	tb.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		tb.Fatal(err)
	}
}

// Wait returns how the role ended.
func (r *Role) Wait() error {
	for range r.lines { // Wait must not close the pipe before all of it is read
	}
	r.ended = true
	return r.cmd.Wait()
}

// RoleMayEnd is closed when whoever started this role wants it to finish.
func RoleMayEnd() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the pipe, whatever the reason
	}()
	return done
}
