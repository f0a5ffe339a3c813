// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

const (
	// A run takes leastRun: small enough to be in the cache still when it is
	// copied on, large enough to hide the call. Of large maps it takes more: a run
	// becomes a frame, and consumers pay for each, 2 us in numpy.
	leastRun, mostRun = 128 << 10, 512 << 10
	runsPerScan       = 64
)

// RunBytes is how much one run of our programs takes of a map whose rows are so
// many bytes. What it takes becomes one frame, where the destination has room.
func RunBytes(all int) int { return min(max(leastRun, all/runsPerScan), mostRun) }

func openPump(s *Source) (engine, string, error) {
	t, err := s.target()
	if err != nil {
		return nil, "", err
	}
	if t.Array() {
		return openRanges(s, t)
	}
	return openHash(s, t)
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
	run := RunBytes(t.MaxEntries * rows.value)
	if t.Sum != nil { // it reads the values of all CPUs, however many there are
		run = leastRun
	}
	room := min(t.MaxEntries, max(1, run/rows.value))
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
		fill(dst, buf[e.rows.valuesOffset(n):], values)
		first += n
		p.commit(dst, buf, e.rows, n, n, first == e.entries)
	}
	return nil
}
