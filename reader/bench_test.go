// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

const benchEntries = 1 << 16

// BenchmarkScan isolates reading a map into lent memory, without a ring: 65,536
// entries of 4 + 32 bytes. For each map the floor is measured beside it: batch
// lookups into private memory, or the bare copy of the same bytes.
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
		b.Run(bc.name+"/"+bc.engine, func(b *testing.B) { benchScan(b, s, dst) })
		if bc.engine == reader.EngineMmap {
			b.Run(bc.name+"/memcpy", benchCopy)
		} else {
			b.Run(bc.name+"/raw-batch", func(b *testing.B) { benchRaw(b, m) })
		}
	}
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

func perRow(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/row")
}

func benchScan(b *testing.B, s *reader.Source, dst *readertest.Memory) {
	b.ReportAllocs()
	for range b.N {
		if stats, err := s.Scan(context.Background(), dst); err != nil || stats.Rows != benchEntries {
			b.Fatalf("%+v, %v", stats, err)
		}
	}
	perRow(b)
}

// benchCopy copies as many bytes as the array has, chunk by chunk into the same
// place, as a scan does.
func benchCopy(b *testing.B) {
	const chunk = 1 << 20
	from, to := make([]byte, benchEntries*32), make([]byte, chunk)
	clear(from)
	b.ResetTimer()
	for range b.N {
		for at := 0; at < len(from); at += chunk {
			copy(to, from[at:])
		}
	}
	perRow(b)
}

// benchRaw is the plain loop over batch lookups into private memory.
func benchRaw(b *testing.B, m *ebpf.Map) {
	const chunk = 4096
	keys, values := make([]uint32, chunk), make([][32]byte, chunk)
	for range b.N {
		var cursor ebpf.MapBatchCursor
		rows := 0
		for {
			n, err := m.BatchLookup(&cursor, keys, values, nil)
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
	perRow(b)
}
