// SPDX-License-Identifier: Apache-2.0

//go:build !race

package handoff

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// A sleep that ends by time allocates its error, once a second; one that is
// rung allocates nothing. (The race detector
// allocates, so this file is not built for it.)
func TestWaitAndBellDoNotAllocate(t *testing.T) {
	s := open(t, settings{})
	a := s.attach(t, shm.StartHead)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lease := s.lease(t)
	var b *bell
	until(t, "line", func() bool { // it is made when the grant has been sent
		lease.conn.mu.Lock()
		defer lease.conn.mu.Unlock()
		if lease.conn.line != nil {
			b = newBell(lease.conn.line.fd)
		}
		return b != nil
	})
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if lease.Consumer.Stats().Asleep {
				_ = b.ring() // whose failure shows below
			}
			runtime.Gosched()
		}
	}()
	if n := testing.AllocsPerRun(50, func() {
		if woken, err := a.Wait(ctx, a.Ring.Head()); err != nil || !woken {
			t.Errorf("woken %v, error %v", woken, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a sleep", n)
	}
	stop.Store(true)
	<-done
	for range 10_000 { // nobody reads them: the socket fills up, and that is fine
		if err := b.ring(); err != nil {
			t.Fatal(err)
		}
	}
}
