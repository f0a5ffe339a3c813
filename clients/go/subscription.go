// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// Subscription reads one ring, and the ring that takes its place, and so on.
//
// It is used by one goroutine at a time; only Stats may be called from others
// meanwhile. Goroutines that want to read side by side each attach for
// themselves: that costs a page and a mapping of the same memory.
type Subscription struct {
	opts    Options
	file    string // path; "": what is read is a sidecar's
	cursor  *shm.Cursor
	buf     []byte // what Batches copies into
	frame   Batch  // of buf, or in View of the ring
	held    bool   // frame was copied and not delivered yet
	note    Batch  // a batch without rows
	sources []*Source
	views   []view
	tables  []*tracker
	asked   asked // for keyframes

	// What has to be told before the next frame.
	err     error   // final
	misfits []error // *LayoutError
	gone    bool
	hangs   bool
	evicted bool // was told, of this lease
	restart *Loss
	told    shm.Loss // of this cursor's loss

	hungUp  bool // the sidecar is gone; what it left is being read
	hanging bool // it is there, and as good as gone
	pulse   pulse
	away    away // meaningful while lease is nil

	mu    sync.Mutex // guards the rest, for Stats
	lease *handoff.Attachment
	pos   shm.Position // behind the last frame that was delivered
	stats Stats
}

// Stats are counted since Attach, over all restarts.
type Stats struct {
	Frames, Rows         uint64 // delivered
	LostFrames, LostRows uint64 // missed, as far as it can be counted
	Laps                 uint64 // how often the ring overtook this reader
	Restarts             uint64 // how often it attached anew
	LagFrames, LagRows   uint64 // published and not yet read

	// Away is why there is no sidecar just now, or ErrHangs while there is one
	// that shows no life. nil: all is well.
	Away error
}

// Attach connects to the sidecar, which lends its ring for as long as the
// subscription is not closed.
//
// It fails at once where waiting is no remedy: [ErrNoSidecar], [ErrPermission],
// [ErrNotAllowed], [ErrNotFound]. The caller closes the subscription.
func Attach(ctx context.Context, o Options) (*Subscription, error) {
	if o.Start > StartHead {
		return nil, fmt.Errorf("%w: Start %d: only files are read from the beginning", fs.ErrInvalid, o.Start)
	}
	s := &Subscription{opts: o.withDefaults()}
	began := time.Now()
	for pause := backoffFirst; ; pause = min(2*pause, backoffMax) {
		lease, err := s.dial(ctx, o.Start.policy())
		if err == nil {
			if err = s.adopt(lease, lease.Position); err != nil {
				return nil, errors.Join(err, s.Close())
			}
			return s, nil
		}
		// A ring that is just being replaced will be there in a moment.
		if !errors.Is(err, handoff.ErrTryAgain) || time.Since(began) > replaceGrace || !sleep(ctx, pause) {
			return nil, err
		}
	}
}

// Close gives the ring back. No loop may be running; end its context first.
// Bytes and pointers that View lent are gone, those of Batches are not.
func (s *Subscription) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = ErrClosed
	if s.lease == nil || s.file != "" {
		s.lease, s.cursor = nil, nil // the garbage collector closes what was read from a file
		return nil
	}
	err := s.lease.Close()
	s.lease, s.cursor = nil, nil
	return err
}

// Stats counts what this subscription got, missed and has before it. It may be
// called from any goroutine; the reading one waits for it only if both meet.
func (s *Subscription) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	if s.lease == nil {
		return st
	}
	// The cursor may be ahead of a total that is a moment old.
	total := s.lease.Ring.Totals()
	st.LagFrames = max(total.Frames, s.pos.Seq) - s.pos.Seq
	st.LagRows = max(total.Rows, s.pos.Rows) - s.pos.Rows
	return st
}

// account counts the frame that is delivered, behind which the cursor stands.
func (s *Subscription) account() {
	s.mu.Lock()
	s.pos = s.cursor.Position()
	s.stats.Frames++
	s.stats.Rows += uint64(s.frame.Rows)
	s.mu.Unlock()
}

// skip leaves a frame that is none to deliver, so that it is no lag either.
func (s *Subscription) skip() {
	s.cursor.Advance()
	s.mu.Lock()
	s.pos = s.cursor.Position()
	s.mu.Unlock()
}

// RingName is the name of the ring, also of one that was recorded.
func (s *Subscription) RingName() string { return s.opts.Ring }

func (s *Subscription) ring() *shm.Ring { return s.lease.Ring }
