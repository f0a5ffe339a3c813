// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrShared: a ringbuf has another reader beside us.
var ErrShared = errors.New("another process reads this ringbuf, too: each record reaches only one of the two")

// failingFor is how long the last error is news.
const failingFor = 10 * time.Second

// EventStats is what Events have done since they were opened.
type EventStats struct {
	Info         Info
	Frames       uint64
	Events       uint64
	Bytes        uint64 // of events
	Discarded    uint64 // records that their programs took back
	TooLarge     uint64 // records that no frame of the ring could hold: lost
	Largest      int    // of those
	LostBytes    uint64 // given up because what lay there was no record
	ForeignMoves uint64 // how often somebody else moved the read position
	ForeignBytes uint64 // how far, forward: records that went to somebody else
	Backlog      int    // bytes in the ringbuf that were not taken yet
	Wakes        uint64 // how often an event ended a sleep
	Active       bool
	Poll         bool
	Every        time.Duration
	CPU          time.Duration // of Run, spinning included
	Spun         time.Duration // of it, waiting awake; without Poll
	Failures     uint64
	LastError    error // kept after recovery
	Failing      bool  // it is not older than a few seconds
	Shared       bool  // somebody else moved the position in the last few seconds
}

// eventCounts is written by the goroutine that runs Events.
type eventCounts struct {
	frames, events, bytes   atomic.Uint64
	discarded, tooLarge     atomic.Uint64
	lostBytes               atomic.Uint64
	foreignMoves, foreignBy atomic.Uint64
	wakes, spun, cpu        atomic.Uint64
	largest, failures       atomic.Uint64
	mark                    time.Duration // the thread's clock when cpu was last added to

	mu       sync.Mutex
	err      error
	failedAt time.Time
	sharedAt time.Time
}

func (c *eventCounts) moved(events, bytes int) {
	c.frames.Add(1)
	c.events.Add(uint64(events))
	c.bytes.Add(uint64(bytes))
}

// settle adds up what the thread has run since the last time.
func (c *eventCounts) settle() {
	now := threadCPU()
	if now > c.mark { // else it is another thread's clock
		c.cpu.Add(uint64(now - c.mark))
	}
	c.mark = now
}

func (c *eventCounts) fail(err error) {
	c.failures.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.failedAt = err, time.Now()
}

func (c *eventCounts) foreign(moved int64) {
	c.foreignMoves.Add(1)
	c.foreignBy.Add(uint64(max(moved, 0)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sharedAt = time.Now()
}

// Stats is a snapshot.
func (e *Events) Stats() EventStats {
	c := &e.stats
	s := EventStats{
		Info: e.Info(), Frames: c.frames.Load(), Events: c.events.Load(), Bytes: c.bytes.Load(),
		Discarded: c.discarded.Load(), TooLarge: c.tooLarge.Load(), LostBytes: c.lostBytes.Load(),
		ForeignMoves: c.foreignMoves.Load(), ForeignBytes: c.foreignBy.Load(), Wakes: c.wakes.Load(),
		Active: e.active.Load(), Poll: e.options.Poll, Every: e.options.Every,
		CPU: time.Duration(c.cpu.Load()), Spun: time.Duration(c.spun.Load()),
		Failures: c.failures.Load(), Largest: int(c.largest.Load()),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.ring != nil {
		s.Backlog = e.ring.Backlog()
	}
	s.LastError = c.err
	s.Failing = c.err != nil && time.Since(c.failedAt) < failingFor
	s.Shared = !c.sharedAt.IsZero() && time.Since(c.sharedAt) < failingFor
	return s
}
