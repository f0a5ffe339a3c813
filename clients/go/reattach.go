// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

const (
	backoffFirst = time.Millisecond
	backoffMax   = 50 * time.Millisecond

	// refusalGrace is how long a sidecar that came back may refuse before
	// that is its last word: while it starts, directories and modes change.
	refusalGrace = time.Second

	// replaceGrace is how long Attach believes that a ring is just being
	// replaced.
	replaceGrace = 5 * time.Second
)

// away is what is remembered of the last ring while there is none.
type away struct {
	epoch   uint64
	pos     shm.Position // how far it was read
	clean   bool         // and that was all of it
	told    bool         // that nobody is there
	pause   time.Duration
	since   time.Time // when the last ring was left
	refused time.Time // since when; zero: not refused
}

// leave gives back a ring that was read to its end. clean: the sidecar had said
// that nothing would follow; after a hang-up there may have been something that
// it had read and not yet published.
func (s *Subscription) leave(clean bool) {
	s.away = away{epoch: s.lease.Epoch, pos: s.cursor.Position(), clean: clean, told: s.hungUp, pause: backoffFirst, since: time.Now()}
	why := StaleRestart
	if s.ring().State() == shm.StateEnded {
		s.tellGone() // a superseded ring has a successor, an ended one has not
		why = StaleGone
	}
	for _, t := range s.tables {
		t.notice(why) // now, and not when the next ring, which may tell more, was had
	}
	s.setHanging(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.lease.Close() // unmapping what was mapped, closing what was open: neither fails
	s.lease, s.cursor = nil, nil
}

// comeBack tries once to attach anew, and pauses if that failed. It returns the
// error that makes further attempts pointless.
func (s *Subscription) comeBack(ctx context.Context) error {
	lease, err := s.dial(ctx, s.startAnew())
	if err == nil {
		if err = s.resumeOn(lease); err == nil {
			return s.err
		}
	}
	if ctx.Err() != nil {
		return nil // which says nothing about the sidecar
	}
	if s.hopeless(err) {
		s.err = err
		return err
	}
	// One that is just being replaced, hands over to another, or refuses, is not gone.
	there := errors.Is(err, handoff.ErrTryAgain) || errors.Is(err, errStale) || !s.away.refused.IsZero()
	if !there || time.Since(s.away.since) > replaceGrace {
		s.tellGone()
	}
	s.mu.Lock()
	s.stats.Away = err
	s.mu.Unlock()
	sleep(ctx, s.away.pause)
	s.away.pause = min(2*s.away.pause, backoffMax)
	return nil
}

// tellGone tells the application once that nobody is there.
func (s *Subscription) tellGone() {
	s.gone = s.gone || !s.away.told
	s.away.told = true
}

// startAnew is where to begin in the next ring. It is young, so its beginning is
// the least that can be lost; only who wants the newest gets that.
func (s *Subscription) startAnew() shm.Start {
	if s.opts.Start == StartHead {
		return shm.StartHead
	}
	return shm.StartOldest
}

// errStale means that the sidecar still lends the ring that had ended.
var errStale = errors.New("the old ring again")

// resumeOn goes on with a new lease.
func (s *Subscription) resumeOn(lease *handoff.Attachment) error {
	pos, lost := lease.Position, Loss{Exact: s.away.clean}
	if lease.Epoch == s.away.epoch {
		// The lease was lost, not the ring: nothing is.
		if lease.Ring.State() != shm.StateLive {
			return errors.Join(errStale, lease.Close())
		}
		pos, lost.Exact = s.away.pos, true
	} else {
		// A ring counts from its own beginning.
		lost.Frames, lost.Rows = pos.Seq, pos.Rows
	}
	if err := s.adopt(lease, pos); err != nil {
		s.err = err
		return nil
	}
	s.restart = &lost
	s.mu.Lock()
	s.stats.Restarts++
	s.stats.LostFrames += lost.Frames
	s.stats.LostRows += lost.Rows
	s.mu.Unlock()
	return nil
}

// adopt makes a lease the one that is read. Views are held against its sources.
func (s *Subscription) adopt(lease *handoff.Attachment, pos shm.Position) error {
	lease.Position = pos
	s.cursor = lease.Cursor(s.opts.Start.policy())
	if largest := int(lease.Ring.Geometry().LargestFrame); len(s.buf) < largest {
		s.buf = make([]byte, largest)
	}
	s.sources, s.told, s.hungUp, s.evicted, s.pulse = nil, shm.Loss{}, false, false, pulse{}
	s.mu.Lock()
	s.lease, s.pos, s.stats.Away = lease, pos, nil
	s.mu.Unlock()
	return s.loadSources()
}

// dial asks the sidecar for the ring, once.
func (s *Subscription) dial(ctx context.Context, start shm.Start) (*handoff.Attachment, error) {
	conn, err := handoff.Dial(ctx, s.opts.Socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Attach(ctx, handoff.AttachRequest{Ring: s.opts.Ring, Consumer: s.opts.Name, Source: s.opts.Source, Start: start})
}

// hopeless reports whether trying again is no use: this program is not wanted,
// and not just for a moment.
func (s *Subscription) hopeless(err error) bool {
	switch {
	case errors.Is(err, shm.ErrVersion), errors.Is(err, handoff.ErrProtocol):
		return true
	case errors.Is(err, ErrPermission), errors.Is(err, ErrNotAllowed):
	default:
		s.away.refused = time.Time{}
		return false
	}
	if s.away.refused.IsZero() {
		s.away.refused = time.Now()
	}
	return time.Since(s.away.refused) >= refusalGrace
}

// sleep reports whether d has passed, and not ended with ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
