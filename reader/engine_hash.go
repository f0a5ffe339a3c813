// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// minRoom is how many rows there is room for at least, or beyond those that a small
// hash can have. Chance puts more than 32 into one bucket about never; if it
// happens, another engine takes over.
const minRoom = 64

const (
	// A hash that is emptier than this is read faster by its buckets: a free
	// element takes as long to pass as four empty buckets.
	leastFill = 8
	// After a scan that may have missed rows the lists are followed for so many
	// scans, twice as many each time it happens again.
	firstRest, lastRest = 16, 1024
)

// hashEngine lets a program of ours take the elements of a hash: where they lie
// in memory, which is the fastest by far, or by following the lists of its
// buckets. The former misses nothing that stays where it is; if the program says
// that something was moved, the scan is begun again by the lists.
type hashEngine struct {
	elements *scan.Pump // nil: this hash does not have them in one piece
	buckets  *scan.Pump // nil until it is needed
	target   scan.Target
	entries  int
	rows     interleaved
	room     int
	pace     pace // of the copy
	hold     time.Duration
	rest     int // scans until elements are gone through again
	pause    int
}

func openHash(s *Source, t scan.Target) (engine, string, error) {
	rows := interleavedRows(&t)
	run := RunBytes(t.MaxEntries*rows.stride) / rows.stride
	e := &hashEngine{
		target: t, entries: t.MaxEntries, rows: rows, room: max(min(run, t.MaxEntries+minRoom), minRoom),
		pace: newPace(s.options.MaxHold), pause: firstRest,
		hold: s.options.MaxHold - s.options.MaxHold/8, // it looks at the clock now and then
	}
	why := ""
	if t.InPlace() {
		err := e.openElements()
		if err == nil {
			return e, "a program takes the elements of the hash where they lie in memory", nil
		}
		why = fmt.Sprintf("; they cannot be taken where they lie: %v", err)
	}
	if err := e.openBuckets(); err != nil {
		return nil, "", err
	}
	return e, "a program follows the lists of the hash, some buckets at a time" + why, nil
}

// openElements fails where lists can still be followed: on a kernel that keeps
// its LRU lists otherwise than those we know.
func (e *hashEngine) openElements() error {
	pump, err := scan.OpenElements(e.target, e.room)
	if err != nil {
		return err
	}
	if _, _, _, err := pump.Elements(0, e.hold); err != nil && !errors.Is(err, scan.ErrLate) {
		return errors.Join(err, pump.Close())
	}
	e.elements = pump
	return nil
}

// openBuckets loads the other program, which many a hash never needs.
func (e *hashEngine) openBuckets() error {
	pump, err := scan.OpenPump(e.target, e.room)
	if err != nil {
		return err
	}
	if _, _, _, err := pump.Buckets(0, e.hold); err != nil && !errors.Is(err, scan.ErrLate) {
		return errors.Join(err, pump.Close())
	}
	e.buckets = pump
	return nil
}

func (e *hashEngine) scratchBytes() (n int) {
	for p := range e.pumps {
		n += p.ScratchBytes()
	}
	return n
}

func (e *hashEngine) close() error {
	var errs []error
	for p := range e.pumps {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// pumps are those that are loaded.
func (e *hashEngine) pumps(yield func(*scan.Pump) bool) {
	for _, p := range []*scan.Pump{e.elements, e.buckets} {
		if p != nil && !yield(p) {
			return
		}
	}
}

func (e *hashEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	if e.elements != nil && e.rest == 0 {
		return e.byElements(ctx, dst, p)
	}
	if e.buckets == nil {
		if err := e.openBuckets(); err != nil {
			return fmt.Errorf("%w: %w", errEngine, err)
		}
	}
	e.rest = max(0, e.rest-1)
	return e.take(ctx, dst, p, e.buckets, e.buckets.Buckets)
}

func (e *hashEngine) byElements(ctx context.Context, dst Destination, p *pass) error {
	err := e.take(ctx, dst, p, e.elements, e.elements.Elements)
	switch {
	case errors.Is(err, errMoved):
		e.rest, e.pause = e.pause, min(2*e.pause, lastRest)
	case err == nil && p.stats.Rows < e.entries/leastFill:
		e.rest = firstRest
	case err == nil:
		e.pause = max(firstRest, e.pause/2)
	}
	return err
}

// taker is one of a pump's ways through a hash.
type taker func(first int, budget time.Duration) (rows []byte, next int, run scan.Run, err error)

func (e *hashEngine) take(ctx context.Context, dst Destination, p *pass, pump *scan.Pump, take taker) error {
	p.stats.ScratchBytes = e.scratchBytes()
	for first, late := 0, 0; !p.ended; {
		p.entering()
		rows, next, run, err := take(first, e.hold)
		p.held(int64(run.Hold))
		if errors.Is(err, scan.ErrLate) && late+1 < maxLate {
			late++
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: from %d on: %w", errEngine, first, err)
		}
		if run.Moved {
			return errMoved
		}
		p.stats.Discarded += run.Discarded
		if err := e.rows.unload(ctx, dst, p, &e.pace, rows, next < 0); err != nil {
			return err
		}
		first, late = next, 0
	}
	return nil
}
