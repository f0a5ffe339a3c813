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

// BenchmarkPool isolates what the pool adds to a scan: a map of one row is read
// by itself, and through a pool that is asked for one scan after the other. The
// difference is two changes of goroutine, the look at the pin, two readings of
// the thread's clock, and the books.
func BenchmarkPool(b *testing.B) {
	_, pin := bpftest.NewPinned(b, "tiny", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: mmapable})
	b.Run("scan", func(b *testing.B) {
		s, dst, ctx := open(b, pin, reader.Options{}), readertest.New(b, 4096), context.Background()
		b.ReportAllocs()
		for range b.N {
			if _, err := s.Scan(ctx, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, bc := range []struct {
		name string
		o    reader.PoolOptions
	}{{"pool", reader.PoolOptions{}}, {"pool-on-cpus", reader.PoolOptions{CPUs: []int{0}}}} {
		b.Run(bc.name, func(b *testing.B) { benchPool(b, pin, bc.o) })
	}
}

func benchPool(b *testing.B, pin string, o reader.PoolOptions) {
	p := reader.NewPool(o)
	defer p.Stop(context.Background())
	s, err := reader.Open(pin, reader.Options{})
	if err != nil {
		b.Fatal(err)
	}
	scanned := make(chan error, 1)
	task, err := p.Add(reader.Job{
		Source: s, Destination: readertest.New(b, 4096), Every: time.Hour,
		OnScan: func(_ reader.ScanStats, err error) { scanned <- err },
	})
	if err != nil {
		b.Fatal(err)
	}
	<-scanned
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		task.Force()
		if err := <-scanned; err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPoolCrowded is a pool of many sources: choosing among them must not
// cost what reading one does.
func BenchmarkPoolCrowded(b *testing.B) {
	_, pin := bpftest.NewPinned(b, "tiny", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: mmapable})
	p := reader.NewPool(reader.PoolOptions{})
	defer p.Stop(context.Background())
	scanned := make(chan struct{}, 256)
	for range 256 {
		s, err := reader.Open(pin, reader.Options{})
		if err != nil {
			b.Fatal(err)
		}
		_, err = p.Add(reader.Job{
			Source: s, Destination: readertest.New(b, 4096), Every: time.Hour,
			OnScan: func(reader.ScanStats, error) { scanned <- struct{}{} },
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	round := func() {
		for range 256 {
			<-scanned
		}
	}
	round()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p.Force()
		round()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/scan")
}
