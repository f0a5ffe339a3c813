// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// fanned is what one window measured.
type fanned struct {
	rows, meant    int // delivered to all consumers together, and published for them
	all, publisher time.Duration
}

func (f fanned) nsPerRow() float64    { return perRow(f.all, f.rows) }
func (f fanned) publisherNS() float64 { return perRow(f.publisher, f.rows) }

// handover is what publishing some scans came to. The time is that of the whole
// process, from when a scan is due to when it is handed over; waiting for the next
// is left out, which is the benchmark's affair and not a contender's.
type handover struct {
	rows int
	took time.Duration
}

// publishing brings scans first to last.
type publishing func(ctx context.Context, first, last uint64) (handover, error)

// side is a contender with its consumers.
type side struct {
	name      string
	consumers []*child
	publish   publishing // nil: the consumers help themselves
	daemon    int        // a process whose time is the publisher's, too; 0: there is none
	scan      uint64     // the last one
}

// window lets everybody have some scans. Telling the consumers and hearing from
// them is our affair, and in nobody's time.
func (s *side) window(ctx context.Context, plan fanPlan) (w fanned, err error) {
	first := s.scan + 1
	s.scan += uint64(plan.scansFor(len(s.consumers)))
	order := fmt.Sprint(sayTake, " ", s.scan)
	for _, c := range s.consumers {
		if err := c.say(order); err != nil {
			return w, err
		}
	}
	out, err := s.handOver(ctx, first)
	if err != nil {
		return w, err
	}
	for _, c := range s.consumers {
		rows, took, err := c.took(ctx, order)
		if err != nil {
			return w, err
		}
		w.rows += rows
		w.all += took
	}
	if w.meant = out.rows * len(s.consumers); s.publish == nil {
		w.meant = w.rows
	}
	w.publisher = out.took
	w.all += out.took
	return w, nil
}

// handOver publishes from a scan on. A daemon has its whole time counted.
func (s *side) handOver(ctx context.Context, first uint64) (out handover, err error) {
	if s.publish == nil {
		return out, nil
	}
	if s.daemon == 0 {
		return s.publish(ctx, first, s.scan)
	}
	before, err := processTimeOf(s.daemon)
	if err != nil {
		return out, err
	}
	if out, err = s.publish(ctx, first, s.scan); err != nil {
		return out, err
	}
	after, err := processTimeOf(s.daemon)
	out.took += after - before
	return out, err
}

// processTimeOf is what all threads of a process have used, to the nanosecond.
// Its clock has the number that clock_getcpuclockid(3) would say.
func processTimeOf(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// paced publishes a scan at each tick of the cadence. beat is a heartbeat.
func paced(every time.Duration, beat func(), publish func(ctx context.Context, scan uint64) (int, error)) publishing {
	return func(ctx context.Context, first, last uint64) (all handover, err error) {
		runtime.LockOSThread() // as the sidecar's workers do; moving from thread to thread takes a quarter more
		defer runtime.UnlockOSThread()
		tick := time.NewTicker(every)
		defer tick.Stop()
		var beaten time.Time
		for scan := first; scan <= last; scan++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return all, ctx.Err()
			}
			before := processTime()
			if time.Since(beaten) > heartbeat {
				beaten = time.Now()
				beat()
			}
			rows, err := publish(ctx, scan)
			if err != nil {
				return all, err
			}
			all.rows += rows
			all.took += processTime() - before
		}
		return all, nil
	}
}
