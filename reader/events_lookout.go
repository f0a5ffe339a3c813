// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/ringside-bpf/ringside/reader/ringbuf"
)

const (
	// longestSpin is how long an event may be waited for awake. To be woken
	// costs some 5 to 10 us and a switch; beyond ten times that, who waits awake
	// has wasted more than there was to win.
	longestSpin = 100 * time.Microsecond
	// leastSpin is where waiting awake begins, and below which it is given up.
	leastSpin = time.Microsecond
	// longestNap is how long events that come thick are left to gather, and
	// worthANap how many of them have to come meanwhile. To look for each of them
	// takes the lines they lie on from under the program that submits, and to wake
	// every consumer for a few costs more than those take to read.
	longestNap = 200 * time.Microsecond
	worthANap  = 256
	// leastNap is where going to sleep, and waking, would take most of it.
	leastNap = 20 * time.Microsecond
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

// flow is how thick events come, from one wait for them to the next.
type flow struct {
	events, bytes uint64 // of events, counted since the beginning
	at            int64
}

// nap is how long the events that will come may be left to gather in a ringbuf of
// that size: no time at all unless they come thick, and never so long that
// more than an eighth of it would fill.
func (f *flow) nap(events, bytes uint64, now int64, size int) time.Duration {
	came, took := events-f.events, time.Duration(now-f.at)
	filled := bytes - f.bytes + came*2*ringbuf.HeaderBytes // header and padding
	*f = flow{events, bytes, now}
	if took <= 0 || float64(came)*float64(longestNap) < worthANap*float64(took) {
		return 0
	}
	if n := min(longestNap, time.Duration(float64(took)*float64(size/8)/float64(filled))); n >= leastNap {
		return n
	}
	return 0
}
