// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// benchFrames takes frames and keeps nothing but the last: the copy is what
// stays, as in a ring.
type benchFrames struct {
	frame  []byte
	used   int
	events int
	total  int
}

func (d *benchFrames) Largest() int { return len(d.frame) }

func (d *benchFrames) Claim(context.Context, int, int) error {
	d.used, d.events = 0, 0
	return nil
}

func (d *benchFrames) Add(events []byte, length, stride, count int) (added int) {
	for ; added < count && d.used+length <= len(d.frame); added++ {
		copy(d.frame[d.used:], events[added*stride:][:length])
		d.used += (length + 7) &^ 7
	}
	d.events += added
	return added
}

func (d *benchFrames) Commit() {
	d.total += d.events
}

func (d *benchFrames) Abort() {}

// BenchmarkEvents is what one record costs a reader while the ringbuf is full:
// records are submitted with the clock stopped. Direct is one process's own
// reader, which every consumer would have to be without a sidecar.
func BenchmarkEvents(b *testing.B) {
	for _, size := range []uint32{32, 256, 1024} {
		b.Run(fmt.Sprintf("size=%d/direct", size), func(b *testing.B) { benchDirect(b, size) })
		b.Run(fmt.Sprintf("size=%d/ringside", size), func(b *testing.B) { benchRingside(b, size) })
	}
}

const benchRingbuf = 1 << 20

// refill submits until the ringbuf is full.
func refill(b *testing.B, s *bpftest.Submitter, sub *bpftest.Submission) (records int) {
	b.Helper()
	before := sub.Seq
	sub.Count = benchRingbuf / (sub.Least + 8)
	if err := s.Submit(sub); err != nil {
		b.Fatal(err)
	}
	return int(sub.Seq - before)
}

func benchDirect(b *testing.B, size uint32) {
	m := bpftest.NewMap(b, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: benchRingbuf})
	s := bpftest.NewSubmitter(b, m)
	r, err := ringbuf.NewReader(m)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	r.SetDeadline(time.Now()) // do not wait
	sub, left := bpftest.Submission{Least: size}, 0
	var record ringbuf.Record
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			left = refill(b, s, &sub)
			b.StartTimer()
		}
		if err := r.ReadInto(&record); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			b.Fatal(err)
		}
		left--
	}
	b.SetBytes(int64(size))
}

func benchRingside(b *testing.B, size uint32) {
	m, pin := newRingbuf(b, benchRingbuf)
	s := bpftest.NewSubmitter(b, m)
	e := openEvents(b, pin, reader.EventOptions{})
	d := &benchFrames{frame: make([]byte, 128<<10)}
	sub, left := bpftest.Submission{Least: size}, 0
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			left = refill(b, s, &sub)
			b.StartTimer()
			for {
				if progress, err := e.Frame(context.Background(), d); err != nil {
					b.Fatal(err)
				} else if !progress {
					break
				}
			}
		}
		left--
	}
	b.SetBytes(int64(size))
}

// TestEventsWithoutAllocating: moving records costs the garbage collector nothing.
func TestEventsWithoutAllocating(t *testing.T) {
	m, pin := newRingbuf(t, 1<<16)
	s := bpftest.NewSubmitter(t, m)
	e := openEvents(t, pin, reader.EventOptions{})
	d := &benchFrames{frame: make([]byte, 128<<10)}
	sub := bpftest.Submission{Least: 40, Count: 1200}
	submit(t, s, &sub)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := e.Frame(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 || d.total != int(sub.Seq) {
		t.Errorf("%v allocations, %d of %d records", allocs, d.total, sub.Seq)
	}
}
