// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// readerVerb is the hidden verb that makes this program a consumer.
const readerVerb = "reader"

// childTimeout bounds an answer; a child that was killed closes its pipe anyway.
const childTimeout = 20 * time.Second

// child is a consumer in a process of its own.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

// startChild runs this program as a reader of a ring, not attached yet.
func (b *bench) startChild(ctx context.Context, r *ring) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, readerVerb, "--socket", r.socket), answers: make(chan string, 1)}
	c.cmd.Stderr = b.stderr
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // a small program; more processors mean more idle threads
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a reader: %w", err)
	}
	go func() {
		defer close(c.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.answers <- lines.Text()
		}
	}()
	b.later(c.stop)
	return c, nil
}

// tell sends a line and returns the number that came with the answer.
func (c *child) tell(ctx context.Context, line string) (int, error) {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		return 0, fmt.Errorf("tell reader %d to %s: %w", c.cmd.Process.Pid, line, err)
	}
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	select {
	case answer, ok := <-c.answers:
		number, done := strings.CutPrefix(answer, sayDone+" ")
		if !ok || !done {
			return 0, fmt.Errorf("reader %d did not %s: %q", c.cmd.Process.Pid, line, answer)
		}
		return strconv.Atoi(number)
	case <-ctx.Done():
		return 0, fmt.Errorf("reader %d, told to %s: %w", c.cmd.Process.Pid, line, ctx.Err())
	}
}

// stop ends the child by closing its input, and waits for it.
func (c *child) stop() error {
	c.in.Close()
	for range c.answers { // until its output is closed, too
	}
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // killed, by our own context or a Ctrl-C that reached it first
	}
	return err
}
