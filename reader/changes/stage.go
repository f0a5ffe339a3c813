// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

// ErrMemory is wrapped by the error of a scan that had to be given up because
// the history has no memory left. The scans after it are in full.
var ErrMemory = errors.New("what was published does not fit into the memory for it")

const (
	// DefaultKeyframeEvery is how many scans there are from one keyframe to the
	// next, where nobody asks.
	DefaultKeyframeEvery = 100
	// askPause is how long a keyframe that is asked for waits after another.
	askPause = int64(time.Second)
	// lendBytes is what an engine is lent at once: what it writes is still in the
	// cache when it is compared.
	lendBytes = 256 << 10
)

// Sink is where a stage publishes.
type Sink interface {
	reader.Destination
	// Begin is called at the beginning of every scan. It reports whether the scan
	// goes where the one before it went: only then can it build on that one.
	Begin() (same bool)
}

// Options of a stage.
type Options struct {
	KeyframeEvery int     // scans; default DefaultKeyframeEvery
	Budget        *Budget // for the history; must be set
}

// Stage is a destination for one source. Nothing but Want and Stats may be
// called while a scan is running.
type Stage struct {
	sink   Sink
	key    int
	value  int
	every  int
	budget *Budget
	wanted atomic.Bool

	lent    []byte   // from the kernel: page-aligned
	history *history // nil: there is no memory, every scan is a keyframe
	out     output
	lookup  lookups

	ctx      context.Context // of the last claim
	rows     []byte          // of the last claim: part of lent, or the engine's own
	err      error           // why this scan cannot be published
	running  bool            // a scan has begun and not ended
	keyframe bool            // it is one
	dirty    bool            // the history has moved ahead of what is published
	now      int64           // by the last frame
	entries  int             // rows of this scan
	brought  tally
	full     string // why there is no history

	whole   bool  // the history is what consumers know
	since   int   // scans from the last keyframe on
	granted int64 // time of the last keyframe; 0: never

	mu    sync.Mutex
	stats Stats
}

// Stats is what a stage has done.
type Stats struct {
	Keyframes    uint64 // scans that published all rows
	Changes      uint64 // scans that published what had changed
	Quiet        uint64 // scans in which nothing had
	ChangedRows  uint64 // published outside of keyframes
	DeletedRows  uint64
	Confirmed    uint64 // keys that two scans had missed and that were there
	HistoryBytes int64
	Full         string // why every scan is a keyframe; empty: they are not
}

// New makes a stage for a source. It is closed when the source is.
func New(sink Sink, info *reader.Info, o Options) (*Stage, error) {
	if o.KeyframeEvery <= 0 {
		o.KeyframeEvery = DefaultKeyframeEvery
	}
	size := max(lendBytes, info.RowBytes())
	lent, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%s: %d bytes to compare rows in: %w", info.Pin, size, err)
	}
	s := &Stage{
		sink: sink, key: info.KeySize, value: info.ValueSize, every: o.KeyframeEvery, budget: o.Budget, lent: lent,
		history: newHistory(info.KeySize, info.ValueSize, o.Budget),
	}
	s.out = output{sink: sink, keyStride: s.history.keyStride}
	s.lookup.keys = make([]byte, lookupKeys*s.key)
	return s, nil
}

// Close gives the memory back.
func (s *Stage) Close() error {
	if s.history != nil {
		s.history.drop()
		s.history = nil
	}
	lent := s.lent
	if s.lent = nil; lent == nil {
		return nil
	}
	return unix.Munmap(lent)
}

// Want asks for a keyframe: the next scan is one, or, if there has just been
// one, a scan within a second.
func (s *Stage) Want() { s.wanted.Store(true) }

// Stats is a snapshot.
func (s *Stage) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Largest implements reader.Destination.
func (s *Stage) Largest() int { return min(s.sink.Largest(), len(s.lent)) }

// Claim implements reader.Destination.
func (s *Stage) Claim(ctx context.Context, _, most int) ([]byte, error) {
	if err := s.err; err != nil {
		s.abandon()
		return nil, err
	}
	s.ctx, s.rows = ctx, s.lent[:most:most]
	return s.rows, ctx.Err()
}

// Take implements reader.Taker: rows are looked at where they are.
func (s *Stage) Take(ctx context.Context, rows []byte) error {
	_, err := s.Claim(ctx, 0, 0)
	s.rows = rows
	return err
}

// Stalled makes the stage a reader.Staller if its sink is one: between an engine and
// a lossless ring, the worker waits as it would without a stage.
func (s *Stage) Stalled() bool {
	sink, ok := s.sink.(reader.Staller)
	return ok && sink.Stalled()
}

// Abort implements reader.Destination.
func (s *Stage) Abort() {}

// Commit implements reader.Destination. What goes wrong here is told by the next
// Claim, or by Finish.
func (s *Stage) Commit(f reader.Frame) {
	if f.First {
		s.begin(&f)
	}
	if s.err != nil {
		return
	}
	s.now = f.TimeNS
	s.out.common.TimeNS = f.TimeNS
	s.entries += f.Rows
	if s.history != nil {
		s.err = s.compare(&f)
	}
	if s.keyframe && s.err == nil {
		s.err = s.out.forward(s.ctx, s.rows, f)
	}
}

// begin decides what a scan will be.
func (s *Stage) begin(f *reader.Frame) {
	if s.running { // an engine gave up, another begins anew
		s.abandon()
	}
	asked := s.wanted.Load() && (s.granted == 0 || f.TimeNS-s.granted >= askPause)
	same := s.sink.Begin()
	s.retry()
	s.keyframe = !same || !s.whole || asked || s.since >= s.every || s.history == nil
	if s.keyframe {
		// Before the first frame: whoever asks from now on may be behind it.
		s.wanted.Store(false)
		s.granted = f.TimeNS
	}
	s.running, s.err, s.dirty, s.entries, s.brought = true, nil, false, 0, tally{}
	s.out.begin(f.Scan, s.keyframe)
	if s.history != nil {
		s.history.begin()
	}
}

// compare takes a frame's rows into the history, and those that differ to the
// output.
func (s *Stage) compare(f *reader.Frame) error {
	h := s.history
	if f.Rows == 0 {
		return nil
	}
	keys, values := s.rows[f.Keys.Offset:], s.rows[f.Values.Offset:]
	for i := 0; i < f.Rows; i++ {
		i += h.run(keys[i*f.Keys.Stride:], values[i*f.Values.Stride:], f, f.Rows-i)
		if i == f.Rows {
			break
		}
		slot, what := h.meet(keys[i*f.Keys.Stride:][:s.key], values[i*f.Values.Stride:][:s.value])
		switch {
		case what == same:
			continue
		case what == homeless:
			return s.homeless()
		}
		s.dirty = true
		if s.keyframe {
			continue
		}
		s.brought.changed++
		if err := s.out.add(s.ctx, h.row(slot), false); err != nil {
			return err
		}
	}
	return nil
}
