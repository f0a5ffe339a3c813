// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/demo"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/live"
)

// traces are what demos have on this machine: homes and mounts.
func traces(t *testing.T) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(demo.DefaultBase)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, demo.DefaultBase) {
			found = append(found, line)
		}
	}
	return found
}

// nothingStays fails the test if a demo leaves anything behind.
func nothingStays(t *testing.T) {
	t.Helper()
	before := traces(t)
	t.Cleanup(func() {
		for _, trace := range traces(t) {
			if !slices.Contains(before, trace) {
				t.Errorf("left behind: %s", trace)
			}
		}
	})
}

func TestDemoProvesWhatItClaims(t *testing.T) {
	bpftest.RequireRoot(t)
	nothingStays(t)
	r := newShell(t).run("demo", "--for", "3s", "-o", "json").exits(exitOK)
	var s live.Summary
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if s.SchemaVersion != 1 || s.Rows == 0 || s.RowsPerSecond <= 0 || s.DurationSeconds <= 0 {
		t.Errorf("nothing was read: %+v", s)
	}
	if s.ConsumerUID != 65534 || strings.Trim(s.Capabilities, "0") != "" {
		t.Errorf("the consumer has uid %d and capabilities %s", s.ConsumerUID, s.Capabilities)
	}
	if s.ScansOfItsOwnMap < 2 {
		t.Errorf("its system calls were looked up %d times", s.ScansOfItsOwnMap)
	}
	for name, n := range s.SyscallsByName {
		if strings.HasPrefix(name, "number") { // the runtime's have names
			t.Errorf("the reading thread made system call %s, %d times", name, n)
		}
	}
	if len(s.LeftOut) > 0 {
		bpftest.Skip(t, "this kernel leaves parts out: %v", s.LeftOut)
	}
}

// showing starts a demo and waits until it shows rows.
func showing(t *testing.T, s *shell) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	cmd = s.command("demo", "--for", "1h")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	out = bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || !strings.Contains(line, "rows read") {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd, out
}

func TestDemoCleansUpAfterCtrlC(t *testing.T) {
	bpftest.RequireRoot(t)
	nothingStays(t)
	cmd, out := showing(t, newShell(t))
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C is no failure: %v", err)
	}
	if !strings.Contains(string(rest), "A process of uid 65534 without privilege read") {
		t.Errorf("no conclusion: %s", rest)
	}
}

func TestDemoCleansUpAfterOneThatWasKilled(t *testing.T) {
	bpftest.RequireRoot(t)
	nothingStays(t)
	s := newShell(t)
	before := traces(t)
	cmd, out := showing(t, s)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	io.ReadAll(out) // to the end: nobody holds the other end any more
	if err := cmd.Wait(); err == nil {
		t.Error("killed, and no error")
	}
	if len(traces(t)) == len(before) {
		t.Error("a killed demo is expected to leave its home, or this test proves nothing")
	}
	s.run("demo", "--for", "1s", "-o", "json").exits(exitOK, "consumer_syscalls_while_reading")
}

func TestDemoCleansUpWhenNobodyLooksAnyMore(t *testing.T) {
	bpftest.RequireRoot(t)
	nothingStays(t)
	cmd := newShell(t).command("demo", "--for", "2s")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	pipe.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v", err)
	}
}

func TestDemoNeedsRoot(t *testing.T) {
	bpftest.RequireRoot(t)
	s := newShell(t).as(65534)
	s.run("demo", "--for", "1s").exits(exitPermission, "ringside: ", "run it as root")
	s.run("demo", "--for", "0s").exits(exitUsage, "--for 0s", "above zero")
	s.run("demo", "-o", "yaml").exits(exitUsage, "-o")
}
