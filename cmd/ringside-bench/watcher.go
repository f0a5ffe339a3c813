// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ringside-bpf/ringside/bpf/lab"
	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/delay"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// watcherVerb is the hidden verb that makes this program a consumer who keeps
// the time.
const watcherVerb = "watcher"

// What a watcher is told, a line each; it answers every line with one.
const (
	sayWatch = "watch" // begin; answers when the next record will be seen
	saySeen  = "seen"  // answers what was seen since the last time
	sayLeave = "leave"
)

// seen is what a watcher tells: how late everything was.
type seen struct {
	Sent      delay.Histogram `json:"sent"`      // since a record was submitted
	Due       delay.Histogram `json:"due"`       // since it should have been
	Published delay.Histogram `json:"published"` // since its frame, or the scan that it ends, was
	Rows      uint64          `json:"rows"`
	Lost      uint64          `json:"lost"`
	Restarts  []uint64        `json:"restarts,omitempty"` // when the first rows came after each
}

func (s *seen) merge(o *seen) {
	s.Sent.Merge(&o.Sent)
	s.Due.Merge(&o.Due)
	s.Published.Merge(&o.Published)
	s.Rows += o.Rows
	s.Lost += o.Lost
	s.Restarts = append(s.Restarts, o.Restarts...)
}

// watcher reads, and looks at the clock whenever something has come.
type watcher struct {
	socket, ring, pin string
	busy              bool

	mu   sync.Mutex // between the reading and who asks
	seen seen
	back bool // attached anew, and nothing has come yet

	cancel context.CancelFunc
	ended  chan error
}

func watcherCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: watcherVerb, Hidden: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket"}, &cli.StringFlag{Name: "ring"},
			&cli.StringFlag{Name: "pin", Usage: "a ringbuf to read without a sidecar"}, &cli.BoolFlag{Name: "busy"},
		},
		Action: func(c *cli.Context) error {
			w := &watcher{socket: c.String("socket"), ring: c.String("ring"), pin: c.String("pin"), busy: c.Bool("busy")}
			return w.serve(c.Context, os.Stdin, stdout)
		},
	}
}

// serve does what the parent says until there is nobody to say anything.
func (w *watcher) serve(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	defer func() {
		if e := w.leave(); err == nil {
			err = e
		}
	}()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		answer := any(0)
		switch lines.Text() {
		case sayWatch:
			err = w.watch(ctx)
		case saySeen:
			answer = w.take()
		case sayLeave:
			err = w.leave()
		default:
			err = fmt.Errorf("%w: told to %q", errUsage, lines.Text())
		}
		if err != nil {
			return err
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s %s\n", sayDone, text); err != nil {
			return err
		}
	}
	return nil
}

// take is what was seen since the last time.
func (w *watcher) take() *seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.seen
	w.seen = seen{}
	return &s
}

// watch begins to read. A goroutine that sleeps is not bound to a thread: to be
// woken there would take one switch more.
func (w *watcher) watch(ctx context.Context) error {
	ctx, w.cancel = context.WithCancel(ctx)
	loop, err := w.open(ctx)
	if err != nil {
		w.cancel()
		w.cancel = nil
		return err
	}
	w.ended = make(chan error, 1)
	go func() {
		if w.busy {
			w.ended <- onCPUs(true, loop)
		} else {
			w.ended <- loop()
		}
	}()
	return nil
}

func (w *watcher) open(ctx context.Context) (loop func() error, err error) {
	if w.pin != "" {
		return w.openDirect(ctx)
	}
	sub, err := ringside.Attach(ctx, ringside.Options{Socket: w.socket, Ring: w.ring, Start: ringside.StartHead, Busy: w.busy})
	if err != nil {
		return nil, err
	}
	return func() (err error) {
		for err == nil {
			_, err = sub.View(ctx, w.look)
		}
		if ctx.Err() != nil { // told to leave
			err = nil
		}
		if e := sub.Close(); err == nil {
			err = e
		}
		return err
	}, nil
}

// leave ends what watch began.
func (w *watcher) leave() error {
	if w.cancel == nil {
		return nil
	}
	w.cancel()
	w.cancel = nil
	return <-w.ended
}

// look takes the time of a batch. It is taken before anything else is done, and
// for all of its records at once: they come into the consumer's hands together.
func (w *watcher) look(b *ringside.Batch) {
	now := monotonic.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch b.Kind {
	case ringside.KindRestart:
		w.seen.Lost += b.Lost.Rows
		w.back = true
		return
	case ringside.KindLost:
		w.seen.Lost += b.Lost.Rows
		return
	case ringside.KindEvents:
		for i := range b.Rows {
			w.record(now, b.Event(i))
		}
		w.seen.Published.Add(time.Duration(now - b.TimeNS))
	case ringside.KindRows:
		if b.Last {
			w.seen.Published.Add(time.Duration(now - b.TimeNS))
		}
	default:
		return
	}
	w.seen.Rows += uint64(b.Rows)
	if w.back {
		w.seen.Restarts = append(w.seen.Restarts, now)
		w.back = false
	}
}

func (w *watcher) record(now uint64, b []byte) {
	r, ok := lab.ParseRecord(b)
	if !ok {
		w.seen.Lost++
		return
	}
	w.seen.Sent.Add(time.Duration(now - r.SentNS))
	w.seen.Due.Add(time.Duration(now - r.DueNS))
}
