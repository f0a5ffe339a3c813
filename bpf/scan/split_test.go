// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/scan"
)

const splitEntries = 1 << 20 // as many buckets

func splitMap(tb testing.TB) *ebpf.Map {
	tb.Helper()
	m := bpftest.NewMap(tb, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: splitEntries})
	const chunk = 1 << 14
	keys, values := make([]uint32, chunk), make([][32]byte, chunk)
	for first := range splitEntries / chunk {
		for i := range keys {
			keys[i] = uint32(first*chunk + i)
		}
		if _, err := m.BatchUpdate(keys, values, nil); err != nil {
			tb.Fatal(err)
		}
	}
	return m
}

// part takes the buckets from first up to end, and counts rows.
func part(p *scan.Pump, first, end int) (rows int, err error) {
	for first >= 0 && first < end {
		_, next, run, err := p.Buckets(first, time.Millisecond)
		if err != nil {
			return rows, err
		}
		rows += run.Rows
		first = next
	}
	return rows, nil
}

// BenchmarkSplit is one hash read by one pump, and by two on half of its buckets
// each: how much sooner is it read, and how much processor time does it take?
func BenchmarkSplit(b *testing.B) {
	m := splitMap(b)
	t := scan.Target{FD: m.FD(), Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: splitEntries}
	for _, workers := range []int{1, 2} {
		pumps := make([]*scan.Pump, workers)
		for i := range pumps {
			p, err := scan.OpenPump(t, 3000)
			if err != nil {
				bpftest.Skip(b, "needs the pump for hashes: %v", err)
			}
			defer p.Close()
			pumps[i] = p
		}
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			began := processCPU(b)
			for b.Loop() {
				var wg sync.WaitGroup
				for i, p := range pumps {
					wg.Go(func() {
						share := splitEntries / workers
						if rows, err := part(p, i*share, (i+1)*share); err != nil || rows == 0 {
							b.Errorf("%d rows, %v", rows, err)
						}
					})
				}
				wg.Wait()
			}
			perRow := 1 / float64(b.N) / splitEntries
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())*perRow, "ns/row")
			b.ReportMetric(float64(processCPU(b)-began)*perRow, "cpu-ns/row")
		})
	}
}

func processCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ts.Nano())
}
