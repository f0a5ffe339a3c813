// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bytes"
	"context"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// What one event costs a consumer that looks at one field of it: frames of 4096
// records of 16 bytes, all in the ring already; of one length, and with a longer
// one among them.
func BenchmarkEvents(b *testing.B) {
	b.Run("alike", func(b *testing.B) { benchEvents(b, 16) })
	b.Run("mixed", func(b *testing.B) { benchEvents(b, 24) })
}

func benchEvents(b *testing.B, last int) {
	const frames, events = 16, 4096
	s := open(b, socketPath(b), 16<<20)
	f := addFeed(b, s.ring, shm.SourceInfo{Name: "log", MapType: 27, Flags: shm.SourceEvents})
	list := make([][]byte, events)
	for i := range list {
		list[i] = bytes.Repeat([]byte{1}, 16)
	}
	list[events-1] = make([]byte, last)
	for range frames {
		f.events(b, list...)
	}
	sub := s.attach(b, Options{Start: StartOldest})
	typed, err := EventsOf[[2]uint64](sub, "log")
	if err != nil {
		b.Fatal(err)
	}
	start, sum := sub.cursor.Position(), uint64(0)
	walk := func(batch *Batch) {
		for e := range typed.In(batch) {
			sum += e[0]
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%frames == 0 {
			sub.cursor = shm.NewCursor(sub.ring(), start, shm.StartOldest, shm.AnySource)
		}
		if valid, err := sub.View(context.Background(), walk); err != nil || !valid {
			b.Fatal(valid, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
