// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

const (
	fanBytes   = 1 << 20 // of the ringbuf
	fanRecord  = 64
	fanReaders = 8
)

// BenchmarkFanOut is the rate at which records go from a program to their
// readers, as time for one record: to a single reader of the ringbuf's own, and
// through the sidecar to eight that each look at every record. The program waits
// for room, so nothing is refused.
func BenchmarkFanOut(b *testing.B) {
	b.Run("direct/readers=1", func(b *testing.B) { fan(b, fanDirect) })
	b.Run("ringside/readers=8", func(b *testing.B) { fan(b, fanSidecar) })
}

// fan submits b.N records; read returns when every reader has them.
func fan(b *testing.B, open func(*testing.B, *ebpf.Map) (read func(total uint64))) {
	m := bpftest.NewMap(b, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: fanBytes})
	s := bpftest.NewSubmitter(b, m)
	read := open(b, m)
	b.ResetTimer()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sub := bpftest.Submission{Least: fanRecord, Retry: 1}
		for sub.Seq < uint64(b.N) {
			sub.Count = uint32(min(uint64(b.N)-sub.Seq, 1000))
			if err := s.Submit(&sub); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	read(uint64(b.N))
	<-done
}

func fanDirect(b *testing.B, m *ebpf.Map) func(uint64) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	var record ringbuf.Record
	return func(total uint64) {
		for range total {
			if err := r.ReadInto(&record); err != nil {
				b.Error(err)
				return
			}
		}
	}
}

func fanSidecar(b *testing.B, m *ebpf.Map) func(uint64) {
	r := serveStream(b, bpftest.Pin(b, m, bpftest.MountBPFFS(b), "stream"), "", "")
	list := make([]*tally, fanReaders)
	for i := range list {
		list[i] = r.tally(shm.StartHead)
	}
	return func(total uint64) {
		var all sync.WaitGroup
		for _, y := range list {
			all.Go(func() { y.skim(total) })
		}
		all.Wait()
		lost := uint64(0)
		for _, y := range list {
			lost += y.lost
		}
		b.ReportMetric(100*float64(lost)/float64(total*fanReaders), "%lost")
	}
}

// BenchmarkEventLatency is the time from a record's submission until its reader
// has it, one record at a time, with everybody asleep in between.
func BenchmarkEventLatency(b *testing.B) {
	b.Run("direct", func(b *testing.B) { one(b, fanDirect) })
	b.Run("ringside", func(b *testing.B) { one(b, fanSidecarOne("")) })
	b.Run("ringside-poll", func(b *testing.B) { one(b, fanSidecarOne(", poll: true")) })
}

func fanSidecarOne(more string) func(*testing.B, *ebpf.Map) func(uint64) {
	return func(b *testing.B, m *ebpf.Map) func(uint64) {
		y := serveStream(b, bpftest.Pin(b, m, bpftest.MountBPFFS(b), "stream"), more, "").tally(shm.StartHead)
		return func(total uint64) { y.skim(y.events + y.lost + total) }
	}
}

// one submits records at a pace that lets everybody go to sleep.
func one(b *testing.B, open func(*testing.B, *ebpf.Map) func(uint64)) {
	m := bpftest.NewMap(b, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: fanBytes})
	s := bpftest.NewSubmitter(b, m)
	read := open(b, m)
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	took := make([]time.Duration, 0, b.N)
	arrived := make(chan uint64)
	go func() {
		for range b.N {
			read(1)
			arrived <- monotonic.Now()
		}
	}()
	sub := bpftest.Submission{Least: fanRecord, Count: 1}
	for range b.N {
		<-pace.C
		before := monotonic.Now()
		if err := s.Submit(&sub); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Duration(<-arrived-before))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

// skim reads every event's bytes where they lie, until so many were met or lost.
func (y *tally) skim(total uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sum := byte(0)
	for y.events+y.lost < total {
		h, payload, lost, state := y.c.Peek()
		switch state {
		case shm.Ready:
			for i := range int(h.Rows) {
				if event, ok := shm.Event(&h, payload, i); ok && len(event) > 0 {
					sum += event[0]
				}
			}
			if y.c.Valid() {
				y.c.Advance()
				y.events, y.lost = y.events+uint64(h.Rows), y.lost+lost.Rows
			}
		case shm.Empty:
			if _, err := y.a.Wait(ctx, y.c.Position().Offset); err != nil {
				y.t.Errorf("after %d events and %d lost of %d: %v", y.events, y.lost, total, err)
				return
			}
		default:
			y.t.Errorf("%v: %v", state, y.c.Err())
			return
		}
	}
	y.sum += sum
}
