// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"fmt"
	"time"
)

// StaleReason is why a table may not show what the map holds.
type StaleReason uint8

const (
	NotStale        StaleReason = iota
	StaleNoKeyframe             // none has come yet
	StaleLoss                   // the ring overtook the reader
	StaleBroken                 // a scan was not read to its end by the sidecar
	StaleGone                   // the sidecar is gone
	StaleHangs                  // the sidecar gives no sign of life
	StaleRestart                // another sidecar or ring; its keyframe has not come yet
	StaleReplaced               // the source's name stands for another map
	StaleRetired                // the sidecar reads the map no more
	StaleLayout                 // the map has another layout than K and V
	StaleTooLarge               // more rows than the map's max_entries can explain
	StaleEnded                  // reading has ended: the table was closed, or see TableStatus.Err
)

func (r StaleReason) String() string {
	switch r {
	case NotStale:
		return "fresh"
	case StaleNoKeyframe:
		return "no keyframe has come yet"
	case StaleLoss:
		return "rows were lost"
	case StaleBroken:
		return "a scan broke off"
	case StaleGone:
		return "the sidecar is gone"
	case StaleHangs:
		return "the sidecar hangs"
	case StaleRestart:
		return "the sidecar was restarted"
	case StaleReplaced:
		return "the map was replaced"
	case StaleRetired:
		return "the map is not read any more"
	case StaleLayout:
		return "the map's layout does not fit"
	case StaleTooLarge:
		return "more rows than the map can hold"
	case StaleEnded:
		return "reading has ended"
	}
	return "unknown"
}

// TableStatus tells how far a table can be believed.
type TableStatus struct {
	// Fresh: the table shows the newest scan that the sidecar has published.
	// Otherwise it shows the last one before Reason came up.
	Fresh  bool
	Reason StaleReason
	Since  time.Time // when it became fresh or stale
	Err    error     // why reading has ended

	Rows   int
	Bytes  int    // of memory, without snapshots that are held
	Scan   uint64 // number of the scan that is shown
	TimeNS uint64 // CLOCK_MONOTONIC when its last row had been read
}

// condition is a table's freshness. One takes the place of another.
type condition struct {
	reason StaleReason
	since  time.Time
	err    error
	over   chan struct{} // closed when another has taken its place
}

func (t *tracker) fresh() bool { return t.state.Load().reason == NotStale }

// stale makes the table so, and reports whether it was not for that reason.
func (t *tracker) stale(why StaleReason) bool {
	now := t.state.Load()
	// Nobody there, or no more rows, tell more than what was missed thereby.
	if now.reason == why || now.reason == StaleEnded || now.reason == StaleGone && why == StaleLoss {
		return false
	}
	t.become(&condition{reason: why, since: time.Now(), over: make(chan struct{})})
	return true
}

func (t *tracker) become(c *condition) { close(t.state.Swap(c).over) }

// finish is the end of reading.
func (t *tracker) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop()
	if t.state.Load().reason != StaleEnded {
		t.become(&condition{reason: StaleEnded, since: time.Now(), err: err, over: make(chan struct{})})
	}
}

// Fresh reports whether the table shows the newest scan of its map.
func (t *tracker) Fresh() bool { return t.fresh() }

// Status tells how far the table can be believed, and what it takes.
func (t *tracker) Status() TableStatus {
	c, s := t.state.Load(), t.shown.Load()
	return TableStatus{
		Fresh: c.reason == NotStale, Reason: c.reason, Since: c.since, Err: c.err,
		Rows: int(s.count.Load()), Bytes: int(t.size.Load()), Scan: s.scan.Load(), TimeNS: s.timeNS.Load(),
	}
}

// Len is how many keys there are.
func (t *tracker) Len() int { return int(t.shown.Load().count.Load()) }

// Wait returns when the table is fresh, or with an error when it cannot become
// so before ctx ends, or at all.
func (t *tracker) Wait(ctx context.Context) error {
	for {
		c := t.state.Load()
		switch c.reason {
		case NotStale:
			return nil
		case StaleEnded:
			return fmt.Errorf("table of %q: %w", t.source, c.err)
		}
		select {
		case <-c.over:
		case <-ctx.Done():
			return fmt.Errorf("table of %q is stale, %v: %w", t.source, c.reason, ctx.Err())
		}
	}
}
