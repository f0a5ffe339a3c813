// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"fmt"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// BenchmarkEventFrames is what one event costs on its way into the ring: room, a
// copy, its entry in the table. What it costs to take it out of the ringbuf is
// BenchmarkEvents in package reader.
func BenchmarkEventFrames(b *testing.B) {
	for _, size := range []int{32, 256, 1024} {
		for _, ringBytes := range []uint64{1 << 20, 4 << 20, 16 << 20} {
			b.Run(fmt.Sprintf("size=%d/ring=%s", size, size64(ringBytes)), func(b *testing.B) {
				e, err := newEpoch(shm.Config{Name: "bench", DataBytes: ringBytes})
				if err != nil {
					b.Fatal(err)
				}
				defer e.close()
				p, err := e.publisher.AddSource(shm.SourceInfo{Name: "events", Flags: shm.SourceEvents})
				if err != nil {
					b.Fatal(err)
				}
				d := &eventDestination{dst: &destination{}}
				d.dst.next.Store(p)
				event := make([]byte, size)
				ctx, open := context.Background(), false
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if open && d.Add(event, size, 0, 1) > 0 {
						continue
					}
					if open {
						d.Commit()
					}
					if err := d.Claim(ctx, shm.EventBytes(size), 128<<10); err != nil {
						b.Fatal(err)
					}
					open = d.Add(event, size, 0, 1) > 0
				}
				d.Abort()
			})
		}
	}
}
