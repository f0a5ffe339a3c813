// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// readerCommand is this program as a consumer, told by its parent over stdin
// when to attach and when to let go. It ends with its input.
func readerCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: readerVerb, Hidden: true,
		Flags: []cli.Flag{&cli.StringFlag{Name: "socket", Required: true}},
		Action: func(c *cli.Context) error {
			return serveParent(c.Context, os.Stdin, stdout, c.String("socket"))
		},
	}
}

// What a reader is told, a line each; it answers every line with one.
const (
	sayAttach = "attach" // read on, and sleep when there is nothing; answers its thread
	sayHold   = "hold"   // attach and wait for sayRead; answers its thread
	sayRead   = "read"   // and a number: read at least so many rows, then wait again
	sayDetach = "detach" // after either
	sayDone   = "ok"     // the answer, and perhaps a number
)

func serveParent(ctx context.Context, in io.Reader, out io.Writer, socket string) error {
	var r *reading
	defer func() { r.stop() }()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var answer int
		var err error
		switch verb, number, _ := strings.Cut(lines.Text(), " "); verb {
		case sayAttach, sayHold:
			if r, err = startReading(ctx, socket, verb == sayHold); err == nil {
				answer = r.tid
			}
		case sayRead:
			if answer, err = strconv.Atoi(number); err == nil {
				err = r.take(answer)
			}
		case sayDetach:
			err = r.stop()
			r = nil
		default:
			err = fmt.Errorf("%w: told to %q", errUsage, lines.Text())
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, sayDone, answer); err != nil {
			return err
		}
	}
	return nil
}

// reading is a loop on a thread of its own.
type reading struct {
	tid    int
	sub    *ringside.Subscription
	wanted chan int // rows; nil if it reads as it likes
	taken  chan error
	cancel context.CancelFunc
	ended  chan error
}

func startReading(ctx context.Context, socket string, hold bool) (*reading, error) {
	sub, err := attach(ctx, socket)
	if err != nil {
		return nil, err
	}
	r := &reading{sub: sub, ended: make(chan error, 1)}
	if hold {
		r.wanted, r.taken = make(chan int), make(chan error)
	}
	ctx, r.cancel = context.WithCancel(ctx)
	started := make(chan int)
	go func() {
		runtime.LockOSThread() // so that its system calls are this loop's
		defer runtime.UnlockOSThread()
		started <- unix.Gettid()
		r.ended <- r.loop(ctx)
	}()
	r.tid = <-started
	return r, nil
}

// take lets a held loop read so many rows.
func (r *reading) take(rows int) error {
	r.wanted <- rows
	return <-r.taken
}

func (r *reading) stop() error {
	if r == nil {
		return nil
	}
	r.cancel()
	err := <-r.ended
	if e := r.sub.Close(); err == nil {
		err = e
	}
	return err
}

func (r *reading) loop(ctx context.Context) error {
	if r.wanted == nil {
		return r.readOn(ctx)
	}
	for {
		select {
		case rows := <-r.wanted:
			r.taken <- r.read(ctx, rows)
		case <-ctx.Done():
			return nil
		}
	}
}

// readOn takes every batch, without looking at the rows, and sleeps when there
// is none.
func (r *reading) readOn(ctx context.Context) error {
	rows := 0
	count := func(b *ringside.Batch) { rows += b.Rows }
	for ctx.Err() == nil {
		if _, err := r.sub.View(ctx, count); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// read looks at so many rows, or a few more.
func (r *reading) read(ctx context.Context, wanted int) error {
	rows, sum := 0, uint64(0)
	look := func(b *ringside.Batch) {
		rows += b.Rows
		for i := range b.Rows {
			sum += uint64(b.Key(i)[0]) + uint64(b.Value(i)[0])
		}
	}
	for rows < wanted {
		if valid, err := r.sub.View(ctx, look); err != nil || !valid {
			return fmt.Errorf("after %d rows: %w", rows, errOr(err, errOvertaken))
		}
	}
	runtime.KeepAlive(sum) // or the compiler could leave out the reading
	return nil
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
