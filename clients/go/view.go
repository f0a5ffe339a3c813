// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"fmt"

	"github.com/ringside-bpf/ringside/shm"
)

// View waits for the next batch and calls read once with it, without copying:
// its bytes are the ring's own, which the sidecar goes on writing. When read has
// returned, View looks whether they were overwritten meanwhile, and says whether
// what read found out may be believed:
//
//	var sum uint64
//	valid, err := sub.View(ctx, func(b *ringside.Batch) {
//		sum = 0
//		for _, v := range rows.In(b) {
//			sum += v.Bytes
//		}
//	})
//	if valid {
//		total += sum
//	}
//
// In read: compute from the rows into variables of your own, and expect
// nonsense, such as a length beyond an array's end, because a row may be half
// of one and half of another. Not in read: keep a byte or pointer of the batch
// beyond it, write to the batch (the memory is read-only: the program would
// crash), do what cannot be taken back, such as sending a result away, or
// wait; the longer read takes, the likelier it is overtaken. If valid is
// false, throw its results away; the next call tells what was lost.
//
// View and [Subscription.Batches] may take turns. View returns ctx's error when
// ctx ends, and errors as Batches yields them; with an error, read was not called.
func (s *Subscription) View(ctx context.Context, read func(*Batch)) (valid bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		b, err := s.news()
		switch {
		case err != nil:
			return false, err
		case b != nil:
			read(b)
			return true, nil
		case s.held:
			s.held = false
			s.account()
			read(&s.frame)
			return true, nil
		case s.lease == nil:
			if err := s.comeBack(ctx); err != nil {
				return false, err
			}
			continue
		}
		if called, valid := s.lend(ctx, read); called {
			return valid, nil
		}
	}
}

// lend calls read with the next frame where it lies, or with the loss before it.
func (s *Subscription) lend(ctx context.Context, read func(*Batch)) (called, valid bool) {
	h, lent, lost, status := s.cursor.Peek()
	if status != shm.Ready {
		s.nothing(ctx, status)
		return false, false
	}
	src := s.admit(&h)
	switch {
	case s.err != nil || len(s.misfits) > 0:
		return false, false // told first
	case src == nil:
		s.skip() // nothing of its payload was read
		return false, false
	}
	now := s.cursor.Loss()
	now.Frames, now.Rows, now.Laps = now.Frames+lost.Frames, now.Rows+lost.Rows, now.Laps+lost.Laps
	if b := s.tellLoss(now); b != nil {
		read(b)
		return true, true
	}
	if !s.frame.frame(src, &h, lent, s.ring().RealtimeOffsetNS()) {
		if s.cursor.Valid() { // and so it was written
			s.err = fmt.Errorf("%w: frame %d has events outside itself", ErrCorrupt, h.Seq)
		}
		return false, false
	}
	s.frame.lent = true
	read(&s.frame)
	if valid = s.cursor.Valid(); valid {
		s.cursor.Advance()
		s.account()
		s.checkPulse(ctx)
	}
	return true, valid
}
