// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

const benchEntries = 1 << 16

// BenchmarkScan isolates reading a map into lent memory, without a ring: 65,536
// entries of 4 + 32 bytes. Every scan is followed by its floor, batch lookups
// into private memory or the bare copy of the same bytes, so that both see the
// same machine: medians are reported, and their ratio.
func BenchmarkScan(b *testing.B) {
	for _, bc := range []struct {
		name   string
		spec   ebpf.MapSpec
		engine string
	}{
		{"hash", ebpf.MapSpec{Type: ebpf.Hash}, reader.EngineBatch},
		{"hash", ebpf.MapSpec{Type: ebpf.Hash}, reader.EngineWalk},
		{"array", ebpf.MapSpec{Type: ebpf.Array}, reader.EngineBatch},
		{"array", ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable}, reader.EngineMmap},
	} {
		bc.spec.KeySize, bc.spec.ValueSize, bc.spec.MaxEntries = 4, 32, benchEntries
		m, pin := bpftest.NewPinned(b, "bench", &bc.spec)
		fillBench(b, m)
		s := open(b, pin, reader.Options{Engine: bc.engine})
		dst := readertest.New(b, 1<<20)
		floor, name := newRawBatch(m).scan, "raw-batch"
		if bc.engine == reader.EngineMmap {
			floor, name = newCopy().scan, "memcpy"
		}
		b.Run(bc.name+"/"+bc.engine+"-against-"+name, func(b *testing.B) {
			var ours, theirs []time.Duration
			for range b.N {
				start := time.Now()
				if stats, err := s.Scan(context.Background(), dst); err != nil || stats.Rows != benchEntries {
					b.Fatalf("%+v, %v", stats, err)
				}
				middle := time.Now()
				floor(b)
				ours, theirs = append(ours, middle.Sub(start)), append(theirs, time.Since(middle))
			}
			a, f := median(ours), median(theirs)
			b.ReportMetric(0, "ns/op") // would be the sum of both
			b.ReportMetric(a/benchEntries, "ns/row")
			b.ReportMetric(f/benchEntries, name+"-ns/row")
			b.ReportMetric(a/f, "ratio")
		})
	}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}

func fillBench(b *testing.B, m *ebpf.Map) {
	keys, values := make([]uint32, benchEntries), make([][32]byte, benchEntries)
	for i := range keys {
		keys[i], values[i][0] = uint32(i), byte(i)
	}
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		b.Fatal(err)
	}
}

// plainCopy copies as many bytes as the array has, chunk by chunk into the same
// place, as a scan does.
type plainCopy struct{ from, to []byte }

func newCopy() *plainCopy {
	c := &plainCopy{make([]byte, benchEntries*32), make([]byte, 1<<18)}
	for i := range c.from { // pages that are never written are all one page
		c.from[i] = byte(i)
	}
	return c
}

func (c *plainCopy) scan(*testing.B) {
	for at := 0; at < len(c.from); at += len(c.to) {
		copy(c.to, c.from[at:])
	}
}

// rawBatch is the plain loop over batch lookups into private memory.
type rawBatch struct {
	m      *ebpf.Map
	keys   []uint32
	values [][32]byte
}

func newRawBatch(m *ebpf.Map) *rawBatch {
	const chunk = 4096
	return &rawBatch{m, make([]uint32, chunk), make([][32]byte, chunk)}
}

func (r *rawBatch) scan(b *testing.B) {
	var cursor ebpf.MapBatchCursor
	rows := 0
	for {
		n, err := r.m.BatchLookup(&cursor, r.keys, r.values, nil)
		rows += n
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if rows != benchEntries {
		b.Fatalf("%d rows", rows)
	}
}

// BenchmarkOpen is what a sidecar does for each of its maps when it starts.
func BenchmarkOpen(b *testing.B) {
	_, pin := bpftest.NewPinned(b, "bench", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 64})
	for b.Loop() {
		s, err := reader.Open(pin, reader.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
