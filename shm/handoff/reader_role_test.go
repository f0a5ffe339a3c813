// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
)

func init() { roles["reader"] = playReader }

// playReader attaches to the ring at args[0] and checks every row it gets, until
// the sidecar is gone or stdin ends. It prints where it is.
func playReader(args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-bpftest.RoleMayEnd(); cancel() }()
	fmt.Println("started")
	c, err := Dial(ctx, args[0])
	if err != nil {
		return err
	}
	fmt.Println("dialled")
	a, err := c.Attach(ctx, AttachRequest{Ring: "main", Consumer: "reader", Start: shm.StartOldest})
	if err != nil {
		return err
	}
	fmt.Println("attached")
	r := reader{a: a, c: a.Cursor(shm.StartOldest), buf: make([]byte, a.Ring.Geometry().LargestFrame)}
	err = r.run(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	fmt.Printf("end rows=%d lost=%d\n", r.rows, r.c.Loss().Rows)
	return err
}

type reader struct {
	a    *Attachment
	c    *shm.Cursor
	buf  []byte
	rows uint64

	ticks  int  // Waits that ended by time since the last frame
	hangup bool // said by Wait; what was committed before is still to be read
}

func (r *reader) run(ctx context.Context) error {
	for frames := 0; ; {
		h, payload, _, status := r.c.Next(r.buf)
		switch status {
		case shm.Ready:
			if err := checkRows(h, payload); err != nil {
				return err
			}
			r.rows, r.ticks = r.rows+uint64(h.Rows), 0
			if frames++; frames%50 == 0 {
				fmt.Println("reading", frames)
			}
		case shm.Lapped:
		case shm.Empty:
			if r.hangup {
				fmt.Println("hangup after", r.ticks)
				return nil
			}
			if err := r.wait(ctx); err != nil {
				return err
			}
		case shm.Ended:
			fmt.Println("ended", r.a.Ring.State())
			return nil
		default:
			return r.c.Err()
		}
	}
}

func (r *reader) wait(ctx context.Context) error {
	woken, err := r.a.Wait(ctx, r.c.Position().Offset)
	if errors.Is(err, ErrHangup) {
		r.hangup = true
		return nil
	}
	if !woken {
		r.ticks++
	}
	return err
}
