// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

const (
	// rangeBytes is how much of an array one run takes: small enough to be in
	// the cache still when it is copied on, large enough to hide the call.
	rangeBytes = 128 << 10
	// maxLate is how many runs in a row may overstay before the engine is given
	// up: a processor that was taken away in between looks like a slow walk.
	maxLate = 3
	// defaultScratch bounds the memory of one pump.
	defaultScratch = 64 << 20
)

// pumpEngine lets a program of ours walk the map and copies what it left.
type pumpEngine struct {
	pump   *scan.Pump
	target scan.Target
	rows   interleaved
	pace   pace // of the copy
	hold   time.Duration
	limit  int // bytes of scratch
	late   int // runs in a row
}

func openPump(s *Source) (engine, string, error) {
	t, err := s.target()
	if err != nil {
		return nil, "", err
	}
	if t.Array() {
		return openRanges(s, t)
	}
	e := &pumpEngine{
		target: t, rows: interleavedRows(&t), pace: newPace(s.options.MaxHold),
		hold: s.options.MaxHold, limit: s.options.Scratch,
	}
	if err := e.size(); err != nil {
		return nil, "", err
	}
	return e, fmt.Sprintf("a program walks the map in one go, within %v", e.hold), nil
}

// size counts the rows and loads the program with room for them and some more.
func (e *pumpEngine) size() error {
	counter, err := scan.OpenCounter(e.target)
	if err != nil {
		return err
	}
	run, err := counter.Count(e.hold)
	counter.Close()
	if errors.Is(err, scan.ErrLate) {
		return notNowf("walking %d rows alone took longer than the %v a read may stay in the kernel", run.Rows, e.hold)
	}
	if err != nil {
		return err
	}
	// Rows may be met twice, so there can be more than the map holds.
	room := min(run.Rows+run.Rows/4+1024, e.target.MaxEntries+e.target.MaxEntries/16+64)
	if room = min(room, e.limit/e.rows.stride); room < run.Rows+run.Rows/16 || room == 0 {
		return notNowf("%d rows of %d bytes do not fit into %d bytes of scratch", run.Rows, e.rows.stride, e.limit)
	}
	pump, err := scan.OpenPump(e.target, room)
	if err != nil {
		return err
	}
	if e.pump != nil {
		e.pump.Close()
	}
	e.pump = pump
	return nil
}

func (e *pumpEngine) close() error { return e.pump.Close() }

func (e *pumpEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	for grown := false; ; {
		rows, run, err := e.pump.Walk(e.hold)
		p.stats.ScratchBytes = e.pump.ScratchBytes()
		p.held(int64(run.Hold))
		if err == nil {
			e.late = 0
			p.stats.Discarded += run.Discarded
			return e.rows.unload(ctx, dst, p, &e.pace, rows)
		}
		if err := e.again(ctx, run, err, &grown); err != nil {
			return err
		}
	}
}

// again makes ready for another run after one that failed, or says why there is
// no point in one.
func (e *pumpEngine) again(ctx context.Context, run scan.Run, cause error, grown *bool) error {
	switch {
	case errors.Is(cause, scan.ErrFull) && !*grown:
		*grown = true
		if err := e.size(); err != nil {
			return fmt.Errorf("%w: %w", errEngine, err)
		}
		return nil
	case errors.Is(cause, scan.ErrLate) && e.late+1 < maxLate:
		e.late++
		return ctx.Err()
	}
	e.late = 0
	return fmt.Errorf("%w: %w (%d rows in %v)", errEngine, cause, run.Rows, run.Hold)
}

// rangeEngine lets a program of ours copy an array range by range. Its keys
// need no reading.
type rangeEngine struct {
	pump    *scan.Pump
	rows    layout
	room    int // elements a run
	entries int
}

func openRanges(s *Source, t scan.Target) (engine, string, error) {
	rows := layout{key: t.KeySize, value: t.ValueStride()}
	room := min(t.MaxEntries, max(1, rangeBytes/rows.value))
	pump, err := scan.OpenPump(t, room)
	if err != nil {
		return nil, "", err
	}
	e := &rangeEngine{pump: pump, rows: rows, room: room, entries: t.MaxEntries}
	if _, _, err := pump.Range(0, 1); err != nil {
		return nil, "", errors.Join(err, e.close())
	}
	return e, "a program copies the array range by range", nil
}

func (e *rangeEngine) close() error { return e.pump.Close() }

func (e *rangeEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	p.stats.ScratchBytes = e.pump.ScratchBytes()
	limit := min(e.rows.fit(dst.Largest()), e.room)
	for first := 0; first < e.entries; {
		want := min(limit, e.entries-first)
		buf, err := dst.Claim(ctx, e.rows.bytes(1), e.rows.bytes(want))
		if err != nil {
			return err
		}
		n := min(e.rows.fit(len(buf)), want)
		values, run, err := e.pump.Range(first, n)
		p.held(int64(run.Hold))
		if err != nil {
			dst.Abort()
			return fmt.Errorf("%w: %w", errEngine, err)
		}
		putIndexes(buf[:n*e.rows.key], uint32(first))
		copy(buf[e.rows.valuesOffset(n):], values)
		first += n
		p.commit(dst, buf, e.rows, n, n, first == e.entries)
	}
	return nil
}
