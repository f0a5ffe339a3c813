// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"fmt"
	"time"
)

const (
	// growBy and shrinkBy are uneven on purpose: rows that come late are what
	// users notice, a worker too many costs next to nothing.
	growBy, shrinkBy = 2, 1

	growPause   = 10 * time.Second
	shrinkPause = 30 * time.Second

	defaultGrowAbove   = 500 * time.Microsecond
	defaultShrinkBelow = 200 * time.Microsecond
)

// sizing is the rule by which the number of workers follows what is measured.
// It knows no clock but the load's.
type sizing struct {
	least, most            int
	growAbove, shrinkBelow time.Duration
	now                    int
	calm                   time.Time // since when there was a worker to spare
	last                   Change
}

// load is what the workers had to do in a stretch of time.
type load struct {
	from, to time.Time
	late     time.Duration // p99, from due to started
	call     time.Duration // p99 of single calls in the kernel; 0 if there were none
	waited   bool          // work was due that found no worker
	spare    bool          // at every moment some worker had nothing to do
	spent    bool          // reading takes all it may
}

// Change is one step of the number of workers.
type Change struct {
	At       time.Time // zero: there was none yet
	From, To int
	Reason   string
}

// decide looks at a load and sets how many workers there should be.
func (s *sizing) decide(l load) {
	if s.calm.IsZero() {
		s.calm = l.from
	}
	// How long calls take is left out here: a chunk is sized to take a while,
	// and none takes longer because a worker is idle.
	if !l.spare || l.late >= s.shrinkBelow {
		s.calm = l.to
	}
	since := l.to.Sub(s.last.At)
	switch worst := max(l.late, l.call); {
	case l.waited && !l.spent && worst > s.growAbove && s.now < s.most && since >= growPause:
		what := "scans began %v late"
		if l.call > l.late {
			what = "calls took %v in the kernel"
		}
		s.change(l.to, min(s.now+growBy, s.most), fmt.Sprintf("work waited, and one in a hundred "+what, worst.Round(time.Microsecond)))
	case l.to.Sub(s.calm) >= shrinkPause && s.now > s.least && since >= shrinkPause:
		s.change(l.to, max(s.now-shrinkBy, s.least), fmt.Sprintf("a worker had nothing to do for %v, and scans began within %v", shrinkPause, s.shrinkBelow))
	}
}

func (s *sizing) change(at time.Time, to int, reason string) {
	s.last = Change{At: at, From: s.now, To: to, Reason: reason}
	s.now = to
}
