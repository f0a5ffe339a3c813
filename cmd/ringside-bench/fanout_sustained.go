// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/lab"
)

// pathSustained is from a ringbuf that is written all the while.
const pathSustained = "events, sustained"

const (
	// sustainedRingbuf and sustainedRing hold what is submitted while everybody
	// else waits for a processor.
	sustainedRingbuf = 8 << 20
	sustainedRing    = 64 << 20
	// sustainedRun is what the emitter submits in one call.
	sustainedRun = 4096
	// sustainedTimes is how many times the entries of other experiments are
	// submitted in a pass, so that it takes some hundred milliseconds.
	sustainedTimes = 32
)

// emitted is what the emitter did of a pass.
type emitted struct {
	cpu  time.Duration // of its thread, which is nobody's who reads
	full int           // calls that ended early, for lack of room
	err  error
}

// flood submits so many records as fast as there is room for them, on a CPU that
// all others keep off.
func flood(ctx context.Context, e *lab.Emitter, records int) <-chan emitted {
	done := make(chan emitted, 1)
	go func() {
		var x emitted
		x.err = onCPUs(true, func() error {
			before := threadTime()
			defer func() { x.cpu = threadTime() - before }()
			for records > 0 && ctx.Err() == nil {
				most := min(records, sustainedRun)
				sent, err := e.Burst(most)
				if err != nil {
					return err
				}
				records -= sent
				if sent < most {
					x.full++
				}
			}
			return ctx.Err()
		})
		done <- x
	}()
	return done
}

func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0 // cannot fail for one's own thread
	}
	return time.Duration(t.Nano())
}

// newFlood makes a ringbuf and what writes to it.
func (b *bench) newFlood(name string) (m *ebpf.Map, pin string, e *lab.Emitter, err error) {
	if m, pin, err = b.newMap(name, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: sustainedRingbuf}); err != nil {
		return nil, "", nil, err
	}
	if e, err = lab.OpenEmitter(m); err != nil {
		return nil, "", nil, err
	}
	b.later(e.Close)
	return m, pin, e, nil
}

// sustainDirectly is a ringbuf's only reader.
func (b *bench) sustainDirectly() (eventPass, error) {
	m, _, emitter, err := b.newFlood("flood_direct")
	if err != nil {
		return nil, err
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	b.later(r.Close)
	return func(ctx context.Context, _ int) (e emptied, err error) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		e.meant = b.entries * sustainedTimes
		start, before := time.Now(), processTime()
		flooding := flood(ctx, emitter, e.meant)
		if err := onCPUs(false, func() error { return readAll(r, e.meant) }); err != nil {
			return e, err
		}
		e.wall = time.Since(start)
		x := <-flooding
		e.rows, e.every, e.full = e.meant, e.meant, x.full
		e.all = processTime() - before - x.cpu
		return e, x.err
	}, nil
}

// sustainFanOut is a ringbuf that ringside reads, and consumers.
func (b *bench) sustainFanOut(ctx context.Context) (eventPass, error) {
	_, pin, emitter, err := b.newFlood("flood")
	if err != nil {
		return nil, err
	}
	var t *tap
	err = onCPUs(false, func() (err error) {
		t, err = b.tapEvents(ctx, pin, "sustained.sock", sustainedRing/4)
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ int) (emptied, error) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		t.events.SetActive(true)
		defer t.events.SetActive(false)
		var flooding <-chan emitted
		events := b.entries * sustainedTimes
		e, err := t.burst(ctx, events, func() { flooding = flood(ctx, emitter, events) })
		if err != nil {
			return e, err
		}
		x := <-flooding
		e.full, e.publisher, e.all = x.full, e.publisher-x.cpu, e.all-x.cpu
		return e, x.err
	}, nil
}

// readAll reads so many records, and looks at each.
func readAll(r *ringbuf.Reader, records int) error {
	var record ringbuf.Record
	r.SetDeadline(time.Now().Add(childTimeout))
	sum := uint64(0)
	for range records {
		if err := r.ReadInto(&record); err != nil {
			return fmt.Errorf("read a ringbuf directly: %w", err)
		}
		sum += binary.LittleEndian.Uint64(record.RawSample)
	}
	runtime.KeepAlive(sum)
	return nil
}
