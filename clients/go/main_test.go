// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// roleEnv makes the test binary play another process of a test.
const roleEnv = "RINGSIDE_CLIENT_ROLE"

var roles = map[string]func(args []string) error{"sidecar": playSidecar, "reader": playReader}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The poller's own descriptors come with the first socket and stay.
	if l, err := net.Listen("unix", ""); err == nil {
		l.Close()
	}
	descriptors, goroutines := countDescriptors(), runtime.NumGoroutine()
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code) // the fuzzing engine leaves goroutines of its own
	}
	if n := countDescriptors(); code == 0 && n > descriptors {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after\n", descriptors, n)
		code = 1
	}
	// A goroutine that has done its work may still be on its way out.
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); code == 0 && n > goroutines {
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines leaked: %d before, %d after:\n%s\n", goroutines, n, stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	os.Exit(code)
}

func countDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// process is this test binary, playing a role.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser // its end tells a role to finish
	lines chan string    // what it prints, closed at its end
	ended bool
}

// start runs a role as a user. Other users need root to be played.
func start(t testing.TB, uid int, role string, args ...string) *process {
	t.Helper()
	// Not by path: only its owner can search the directory of a test binary.
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
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
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%v ended without %q", p.cmd.Args, prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
		case <-timeout:
			t.Fatalf("no %q from %v", prefix, p.cmd.Args)
		}
	}
}

// finish asks the role to end, waits, and returns the last line that begins
// with prefix.
func (p *process) finish(t testing.TB, prefix string) string {
	t.Helper()
	p.stdin.Close()
	last := p.expect(t, prefix)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	return last
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
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
