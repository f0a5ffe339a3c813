// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchTable is a table of flows 0 to rows-1, outside of any stream.
func benchTable(rows int) *Table[flowKey, flow] {
	t := &Table[flowKey, flow]{}
	t.replica.init(&Source{KeySize: 4, ValueSize: 32})
	t.state.Store(&condition{})
	t.src = &Source{}
	t.whole(4, 32)
	batch := changeBatch(rows, rows)
	for i := range rows {
		v := makeFlow(uint64(i))
		copy(batch.Value(i), bytesOf(&v))
	}
	t.tracker.rows(batch)
	t.show(&Batch{Scan: 1})
	return t
}

// The sizes: what a second-level cache holds, and what none does.
var tableSizes = []int{4096, 65536, 1 << 20}

// What a lookup of a random key costs. The figure without a table is that of
// making up the key.
func BenchmarkTableGet(b *testing.B) {
	for _, rows := range tableSizes {
		t := benchTable(rows)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			var x uint32
			for b.Loop() {
				x = x*1664525 + 1013904223
				if _, ok := t.Get(flowKey{x >> 8 % uint32(rows)}); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

// The same for Go's own map, which no other goroutine could read meanwhile.
func BenchmarkMapGet(b *testing.B) {
	for _, rows := range tableSizes {
		m := map[flowKey]flow{}
		for i := range rows {
			m[flowKey{uint32(i)}] = makeFlow(uint64(i))
		}
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			var x uint32
			for b.Loop() {
				x = x*1664525 + 1013904223
				if _, ok := m[flowKey{x >> 8 % uint32(rows)}]; !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

// What one row of a change scan costs, both copies included: one row in a
// thousand, and no fewer than 64, has changed.
func BenchmarkTableChange(b *testing.B) {
	for _, rows := range tableSizes {
		t := benchTable(rows)
		share := max(rows/1000, 64)
		batch := changeBatch(rows, share)
		b.Run(fmt.Sprintf("rows=%d/changed=%d", rows, share), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				shuffleKeys(batch, rows)
				t.changes()
				t.tracker.rows(batch)
				t.show(batch)
				t.catchUp()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(share), "ns/change")
		})
	}
}

// What one row of a keyframe costs.
func BenchmarkTableKeyframe(b *testing.B) {
	for _, rows := range tableSizes {
		t := benchTable(rows)
		batch := changeBatch(rows, rows)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t.whole(4, 32)
				t.tracker.rows(batch)
				t.show(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		})
	}
}

// What a snapshot costs whoever takes it, and the writer: one copy.
func BenchmarkTableSnapshot(b *testing.B) {
	t := benchTable(1 << 20)
	b.Run("taken and released", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := t.Snapshot()
			s.Release()
		}
	})
	b.Run("walked", func(b *testing.B) {
		for b.Loop() {
			for _, v := range t.All() {
				if v.Row > 1<<20 {
					b.Fatal(v)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(1<<20), "ns/row")
	})
	batch := changeBatch(1<<20, 1000)
	b.Run("held over a scan", func(b *testing.B) {
		for b.Loop() {
			s := t.Snapshot()
			for range 2 {
				t.changes()
				t.tracker.rows(batch)
				t.show(batch)
			}
			if s.Len() != 1<<20 {
				b.Fatal(s.Len())
			}
		}
	})
}

// changeBatch holds n flows of a table of rows.
func changeBatch(rows, n int) *Batch {
	src := &Source{KeySize: 4, ValueSize: 32}
	b := &Batch{Kind: KindRows, Source: src, Rows: n, rows: uint32(n), keyStride: 4, keySize: 4, valuesAt: uint32(n * 4), valueStride: 32, valueSize: 32}
	b.payload = make([]byte, n*36)
	for i := range n {
		binary.LittleEndian.PutUint32(b.payload[i*4:], uint32(i))
	}
	return b
}

func shuffleKeys(b *Batch, rows int) {
	for i := range b.Rows {
		binary.LittleEndian.PutUint32(b.payload[i*4:], rand.Uint32N(uint32(rows)))
	}
}
