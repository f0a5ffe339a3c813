// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// maxLate is how many runs in a row may overstay before the engine is given up:
// a processor that was taken away in between looks like a slow walk.
const maxLate = 3

// defaultScratch bounds the memory of a sweep.
const defaultScratch = 64 << 20

// sweepEngine lets the kernel walk a whole hash in one go and call a program of
// ours for each element: for kernels that do not let programs follow the lists
// themselves. It needs memory for all rows and cannot stop half-way.
type sweepEngine struct {
	pump   *scan.Pump
	target scan.Target
	rows   interleaved
	pace   pace // of the copy
	hold   time.Duration
	limit  int // bytes of scratch
	late   int // runs in a row
}

func openSweep(s *Source) (engine, string, error) {
	t, err := s.target()
	if err != nil {
		return nil, "", err
	}
	e := &sweepEngine{
		target: t, rows: interleavedRows(&t), pace: newPace(s.options.MaxHold),
		hold: s.options.MaxHold, limit: s.options.Scratch,
	}
	if err := e.size(); err != nil {
		return nil, "", err
	}
	return e, fmt.Sprintf("a program walks the map in one go, within %v", e.hold), nil
}

// size counts the rows and loads the program with room for them and some more.
func (e *sweepEngine) size() error {
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
	pump, err := scan.OpenSweep(e.target, room)
	if err != nil {
		return err
	}
	if e.pump != nil {
		e.pump.Close()
	}
	e.pump = pump
	return nil
}

func (e *sweepEngine) close() error { return e.pump.Close() }

func (e *sweepEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	for grown := false; ; {
		p.entering()
		rows, run, err := e.pump.Sweep(e.hold)
		p.stats.ScratchBytes = e.pump.ScratchBytes()
		p.held(int64(run.Hold))
		if err == nil {
			e.late = 0
			p.stats.Discarded += run.Discarded
			return e.rows.unload(ctx, dst, p, &e.pace, rows, true)
		}
		if err := e.again(ctx, run, err, &grown); err != nil {
			return err
		}
	}
}

// again makes ready for another run after one that failed, or says why there is
// no point in one.
func (e *sweepEngine) again(ctx context.Context, run scan.Run, cause error, grown *bool) error {
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
