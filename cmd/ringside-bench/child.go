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
const childTimeout = time.Minute

// longestAnswer bounds a line: a histogram with something in all of its buckets.
const longestAnswer = 1 << 20

// child is a consumer in a process of its own.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

// startChild runs this program as a reader of a ring, not attached yet.
func (b *bench) startChild(ctx context.Context, r *ring) (*child, error) {
	return b.startSelf(ctx, readerVerb, "--socket", r.socket)
}

// startSelf runs this program with a hidden verb.
func (b *bench) startSelf(ctx context.Context, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.startProgram(ctx, self, args...)
}

// startProgram runs a program that does what it is told, a line each.
func (b *bench) startProgram(ctx context.Context, path string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, path, args...), answers: make(chan string, 1)}
	c.cmd.Stderr = b.stderr
	c.cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // small programs; more processors mean more idle threads
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		defer close(c.answers)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, longestAnswer)
		for lines.Scan() {
			c.answers <- lines.Text()
		}
	}()
	b.later(c.stop)
	return c, nil
}

// tell sends a line and returns the number that came with the answer.
func (c *child) tell(ctx context.Context, line string) (int, error) {
	if err := c.say(line); err != nil {
		return 0, err
	}
	return c.answer(ctx, line)
}

func (c *child) say(line string) error {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		return fmt.Errorf("tell reader %d to %s: %w", c.cmd.Process.Pid, line, err)
	}
	return nil
}

// answer waits for the number that comes with the answer to a line.
func (c *child) answer(ctx context.Context, line string) (int, error) {
	n, _, err := c.took(ctx, line)
	return n, err
}

// took is answer for those who also say what processor time the line took them.
// Hearing of it and answering, which is our affair, is not in that.
func (c *child) took(ctx context.Context, line string) (n int, took time.Duration, err error) {
	text, err := c.answerText(ctx, line)
	if err != nil {
		return 0, 0, err
	}
	number, ns, timed := strings.Cut(text, " ")
	if n, err = strconv.Atoi(number); err == nil && timed {
		var t int64
		t, err = strconv.ParseInt(ns, 10, 64)
		took = time.Duration(t)
	}
	return n, took, err
}

// ask sends a line and returns what came with the answer.
func (c *child) ask(ctx context.Context, line string) (string, error) {
	if err := c.say(line); err != nil {
		return "", err
	}
	return c.answerText(ctx, line)
}

func (c *child) answerText(ctx context.Context, line string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	select {
	case answer, ok := <-c.answers:
		text, done := strings.CutPrefix(answer, sayDone+" ")
		if !ok || !done {
			return "", fmt.Errorf("reader %d did not %s: %q", c.cmd.Process.Pid, line, answer)
		}
		return text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("reader %d, told to %s: %w", c.cmd.Process.Pid, line, ctx.Err())
	}
}

// stop ends the child by closing its input, and waits for it.
func (c *child) stop() error {
	c.in.Close()
	defer time.AfterFunc(childTimeout, func() { c.cmd.Process.Kill() }).Stop() // one that hangs
	for range c.answers {                                                      // until its output is closed, too
	}
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // killed, by our own context or a Ctrl-C that reached it first
	}
	return err
}
