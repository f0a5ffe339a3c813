// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// longestSpin is how long an event may be waited for awake. To be woken
	// costs some 5 to 10 us and a switch; beyond ten times that, who waits awake
	// has wasted more than there was to win.
	longestSpin = 100 * time.Microsecond
	// leastSpin is where waiting awake begins, and below which it is given up.
	leastSpin = time.Microsecond
	// spinSavings bounds what is put by while nothing happens.
	spinSavings = 10 * time.Millisecond
)

// lookout decides how long an event is waited for awake before the thread goes to
// sleep. The window doubles when an event came within it, or so soon after going
// to sleep that a larger one would have caught it; otherwise it halves, so that a
// ringbuf that is quiet costs nothing. What is spent this way is a share of the
// time that goes by.
type lookout struct {
	share atomic.Uint64 // float64 bits; what may be spent, of one CPU

	window  time.Duration
	savings time.Duration
	at      int64 // ns, when savings were last counted
}

func (l *lookout) allow(share float64) { l.share.Store(math.Float64bits(share)) }

// begin is how long to stay awake now.
func (l *lookout) begin(now int64) time.Duration {
	share := math.Float64frombits(l.share.Load())
	l.savings = min(l.savings+time.Duration(share*float64(now-l.at)), spinSavings)
	l.at = now
	if l.window < leastSpin || l.savings < leastSpin {
		return 0
	}
	return min(l.window, l.savings)
}

// spun notes that so long was spent awake, and whether an event came.
func (l *lookout) spun(took time.Duration, came bool) {
	l.savings -= took
	if came {
		l.window = min(2*l.window, longestSpin)
	}
}

// slept notes that an event came so long after going to sleep.
func (l *lookout) slept(took time.Duration) {
	if l.window+took <= longestSpin {
		l.window = min(max(2*l.window, 2*took, leastSpin), longestSpin)
		return
	}
	if l.window /= 2; l.window < leastSpin {
		l.window = 0
	}
}
