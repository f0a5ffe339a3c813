// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
)

// pass is what one pass of a contender measured.
type pass struct {
	reps    int           // reads of the whole map
	rows    int           // in all of them
	took    time.Duration // of the thread's processor time
	head    time.Duration // of that: until everything was in the ring
	scratch int           // bytes of private memory
	wall    time.Duration // where several did it side by side
	mallocs uint64
	bytes   uint64 // that a ring's head moved by
	// Of passes that are watched from inside the kernel.
	kernel, whole time.Duration
	calls         int
}

// processorTime is what the calling thread has used, in the kernel and outside
// of it. It is what passes are measured in: nobody sleeps in them, so on a
// machine of one's own it is the time that passes, and on a shared one it leaves
// out the time in which somebody else was running.
func processorTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0 // cannot fail for one's own thread
	}
	return time.Duration(t.Nano())
}

func (p pass) nsPerRow() float64     { return perRow(p.took, p.rows) }
func (p pass) wallNS() float64       { return perRow(p.wall, p.rows/handedRows) }
func (p pass) headNS() float64       { return perRow(p.head, p.rows) }
func (p pass) bytesPerScan() float64 { return float64(p.bytes) / float64(p.reps) }

func (p pass) allocs() float64 { return float64(p.mallocs) / float64(p.reps) }

// kernelNS is the time between entry and exit of calls, outsideNS the rest of it,
// kernelCalls how many there were, for a row.
func (p pass) kernelNS() float64    { return perRow(p.kernel, p.rows) }
func (p pass) outsideNS() float64   { return perRow(p.whole-p.kernel, p.rows) }
func (p pass) kernelCalls() float64 { return float64(p.calls) / float64(max(p.rows, 1)) }

func perRow(d time.Duration, rows int) float64 { return float64(d) / float64(max(rows, 1)) }

// once reads the whole map one time and adds to p what it measured.
type once func(ctx context.Context, p *pass) error

// contender makes passes of a way to read a map once.
func contender(name string, read once) interleave.Contender[pass] {
	return interleave.Contender[pass]{Name: name, Pass: func(ctx context.Context, reps int) (pass, error) {
		runtime.LockOSThread() // processorTime is a thread's
		defer runtime.UnlockOSThread()
		p := pass{reps: reps}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range reps {
			if err := read(ctx, &p); err != nil {
				return p, err
			}
		}
		runtime.ReadMemStats(&after)
		p.mallocs = after.Mallocs - before.Mallocs
		return p, nil
	}}
}

// timed measures a read that ends with rows in private memory.
func timed(read bare) once {
	return func(_ context.Context, p *pass) error {
		start := processorTime()
		rows, err := read()
		p.took += processorTime() - start
		p.rows += rows
		return err
	}
}

// iterate is Map.Iterate of cilium/ebpf, as its documentation shows it.
func iterate[K, V any](m *ebpf.Map, v V) bare {
	return func() (rows int, err error) {
		var k K
		it := m.Iterate()
		for it.Next(&k, v) {
			rows++
		}
		return rows, it.Err()
	}
}

// batchLookup is Map.BatchLookup of cilium/ebpf with typed slices, reused.
func batchLookup[K any](m *ebpf.Map, chunk, cpus int) bare {
	keys, values := make([]K, chunk), make([]value, chunk*max(cpus, 1))
	return func() (rows int, err error) {
		var cursor ebpf.MapBatchCursor
		for {
			n, err := m.BatchLookup(&cursor, keys, values, nil)
			rows += n
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				return rows, nil
			}
			if err != nil {
				return rows, err
			}
		}
	}
}

// whole is ringside from the map to a consumer's hands: a scan into the ring,
// then the consumer looks at every row of it.
//
// The two take turns on one thread. Side by side on two processors the same
// would take less time, but more processor than the contenders have, and the
// figure would depend on whether the second one is free.
func (s *source) whole(h *hands) once {
	return func(ctx context.Context, p *pass) error {
		start := processorTime()
		stats, err := s.Scan(ctx, s.into)
		p.head += processorTime() - start
		if err != nil {
			return err
		}
		rows, err := h.scan(ctx)
		p.took += processorTime() - start
		p.rows += rows
		p.scratch = max(p.scratch, stats.ScratchBytes)
		if err == nil && rows != stats.Rows {
			err = fmt.Errorf("%d rows were published, %d arrived", stats.Rows, rows)
		}
		return err
	}
}
