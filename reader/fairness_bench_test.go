// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// BenchmarkPoolBesideHuge reads small maps each 50 ms by themselves, and beside
// a map of a million entries that asks to be read each 10 ms and takes far
// longer, with two workers and as much duty as they can spend. What it isolates
// is how late the small ones begin.
func BenchmarkPoolBesideHuge(b *testing.B) {
	_, tiny := bpftest.NewPinned(b, "tiny", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 64})
	big, huge := bpftest.NewPinned(b, "huge", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 1_000_000})
	keys, values := make([]uint32, 1_000_000), make([][32]byte, 1_000_000)
	for i := range keys {
		keys[i] = uint32(i)
	}
	if _, err := big.BatchUpdate(keys, values, nil); err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		huge int
	}{{"alone", 0}, {"beside-one", 1}, {"beside-three", 3}} {
		b.Run(bc.name, func(b *testing.B) {
			p := reader.NewPool(reader.PoolOptions{Workers: 2, Duty: 2})
			defer p.Stop(context.Background())
			join := func(pin string, every time.Duration) *reader.Task {
				s, err := reader.Open(pin, reader.Options{})
				if err != nil {
					b.Fatal(err)
				}
				t, err := p.Add(reader.Job{Source: s, Destination: readertest.New(b, 1<<20), Every: every})
				if err != nil {
					b.Fatal(err)
				}
				return t
			}
			var small, large []*reader.Task
			for range 8 { // first: nothing is kept for those that are not there yet
				small = append(small, join(tiny, 50*time.Millisecond))
			}
			for range bc.huge {
				large = append(large, join(huge, 10*time.Millisecond))
			}
			for range b.N {
				time.Sleep(2 * time.Second)
			}
			var late time.Duration
			var scans uint64
			for _, t := range small {
				late = max(late, t.Stats().LateP99)
			}
			for _, t := range large {
				scans += t.Stats().Scans
			}
			b.ReportMetric(0, "ns/op") // as long as it is told to
			b.ReportMetric(float64(late.Microseconds()), "small-late-p99-us")
			b.ReportMetric(float64(scans)/2/float64(b.N), "huge-scans/s")
		})
	}
}
