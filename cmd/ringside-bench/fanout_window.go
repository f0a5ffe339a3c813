// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
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

// side is a contender with its consumers.
type side struct {
	name      string
	consumers []*child
	// publish brings scans first to last and says how many rows that were. nil:
	// the consumers help themselves, and no publisher's time counts.
	publish func(ctx context.Context, first, last uint64) (rows int, err error)
	// publishers are the processes whose time is the publisher's.
	publishers []int
	scan       uint64 // the last one
}

// window lets everybody have some scans.
func (s *side) window(ctx context.Context, plan fanPlan) (w fanned, err error) {
	first := s.scan + 1
	s.scan += uint64(plan.scansFor(len(s.consumers)))
	all, publisher, err := s.clocks()
	if err != nil {
		return w, err
	}
	order := fmt.Sprint(sayTake, " ", s.scan)
	for _, c := range s.consumers {
		if err := c.say(order); err != nil {
			return w, err
		}
	}
	published := 0
	if s.publish != nil {
		if published, err = s.publish(ctx, first, s.scan); err != nil {
			return w, err
		}
	}
	for _, c := range s.consumers {
		rows, err := c.answer(ctx, order)
		if err != nil {
			return w, err
		}
		w.rows += rows
	}
	if w.meant = published * len(s.consumers); s.publish == nil {
		w.meant = w.rows
	}
	allNow, publisherNow, err := s.clocks()
	w.all, w.publisher = allNow-all, publisherNow-publisher
	return w, err
}

// clocks are the processor times of all processes of the contender, and of those
// that publish.
func (s *side) clocks() (all, publisher time.Duration, err error) {
	for _, pid := range s.publishers {
		t, err := processTimeOf(pid)
		if err != nil {
			return 0, 0, err
		}
		publisher += t
	}
	all = publisher
	for _, c := range s.consumers {
		t, err := processTimeOf(c.cmd.Process.Pid)
		if err != nil {
			return 0, 0, err
		}
		all += t
	}
	return all, publisher, nil
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
func paced(every time.Duration, beat func(), publish func(ctx context.Context, scan uint64) (int, error)) func(context.Context, uint64, uint64) (int, error) {
	return func(ctx context.Context, first, last uint64) (rows int, err error) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		var beaten time.Time
		for scan := first; scan <= last; scan++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return rows, ctx.Err()
			}
			if time.Since(beaten) > heartbeat {
				beaten = time.Now()
				beat()
			}
			n, err := publish(ctx, scan)
			if err != nil {
				return rows, err
			}
			rows += n
		}
		return rows, nil
	}
}

// ourselves is this process as a publisher.
func ourselves() []int { return []int{os.Getpid()} }
