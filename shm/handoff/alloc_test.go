// SPDX-License-Identifier: Apache-2.0

//go:build !race

package handoff

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// A sleep that ends by time allocates its error, once a second; one that is
// rung allocates nothing. (The race detector
// allocates, so this file is not built for it.)
func TestWaitDoesNotAllocate(t *testing.T) {
	s := open(t, settings{})
	a := s.attach(t, shm.StartHead)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lease, bell := s.lease(t), int(a.sleeper.bell.Fd())
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if lease.Consumer.Stats().Asleep {
				_ = unix.Shutdown(bell, unix.SHUT_RDWR) // which whoever holds it may do
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
}
