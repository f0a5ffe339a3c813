// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/render"
)

// comeBackTime is how long a sidecar may be gone before tail gives up: long
// enough for a service manager to start it again.
const comeBackTime = 5 * time.Second

func tailCommand() *cli.Command {
	return &cli.Command{
		Name:  "tail",
		Usage: "print rows as they are published; needs no privilege",
		Description: `Attaches to a ring like any other consumer and prints every row: as a table
with nested fields as columns, wide cells cut; or, with -o jsonl, one JSON object
a row, whole. It sleeps while there is nothing new. Rows that were overwritten
before they could be read show up as a line with their exact number.

When the sidecar goes away, tail waits 5 seconds for it to come back and attaches
again; then it ends with exit code 69. When the sidecar hangs, tail says so and
goes on waiting.

With --file it prints a ring that 'ringside record' has written, from its oldest
frame, or with --from keyframe from its newest complete scan, to its end; nothing
need run for that.

   ringside tail --map flows
   ringside tail -o jsonl -n 1000 | jq .value.bytes
   ringside tail --file flows.ring

A JSON line has ring, map, kind, seq, scan, time_ns (CLOCK_MONOTONIC), key and
value; kind is row, delete, event, lost or restart. In the last two everything
about a row is null, and frames, rows and exact tell what is missing.`,
		Flags: []cli.Flag{
			socketFlag(),
			&cli.StringFlag{Name: "ring", Value: ringside.DefaultRing, Usage: "read the ring of this `NAME`"},
			&cli.StringFlag{Name: "map", Usage: "only the rows of the map of this `NAME` (default: all)"},
			&cli.Uint64Flag{Name: "rows", Aliases: []string{"n"}, DefaultText: "never", Usage: "end after this `NUMBER` of rows"},
			&cli.StringFlag{Name: "from", Value: "keyframe", Usage: "begin `WHERE`: keyframe (newest complete scan), oldest, or head (what comes next)"},
			&cli.StringFlag{Name: "file", TakesFile: true, Usage: "read the recorded `RING` in this file"},
			outputFlag("table or jsonl", "table"),
		},
		Action: tail,
	}
}

var startNames = map[string]ringside.Start{
	"keyframe": ringside.StartKeyframe, "oldest": ringside.StartOldest, "head": ringside.StartHead,
}

func tail(c *cli.Context) error {
	format, err := outputFormat(c, "table", "jsonl")
	if err == nil {
		err = noArguments(c)
	}
	if err != nil {
		return err
	}
	start, ok := startNames[c.String("from")]
	if !ok {
		return usageError("--from %q: use keyframe, oldest or head", c.String("from"))
	}
	if c.IsSet("rows") && c.Uint64("rows") == 0 {
		return usageError("-n 0: nothing to do; leave it out for all rows")
	}
	sub, err := tailed(c, start)
	if err != nil {
		return err
	}
	defer sub.Close()
	// Without this the runtime ends the program on a broken pipe, with a signal
	// instead of exit code 0.
	signal.Ignore(unix.SIGPIPE)
	t := tailer{out: newPrinter(c, format, sub.RingName()), messages: c.App.ErrWriter, limited: c.IsSet("rows"), left: c.Uint64("rows")}
	err = t.follow(c.Context, sub)
	if errors.Is(err, unix.EPIPE) {
		return nil // whoever read has seen enough
	}
	return err
}

// tailed is the ring, or the file, to be read.
func tailed(c *cli.Context, start ringside.Start) (*ringside.Subscription, error) {
	o := ringside.Options{
		Socket: c.String("socket"), Ring: c.String("ring"), Name: "ringside tail", Source: c.String("map"), Start: start,
	}
	file := c.String("file")
	if file == "" {
		return ringside.Attach(c.Context, o)
	}
	switch {
	case c.IsSet("ring"):
		return nil, usageError("--ring does not go with --file: a file is one ring")
	case !c.IsSet("from"):
		o.Start = ringside.StartOldest
	case start == ringside.StartHead:
		return nil, usageError("--from head does not go with --file: nothing comes next in a file")
	}
	sub, err := ringside.OpenFile(file, o)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w; let this user read it, or run as one who may", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; 'ringside record FILE' makes one", err)
	case err != nil:
		return nil, withCode(exitConfig, err)
	}
	if o.Source == "" || slices.ContainsFunc(sub.Sources(), func(s *ringside.Source) bool { return s.Name == o.Source }) {
		return sub, nil
	}
	var names []string
	for _, s := range sub.Sources() {
		names = append(names, s.Name)
	}
	sub.Close()
	has := cmp.Or(strings.Join(names, ", "), "none")
	return nil, withCode(exitConfig, fmt.Errorf("%s: source %q: %w; it has %s", file, o.Source, ringside.ErrNoSource, has))
}

func newPrinter(c *cli.Context, format, ring string) render.Printer {
	if format == "jsonl" {
		return render.NewJSONL(c.App.Writer, ring)
	}
	return render.NewTable(c.App.Writer, isTerminal(c.App.Writer))
}

// tailer prints a subscription until its limit is reached, its context ends or
// the sidecar stays away.
type tailer struct {
	out      render.Printer
	messages io.Writer
	limited  bool
	left     uint64
}

var errStaysAway = errors.New("the sidecar is gone and did not come back")

func (t *tailer) follow(ctx context.Context, sub *ringside.Subscription) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	patience := time.AfterFunc(time.Hour, func() { giveUp(errStaysAway) })
	patience.Stop()
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			return err
		}
		switch b.Kind {
		case ringside.KindGone:
			patience.Reset(comeBackTime)
			fmt.Fprintf(t.messages, "ringside: the sidecar is gone; waiting %v for it to come back\n", comeBackTime)
			continue
		case ringside.KindHangs:
			fmt.Fprintln(t.messages, "ringside: the sidecar has not beaten for 2 s; it hangs or is stopped; waiting for it to go on")
			continue
		case ringside.KindEvicted:
			fmt.Fprintln(t.messages, "ringside: this reader held up a lossless ring, which waits for it no more; rows may be lost from here on")
			continue
		case ringside.KindRestart:
			patience.Stop()
		}
		done, err := t.print(b)
		if done || err != nil {
			return err
		}
	}
	if errors.Is(context.Cause(ctx), errStaysAway) {
		return withCode(exitUnavailable, errStaysAway)
	}
	return nil
}

// print prints one batch and tells whether that was the last of them. A frame
// is written as soon as it is printed: it is many rows where there are many,
// and where there are few, somebody is waiting for them.
func (t *tailer) print(b *ringside.Batch) (done bool, err error) {
	switch b.Kind {
	case ringside.KindLost, ringside.KindRestart:
		err = t.out.Loss(b.Kind, b.Lost)
	case ringside.KindRows, ringside.KindDeletes, ringside.KindEvents:
		n := b.Rows
		if t.limited {
			n = int(min(uint64(n), t.left))
			t.left -= uint64(n)
		}
		if n > 0 {
			err = t.out.Rows(b, n)
		}
		done = t.limited && t.left == 0
	}
	return done, errors.Join(err, t.out.Flush())
}
