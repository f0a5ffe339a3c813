// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// What one row costs a consumer that looks at one field of every key and value:
// frames of 2048 rows, 4-byte keys, 32-byte values, all in the ring already.
func BenchmarkRows(b *testing.B) {
	const rows, frames = 2048, 16
	s := open(b, socketPath(b), 16<<20)
	f := addFeed(b, s.ring, flowInfo("flows"))
	f.must(b, frames, rows)
	sub := s.attach(b, Options{Start: StartOldest})
	typed, err := RowsOf[flowKey, flow](sub, "flows")
	if err != nil {
		b.Fatal(err)
	}
	var sum uint64
	walk := func(batch *Batch) {
		for k, v := range typed.In(batch) {
			sum += uint64(k.ID) + v.Bytes
		}
	}
	start := sub.cursor.Position()
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	}
	// Every batch of a pass over the ring is one op.
	again := func(i int) {
		if i%frames == 0 {
			sub.cursor = shm.NewCursor(sub.ring(), start, shm.StartOldest, shm.AnySource)
		}
	}
	b.Run("lease", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			again(i)
			if valid, err := sub.View(context.Background(), walk); err != nil || !valid {
				b.Fatal(valid, err)
			}
		}
		report(b)
	})
	b.Run("copies", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		again(i)
		for batch, err := range sub.Batches(context.Background()) {
			if err != nil {
				b.Fatal(err)
			}
			walk(batch)
			i++
			again(i)
			if !b.Loop() {
				break
			}
		}
		report(b)
	})
	b.Run("walk", func(b *testing.B) {
		again(0)
		batch := next(b, sub, KindRows)
		for b.Loop() {
			walk(batch)
		}
		report(b)
	})
}
