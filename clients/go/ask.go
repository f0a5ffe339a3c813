// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// asked is which keyframe was asked for, and when.
type asked struct {
	source uint16
	at     time.Time // zero: none
}

// askAgain is how long a wish may take to come true. The sidecar remembers none
// that it could not grant at once.
const askAgain = 2 * time.Second

// lookAfterTables is done when all that was published has been read: a table
// that is not fresh by then has nothing more to hope for in the ring.
func (s *Subscription) lookAfterTables() {
	if len(s.tables) == 0 {
		return
	}
	for _, t := range s.tables {
		t.look()
	}
	// What took a map's place is asked for, though none of its frames has come.
	if err := s.loadSources(); err != nil {
		s.err = err
		return
	}
	s.askForKeyframes()
}

// look notices what no batch tells: that the map is not read any more, or that
// nobody is left to read it.
func (t *tracker) look() {
	if !t.fresh() {
		return
	}
	why := NotStale
	if state, _ := t.sub.ring().SourceState(t.src.Number); state == shm.SourceSuperseded {
		why = StaleReplaced
	} else if state != shm.SourceActive {
		why = StaleRetired
	}
	if t.sub.hanging {
		why = StaleHangs
	}
	if why != NotStale {
		t.notice(why)
	}
}

// notice makes the table stale, if it is not, for what no batch tells.
func (t *tracker) notice(why StaleReason) {
	if !t.fresh() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lose(why)
}

// askForKeyframes asks for what the tables that are stale need. There is room
// for one wish: two are a wish for all.
func (s *Subscription) askForKeyframes() {
	want, wishes := uint16(shm.AnySource), 0
	for _, t := range s.tables {
		src := s.newestOf(t.source)
		if t.fresh() || src == nil || !src.Changes {
			continue // where every scan is a keyframe, one comes anyway
		}
		if wishes++; wishes == 1 {
			want = uint16(src.Number)
		} else if want != uint16(src.Number) {
			want = shm.AnySource
		}
	}
	if wishes == 0 || s.lease == nil || s.file != "" {
		s.asked = asked{}
		return
	}
	now := time.Now()
	if !s.asked.at.IsZero() && s.asked.source == want && now.Sub(s.asked.at) < askAgain {
		return
	}
	s.asked = asked{want, now}
	s.lease.Page.Ask(want)
}
