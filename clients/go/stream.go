// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/ringside-bpf/ringside/shm"
)

// Batches reads until ctx ends, which ends the loop without an error. Every
// batch is a copy in a buffer that the next one reuses: whatever the sidecar
// does meanwhile, its bytes are whole and stay.
//
// While there is something to read, the loop makes no system call and allocates
// nothing. When there is not, the goroutine sleeps without holding a thread.
//
// An error comes with a nil batch. A [*LayoutError] does not end the loop: the
// map behind a typed view was replaced by another one. Any other error is the
// last: the ring is corrupt, or the sidecar that came back does not let this
// program in. Loss and restart are batches (see [Kind]).
//
// Breaking out and ranging again goes on where the loop was left.
func (s *Subscription) Batches(ctx context.Context) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		for ctx.Err() == nil {
			b, err := s.step(ctx)
			if b == nil && err == nil {
				continue // slept, skipped a frame, or attached anew
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(b, err) || s.err != nil {
				return
			}
		}
	}
}

// step does one thing that is bounded, or sleeps once, and returns what is to be
// delivered, if that produced something.
func (s *Subscription) step(ctx context.Context) (*Batch, error) {
	if b, err := s.news(); b != nil || err != nil {
		return b, err
	}
	if s.held {
		s.held = false
		s.account()
		return &s.frame, nil
	}
	if s.lease == nil {
		return nil, s.comeBack(ctx)
	}
	s.fetch(ctx)
	return nil, nil
}

// fetch copies the next frame, unless it is one to skip.
func (s *Subscription) fetch(ctx context.Context) {
	h, _, _, status := s.cursor.Peek()
	if status == shm.Ready {
		if s.admit(&h) == nil {
			s.skip()
			return
		}
		var payload []byte
		h, payload, _, status = s.cursor.Next(s.buf)
		if status == shm.Ready {
			s.checkPulse(ctx)
			// Another frame than before, if the ring came round in between.
			if src := s.admit(&h); src != nil {
				s.frame.frame(src, &h, payload, s.ring().RealtimeOffsetNS())
				s.held = true
			}
			return
		}
	}
	s.nothing(ctx, status)
}

// news is what there is to say before the next frame.
func (s *Subscription) news() (*Batch, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case len(s.misfits) > 0:
		err := s.misfits[0]
		s.misfits = s.misfits[1:]
		return nil, err
	case s.gone:
		s.gone = false
		return s.note.remark(KindGone, Loss{}), nil
	case s.hangs:
		s.hangs = false
		return s.note.remark(KindHangs, Loss{}), nil
	case s.lease != nil && s.file == "" && !s.evicted && s.lease.Page.Evicted():
		s.evicted = true
		return s.note.remark(KindEvicted, Loss{}), nil
	case s.restart != nil:
		lost := *s.restart
		s.restart = nil
		return s.note.remark(KindRestart, lost), nil
	case s.cursor == nil:
		return nil, nil
	}
	return s.tellLoss(s.cursor.Loss()), nil
}

// tellLoss is the remark about the part of a cursor's loss that was not told yet.
// What was told may be ahead of the cursor, which counts the loss before a frame
// only when it leaves that frame.
func (s *Subscription) tellLoss(now shm.Loss) *Batch {
	if now.Laps > s.told.Laps { // which may have cost nothing but a pad
		s.mu.Lock()
		s.stats.Laps += now.Laps - s.told.Laps
		s.mu.Unlock()
		s.told.Laps = now.Laps
	}
	if now.Frames <= s.told.Frames {
		return nil
	}
	lost := Loss{Frames: now.Frames - s.told.Frames, Rows: now.Rows - s.told.Rows, Exact: true}
	s.mu.Lock()
	s.stats.LostFrames += lost.Frames
	s.stats.LostRows += lost.Rows
	s.mu.Unlock()
	s.told = now
	return s.note.remark(KindLost, lost)
}

// admit finds the source of a frame, or nil if the frame is none to deliver.
func (s *Subscription) admit(h *shm.Header) *Source {
	if kindOf(h.Kind) == 0 {
		return nil
	}
	for int(h.Source) >= len(s.sources) {
		if err := s.loadSource(); err != nil {
			s.err = err
			return nil
		}
	}
	src := s.sources[h.Source]
	if s.opts.Source != "" && src.Name != s.opts.Source {
		return nil
	}
	return src
}

// kindOf is 0 for kinds of frames that have no batch.
func kindOf(k shm.Kind) Kind {
	switch k {
	case shm.KindRows:
		return KindRows
	case shm.KindDeletes:
		return KindDeletes
	case shm.KindEvents:
		return KindEvents
	}
	return 0
}

// busyLooks is how often a busy consumer looks at the ring before it looks at the
// clock and rehearses: that takes less than a tenth of the time then.
const busyLooks = 2048

const rehearsed = 16 // rows of the last frame, at most

// nothing deals with a ring that has no next frame: sleep, or leave it.
func (s *Subscription) nothing(ctx context.Context, status shm.Status) {
	if s.file != "" {
		s.endFile(status)
		return
	}
	if status == shm.Empty {
		s.lookAfterTables()
	}
	switch {
	case status == shm.Ended:
		s.leave(true)
	case status == shm.Corrupt:
		s.err = s.cursor.Err()
	case status == shm.Empty && s.hungUp:
		s.leave(false)
	case status == shm.Empty && s.opts.Busy && !s.late():
		if !s.cursor.Linger(busyLooks) {
			s.rehearse()
		}
	case status == shm.Empty:
		s.wait(ctx)
	}
}

// rehearse goes the way of a frame with the last one, and throws the result away.
// It is for who waits awake: code and data that are used a thousand times a second
// leave the nearest caches in between, and what is predicted is that there never is
// a frame. The next one is in its reader's hands half a microsecond sooner.
//
// What comes is most likely small, and meanwhile nobody looks for it: of a large
// frame of events, each of which is looked at, the first few will do.
func (s *Subscription) rehearse() {
	again := s.cursor.Again()
	h, lent, _, status := again.Peek()
	if status != shm.Ready || int(h.Source) >= len(s.sources) {
		return
	}
	if src := s.admit(&h); src != nil {
		h.Rows = min(h.Rows, rehearsed)
		last := s.frame // which its reader may look at still
		s.frame.frame(src, &h, lent, s.ring().RealtimeOffsetNS())
		s.frame = last
	}
	again.Valid()
}
