// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	inkernel "github.com/ringside-bpf/ringside/bpf/scan"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// contender is one way to read the whole map once.
type contender struct {
	name string
	read func() (rows int, err error)
	took []float64     // ns a row
	hold time.Duration // longest stay in the kernel
}

// race lets the contenders take turns, so that whatever else the machine does
// slows all of them, and reports each one's median.
func race(b *testing.B, entries int, contenders ...*contender) {
	for range b.N {
		for _, c := range contenders {
			start := time.Now()
			rows, err := c.read()
			took := time.Since(start)
			if err != nil || rows != entries {
				b.Fatalf("%s: %d rows of %d, %v", c.name, rows, entries, err)
			}
			c.took = append(c.took, float64(took.Nanoseconds())/float64(entries))
		}
	}
	b.ReportMetric(0, "ns/op") // of a whole round: of no interest
	for _, c := range contenders {
		slices.Sort(c.took)
		b.ReportMetric(c.took[len(c.took)/2], c.name+"-ns/row")
		if c.hold > 0 {
			b.ReportMetric(float64(c.hold.Microseconds()), c.name+"-hold-us")
		}
	}
}

// BenchmarkAgainst reads maps of 4 + 32 byte rows with each engine in turn with
// what one would write without us: a loop over Iterate, and one over batch
// lookups into private memory. "walk" is a program that walks and copies
// nothing: what no pump can beat.
func BenchmarkAgainst(b *testing.B) {
	for _, bc := range []struct {
		typ     ebpf.MapType
		entries int
		engines []string
	}{
		{ebpf.Hash, 1 << 16, []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter}},
		{ebpf.LRUHash, 1 << 16, []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter}},
		{ebpf.Array, 1 << 16, []string{reader.EnginePump, reader.EngineIter}},
		{ebpf.PerCPUHash, 1 << 16, []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter}},
		{ebpf.PerCPUArray, 1 << 16, []string{reader.EnginePump, reader.EngineIter}},
		{ebpf.Hash, 1_000_000, []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter}},
		{ebpf.Array, 1_000_000, []string{reader.EnginePump, reader.EngineIter}},
	} {
		b.Run(fmt.Sprintf("%s/%d", bc.typ, bc.entries), func(b *testing.B) {
			spec := &ebpf.MapSpec{Type: bc.typ, KeySize: 4, ValueSize: 32, MaxEntries: uint32(bc.entries)}
			if bc.typ == ebpf.LRUHash {
				spec.MaxEntries *= 2 // or some would be thrown out
			}
			m, pin := bpftest.NewPinned(b, "bench", spec)
			fillMany(b, m, bc.entries)
			var all []*contender
			for _, engine := range bc.engines {
				all = append(all, withEngine(b, pin, engine))
			}
			if bc.typ != ebpf.Array && bc.typ != ebpf.PerCPUArray {
				all = append(all, walkOnly(b, m))
			}
			race(b, bc.entries, append(all, withBatch(m), withIterate(m))...)
		})
	}
}

func fillMany(b *testing.B, m *ebpf.Map, entries int) {
	b.Helper()
	cpus := 1
	if typ := m.Type(); typ == ebpf.PerCPUHash || typ == ebpf.PerCPUArray {
		cpus = ebpf.MustPossibleCPU()
	}
	keys, values := make([]uint32, entries), make([][32]byte, entries*cpus)
	for i := range keys {
		keys[i] = uint32(i)
	}
	for i := range values {
		values[i][0] = byte(i)
	}
	if n, err := m.BatchUpdate(keys, values, nil); err != nil {
		b.Fatalf("%d of %d: %v", n, entries, err)
	}
}

func withEngine(b *testing.B, pin, engine string) *contender {
	o := reader.Options{Engine: engine, MaxHold: time.Second}
	if engine == reader.EnginePump {
		o.MaxHold = time.Millisecond
	}
	s := open(b, pin, o)
	dst, ctx := readertest.New(b, 1<<20), context.Background()
	c := &contender{name: engine}
	c.read = func() (int, error) {
		stats, err := s.Scan(ctx, dst)
		c.hold = max(c.hold, stats.HoldMax)
		return stats.Rows, err
	}
	return c
}

func walkOnly(b *testing.B, m *ebpf.Map) *contender {
	t := inkernel.Target{FD: m.FD(), Type: m.Type(), KeySize: 4, ValueSize: 32, MaxEntries: int(m.MaxEntries())}
	if t.Type == ebpf.PerCPUHash {
		t.CPUs = ebpf.MustPossibleCPU()
	}
	c, err := inkernel.OpenCounter(t)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return &contender{name: "walk", read: func() (int, error) {
		run, err := c.Count(time.Second)
		return run.Rows, err
	}}
}

func withBatch(m *ebpf.Map) *contender {
	const chunk = 4096
	cpus := 1
	if typ := m.Type(); typ == ebpf.PerCPUHash || typ == ebpf.PerCPUArray {
		cpus = ebpf.MustPossibleCPU()
	}
	keys, values := make([][4]byte, chunk), make([][32]byte, chunk*cpus)
	return &contender{name: "batch", read: func() (rows int, err error) {
		var cursor ebpf.MapBatchCursor
		for {
			n, err := m.BatchLookup(&cursor, keys, values, nil)
			rows += n
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				return rows, nil
			}
			if err != nil {
				return rows, err
			}
		}
	}}
}

func withIterate(m *ebpf.Map) *contender {
	perCPU := m.Type() == ebpf.PerCPUHash || m.Type() == ebpf.PerCPUArray
	return &contender{name: "iterate", read: func() (rows int, err error) {
		it := m.Iterate()
		var key uint32
		var value [32]byte
		var values [][32]byte
		for {
			if perCPU && !it.Next(&key, &values) || !perCPU && !it.Next(&key, &value) {
				return rows, it.Err()
			}
			rows++
		}
	}}
}
