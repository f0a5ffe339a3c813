// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// The sidecar beats ten times a second.
const (
	// silence is how long its heartbeat may stand still before the socket is
	// asked.
	silence = 500 * time.Millisecond
	// hangTime is how long it may stand still while the socket says that all
	// is well.
	hangTime = 2 * time.Second
)

// pulse watches the sidecar's heartbeat: for its death, while there is always
// something to read and so never a reason to look at the socket; and for a life
// that is none, of which no socket tells. It makes no system call.
//
// What counts is how long the heartbeat has not changed, by this process's own
// watch. Its value is a time, too, but perhaps of another time namespace.
type pulse struct {
	beat    uint64
	changed time.Time // when beat was first seen
	asked   time.Time // when the socket was asked, or changed
}

// look reports whether the heartbeat is late, at most every silence, and
// whether it has stopped.
func (p *pulse) look(beat uint64) (late, stopped bool) {
	now := time.Now()
	if beat != p.beat || p.changed.IsZero() {
		p.beat, p.changed, p.asked = beat, now, now
		return false, false
	}
	if late = now.Sub(p.asked) >= silence; late {
		p.asked = now
	}
	return late, now.Sub(p.changed) >= hangTime
}

// late feels the pulse, and remembers what has to be told.
func (s *Subscription) late() bool {
	late, stopped := s.pulse.look(s.ring().HeartbeatNS())
	s.setHanging(stopped)
	return late
}

// setHanging is told once for every time that the sidecar stops.
func (s *Subscription) setHanging(hanging bool) {
	if s.hanging == hanging {
		return
	}
	s.hanging, s.hangs = hanging, hanging
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Away = nil
	if hanging {
		s.stats.Away = fmt.Errorf("%s: %w", s.opts.Socket, ErrHangs)
	}
}

// wait sleeps until there may be a frame, for at most a second.
func (s *Subscription) wait(ctx context.Context) {
	_, err := s.lease.Wait(ctx, s.cursor.Position().Offset)
	switch {
	case err == nil:
		s.late() // which the socket has answered already
	case ctx.Err() == nil && s.ring().State() != shm.StateSuperseded: // which has a successor
		// What was committed before is in the ring and comes first.
		s.hungUp, s.gone = true, true
		s.setHanging(false)
	}
}

// checkPulse asks the socket when the heartbeat stands still. There are frames
// to read, so wait does not sleep.
func (s *Subscription) checkPulse(ctx context.Context) {
	if s.file == "" && !s.hungUp && s.late() && s.ring().Head() != s.cursor.Position().Offset {
		s.wait(ctx)
	}
}
