// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen. It asserts nothing
// about time: a machine that is slow beyond it is broken.
const Patience = 60 * time.Second

// Program is a consumer in a process of its own, which says line by line what
// happens to it.
type Program struct {
	Cmd   *exec.Cmd
	Stdin io.WriteCloser
	Lines chan string // what it prints, closed at its end
	Never []string    // what no line may begin with, unless it is expected
	ended bool
}

// Start runs it; the end of the test kills it.
func Start(tb testing.TB, cmd *exec.Cmd) *Program {
	tb.Helper()
	cmd.Stderr = os.Stderr
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
	c := &Program{Cmd: cmd, Stdin: stdin, Lines: make(chan string, 1024), Never: []string{"wrong", "error"}}
	go func() {
		defer close(c.Lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			c.Lines <- scan.Text()
		}
	}()
	tb.Cleanup(c.Kill)
	return c
}

// Kill ends it, whatever it does.
func (c *Program) Kill() {
	if !c.ended {
		_ = c.Cmd.Process.Kill() // it may have ended by itself
		_ = c.Wait()
	}
}

// Wait waits for its end.
func (c *Program) Wait() error {
	for range c.Lines { // Wait must not close the pipe before all of it is read
	}
	c.ended = true
	return c.Cmd.Wait()
}

// Expect waits for a line that begins with prefix and returns what follows it. A
// line that must never come ends the test.
func (c *Program) Expect(tb testing.TB, prefix string) string {
	tb.Helper()
	timeout := time.After(Patience)
	var seen []string // the newest of what was passed over
	for {
		select {
		case line, ok := <-c.Lines:
			if !ok {
				tb.Fatalf("%v ended without %q: %q", c.Cmd.Args, prefix, seen)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
			if slices.ContainsFunc(c.Never, func(p string) bool { return strings.HasPrefix(line, p) }) {
				tb.Fatalf("expected %q: %s", prefix, line)
			}
			if seen = append(seen, line); len(seen) > 20 {
				seen = seen[1:]
			}
		case <-timeout:
			tb.Fatalf("no %q from %v: %q", prefix, c.Cmd.Args, seen)
		}
	}
}

// Finish asks it to end, waits until it has, and returns the rest of the line that
// begins with prefix.
func (c *Program) Finish(tb testing.TB, prefix string) string {
	tb.Helper()
	c.Stdin.Close()
	last := c.Expect(tb, prefix)
	if err := c.Wait(); err != nil {
		tb.Error(err)
	}
	return last
}

// End asks it to finish, and returns its account.
func (c *Program) End(tb testing.TB) (frames, rows, lostFrames, lostRows, restarts uint64) {
	tb.Helper()
	if _, err := fmt.Sscan(c.Finish(tb, "end"), &frames, &rows, &lostFrames, &lostRows, &restarts); err != nil {
		tb.Fatal(err)
	}
	return
}
