// SPDX-License-Identifier: Apache-2.0

package c

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// patience is how long a test waits for what must happen. It asserts nothing
// about time: a machine that is slow beyond it is broken.
const patience = 60 * time.Second

// variant is one way to build the library and its programs.
type variant struct {
	compiler string
	args     []string // of make
	built    sync.Once
	dir      string
	err      error
}

var variants = map[string]*variant{
	"gcc":   {compiler: "gcc", args: []string{"CC=gcc"}},
	"clang": {compiler: "clang", args: []string{"CC=clang"}},
	// Whatever the sanitizers find ends the program.
	"asan": {compiler: "gcc", args: []string{"CC=gcc", "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"}},
}

// roleEnv makes the test binary play another process of a test.
const roleEnv = "RINGSIDE_C_ROLE"

var buildDir string

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		if err := playSidecar(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "sidecar:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "rc"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	if err := os.Chmod(buildDir, 0o755); err != nil { // other users run what is in it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes the library and all programs once, and returns where they are.
func build(t testing.TB, name string) string {
	t.Helper()
	v := variants[name]
	need(t, "make")
	need(t, v.compiler)
	v.built.Do(func() {
		v.dir = filepath.Join(buildDir, name)
		v.err = makeIn(v.dir, append(v.args, "all", "programs")...)
	})
	if v.err != nil {
		t.Fatal(v.err)
	}
	return v.dir
}

func makeIn(dir string, args ...string) error {
	out, err := exec.Command("make", append([]string{"-j2", "WERROR=-Werror", "O=" + dir}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make %v: %w\n%s", args, err, out)
	}
	return nil
}

// output runs a program to its end.
func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	return string(out)
}

// process is a program that runs while the test goes on.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // its end tells it to finish
	lines chan string    // what it prints, closed at its end
	ended bool
}

func start(t testing.TB, uid int, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	if program == "/proc/self/exe" {
		cmd.Env = append(os.Environ(), roleEnv+"=sidecar")
	}
	if uid != os.Geteuid() {
		bpftest.RequireRoot(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
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
	t.Cleanup(p.kill)
	return p
}

// expect waits for a line that begins with prefix and returns what follows it.
func (p *process) expect(t testing.TB, prefix string) string {
	t.Helper()
	timeout := time.After(patience)
	var seen []string
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%v ended without %q: %q", p.cmd.Args, prefix, seen)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
			if seen = append(seen, line); len(seen) > 20 {
				seen = seen[1:]
			}
		case <-timeout:
			t.Fatalf("no %q from %v: %q", prefix, p.cmd.Args, seen)
		}
	}
}

// finish asks it to end, waits, and returns the line that begins with prefix.
func (p *process) finish(t testing.TB, prefix string) string {
	t.Helper()
	p.stdin.Close()
	last := p.expect(t, prefix)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	return last
}

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
