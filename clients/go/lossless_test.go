// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// A subscription that stood still for too long on a lossless ring is told so
// once, before the loss that follows from it, and its user may not attach anew.
func TestEvictedIsToldOnce(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := open(t, socketPath(t), 64<<10)
	p, err := shm.Create(shm.Config{Name: DefaultRing, DataBytes: 64 << 10, Lossless: true, StallTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.past, s.ring = append(s.past, s.ring), p
	s.mu.Unlock()
	f := addFeed(t, p, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 1, 10)
	next(t, sub, KindRows)
	for p.Totals().Head < 3*p.Geometry().DataBytes { // waits until nobody is waited for
		f.must(t, 1, 10)
	}
	next(t, sub, KindEvicted)
	lost := next(t, sub, KindLost).Lost
	if b := next(t, sub, KindRows); lost.Frames == 0 || !lost.Exact || b.Seq != 1+lost.Frames {
		t.Errorf("lost %+v, then frame %d", lost, b.Seq)
	}
	if d := p.Delivery(); d.Evictions != 1 || d.Stalls == 0 {
		t.Errorf("%+v", d)
	}
	for read := sub.Stats().Frames + sub.Stats().LostFrames; read < p.Totals().Frames; read++ {
		next(t, sub, KindRows) // and not told again
	}
	if _, err := Attach(t.Context(), Options{Socket: s.path}); !errors.Is(err, ErrBarred) {
		t.Errorf("attach after the eviction: %v", err)
	}
}

// One that reads gets every row, and the publisher waits for it.
func TestLosslessWaitsForASubscription(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	p, err := shm.Create(shm.Config{Name: DefaultRing, DataBytes: 16 << 10, Lossless: true, StallTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.past, s.ring = append(s.past, s.ring), p
	s.mu.Unlock()
	f := addFeed(t, p, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.must(t, 1000, 10)
	}()
	for i := range uint64(1000) {
		if b := next(t, sub, KindRows); b.Seq != i {
			t.Fatalf("frame %d, want %d", b.Seq, i)
		}
	}
	<-done
	if st := sub.Stats(); st.LostFrames != 0 || st.Laps != 0 || p.Delivery().Stalls == 0 {
		t.Errorf("%+v, %+v", st, p.Delivery())
	}
}
