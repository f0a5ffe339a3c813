// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// witness is the well-behaved consumer beside a misbehaving one: it reads from
// the beginning and must miss nothing.
type witness struct {
	offset atomic.Uint64
	moved  chan struct{}
	rows   uint64
}

// read follows the ring until ctx ends, or until the ring or the sidecar does.
func (w *witness) read(ctx context.Context, a *Attachment) error {
	c := a.Cursor(shm.StartOldest)
	buf := make([]byte, a.Ring.Geometry().LargestFrame)
	for {
		h, payload, lost, status := c.Next(buf)
		switch status {
		case shm.Ready:
			if lost != (shm.Loss{}) {
				return fmt.Errorf("lost %+v before frame %d", lost, h.Seq)
			}
			if err := checkRows(h, payload); err != nil {
				return err
			}
			w.rows += uint64(h.Rows)
			w.offset.Store(c.Position().Offset)
			select {
			case w.moved <- struct{}{}:
			default:
			}
		case shm.Empty:
			if _, err := a.Wait(ctx, c.Position().Offset); errors.Is(err, context.Canceled) {
				return nil
			} else if err != nil {
				return err
			}
		case shm.Ended:
			return nil
		default:
			return fmt.Errorf("status %v: %w", status, c.Err())
		}
	}
}

// busy publishes all the time, as fast as a witness reads, while a test does
// its worst. Its cleanup asserts that the witness got every row.
func (s *stand) busy(t testing.TB) {
	t.Helper()
	s.beat(t)
	a := s.attach(t, shm.StartOldest)
	w := &witness{moved: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	fed, read := make(chan error, 1), make(chan error, 1)
	stop := make(chan struct{})
	go func() { fed <- s.feedBeside(w, stop) }()
	go func() { read <- w.read(ctx, a) }()
	t.Cleanup(func() {
		close(stop)
		if err := <-fed; err != nil {
			t.Errorf("publisher: %v", err)
		}
		deadline := time.After(patience)
		for late := false; w.offset.Load() != s.publisher.Totals().Head && !late; {
			select {
			case <-w.moved:
			case err := <-read:
				t.Fatalf("witness: %v", err)
			case <-deadline:
				late = true
			}
		}
		cancel()
		if err := <-read; err != nil {
			t.Errorf("witness: %v", err)
		}
		if w.rows != s.feed.rows || w.rows == 0 {
			t.Errorf("witness read %d rows of %d", w.rows, s.feed.rows)
		}
	})
}

// feedBeside keeps at most half a ring ahead of the witness. It publishes in
// bursts, so that the witness also sleeps.
func (s *stand) feedBeside(w *witness, stop <-chan struct{}) error {
	half := s.publisher.Geometry().DataBytes / 2
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		for s.publisher.Totals().Head-w.offset.Load() > half {
			select {
			case <-w.moved:
			case <-stop:
				return nil
			}
		}
		if err := s.feed.publish(context.Background(), rand.IntN(200)); err != nil {
			return err
		}
		if rand.IntN(16) > 0 {
			continue
		}
		pause.Reset(time.Duration(rand.IntN(int(time.Millisecond))))
		select {
		case <-pause.C:
		case <-stop:
			return nil
		}
	}
}
