// SPDX-License-Identifier: Apache-2.0

package changes_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
)

// BenchmarkChanges isolates what mode changes costs and saves: a hash of 4 + 32
// bytes a row, of which a thousandth changes from scan to scan. Every scan is
// followed by one in full, so that both see the same machine: medians of the
// thread's CPU time are reported, and their ratio.
func BenchmarkChanges(b *testing.B) {
	for _, bc := range []struct {
		name    string
		entries int
		typ     ebpf.MapType
	}{
		{"hash/65536", 1 << 16, ebpf.Hash},
		{"hash/1M", 1_000_000, ebpf.Hash},
		{"array/1M", 1_000_000, ebpf.Array},
	} {
		b.Run(bc.name, func(b *testing.B) {
			m := bpftest.NewMap(b, &ebpf.MapSpec{Type: bc.typ, KeySize: 4, ValueSize: 32, MaxEntries: uint32(bc.entries)})
			w := newBenchWriter(b, m, bc.entries)
			r := newRing(b, 256<<20)
			few := newFeed(b, r, m, reader.Options{}, changes.Options{KeyframeEvery: 1 << 30})
			full := &sink{next: few.sink.next}
			few.scan()
			before := few.stage.Stats()
			var ours, theirs []time.Duration
			var ourBytes, theirBytes uint64
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range b.N {
				w.change(bc.entries / 1000)
				at, began := r.publisher.Totals().Head, threadTime()
				few.scan()
				ours = append(ours, threadTime()-began)
				ourBytes += r.publisher.Totals().Head - at
				at, began = r.publisher.Totals().Head, threadTime()
				if _, err := few.source.Scan(b.Context(), full); err != nil {
					b.Fatal(err)
				}
				theirs = append(theirs, threadTime()-began)
				theirBytes += r.publisher.Totals().Head - at
			}
			after := few.stage.Stats()
			if after.Keyframes != before.Keyframes || after.ChangedRows == before.ChangedRows {
				b.Fatalf("%+v", after)
			}
			b.ReportMetric(0, "ns/op") // would be the sum of both
			b.ReportMetric(median(ours)/float64(bc.entries), "ns/row")
			b.ReportMetric(median(theirs)/float64(bc.entries), "full-ns/row")
			b.ReportMetric(median(ours)/median(theirs), "cpu-ratio")
			b.ReportMetric(float64(total(ours))/float64(total(theirs)), "cpu-ratio-of-all")
			b.ReportMetric(100*float64(ourBytes)/float64(theirBytes), "%-of-bytes")
			b.ReportMetric(float64(after.HistoryBytes)/float64(bc.entries), "history-B/row")
		})
	}
}

func total(d []time.Duration) (all time.Duration) {
	for _, x := range d {
		all += x
	}
	return all
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}

// threadTime is the CPU time of this thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // the kernel knows the clock for ever
	}
	return time.Duration(ts.Nano())
}

// benchWriter changes values of rows that are there.
type benchWriter struct {
	b      *testing.B
	m      *ebpf.Map
	keys   []uint32
	values [][32]byte
	random *rand.Rand
	round  byte
}

func newBenchWriter(b *testing.B, m *ebpf.Map, entries int) *benchWriter {
	w := &benchWriter{b: b, m: m, keys: make([]uint32, entries), values: make([][32]byte, entries), random: rand.New(rand.NewPCG(1, 2))}
	for i := range w.keys {
		w.keys[i], w.values[i][0] = uint32(i), byte(i)
	}
	w.put(entries)
	return w
}

func (w *benchWriter) put(n int) {
	if _, err := w.m.BatchUpdate(w.keys[:n], w.values[:n], nil); err != nil {
		w.b.Fatal(err)
	}
}

func (w *benchWriter) change(n int) {
	w.round++
	for i := range n {
		w.keys[i], w.values[i][1] = w.random.Uint32N(uint32(len(w.keys))), w.round
	}
	w.put(n)
}
