// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// Publisher and consumers meet again and again in the moment in which one goes
// to sleep and the other commits. A wake-up is lost if a sleep ends by time
// while there is something to read; none may be, whether one listens to the bell
// or several, of whom each is woken also by what the others are rung for.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, consumers := range []int{1, 3, 8} {
		t.Run(fmt.Sprint(consumers), func(t *testing.T) { meet(t, consumers, 1000) })
	}
}

func meet(t *testing.T, consumers, rounds int) {
	s := open(t, settings{})
	var all []*meeter
	for range consumers {
		m := &meeter{a: s.attach(t, shm.StartOldest), result: make(chan error, 1)}
		m.a.sleeper.tick = patience
		all = append(all, m)
		go func() { m.result <- m.run(int64(rounds)) }()
	}
	heard := func(frames int) {
		for _, m := range all {
			for m.read.Load() < int64(frames) && len(m.result) == 0 {
				s.publisher.Beat() // gives the rings that the token bucket held back
				runtime.Gosched()
			}
		}
	}
	for i := range rounds {
		heard(i)
		for range rand.IntN(3000) {
			_ = all[0].read.Load()
		}
		if err := s.feed.publish(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	heard(rounds)
	slept := uint64(0)
	for _, m := range all {
		if err := <-m.result; err != nil {
			t.Error(err)
		}
		slept += m.a.sleeper.rang
	}
	if slept == 0 {
		t.Error("nobody slept")
	}
	t.Logf("%d sleeps in %d rounds", slept, rounds)
}

// meeter is a consumer that sleeps whenever it has read all.
type meeter struct {
	a      *Attachment
	read   atomic.Int64 // frames
	result chan error
}

func (m *meeter) run(frames int64) error {
	c := m.a.Cursor(shm.StartOldest)
	for m.read.Load() < frames {
		if _, _, _, status := c.Peek(); status == shm.Ready {
			c.Advance()
			m.read.Add(1)
			continue
		}
		seen := c.Position().Offset
		woken, err := m.a.Wait(context.Background(), seen)
		if err != nil {
			return err
		}
		if !woken && m.a.Ring.Head() != seen {
			return fmt.Errorf("a wake-up was lost after %d frames", m.read.Load())
		}
	}
	return nil
}

// Whoever sleeps on a quiet ring is left alone, and is woken once for one scan.
func TestSleepersAreLeftAlone(t *testing.T) {
	const sleepers = 64
	s := open(t, settings{})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var heard atomic.Int32
	rang := make([]uint64, sleepers)
	for i := range sleepers {
		a := s.attach(t, shm.StartHead)
		all.Go(func() {
			c := a.Cursor(shm.StartHead)
			for {
				_, _, _, status := c.Peek()
				if status == shm.Ready {
					c.Advance()
					heard.Add(1)
					continue
				}
				if _, err := a.Wait(ctx, c.Position().Offset); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					break
				}
			}
			rang[i] = a.sleeper.rang
		})
	}
	s.asleep(t, sleepers)
	for range 100 {
		s.publisher.Beat()
	}
	if err := s.feed.publish(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "all to hear of the scan", func() bool { return heard.Load() == sleepers })
	s.asleep(t, sleepers)
	for range 100 {
		s.publisher.Beat()
	}
	cancel()
	all.Wait()
	for i, n := range rang {
		if n > 2 { // a bell also wakes whoever has just begun to listen to it, once
			t.Errorf("sleeper %d was woken %d times for one scan", i, n)
		}
	}
}

// asleep waits until n consumers have their flag up.
func (s *stand) asleep(t testing.TB, n int) {
	t.Helper()
	until(t, "everybody to sleep", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		asleep := 0
		for l := range s.leases {
			if l.Consumer.Stats().Asleep {
				asleep++
			}
		}
		return asleep == n
	})
}

// sleepOn sleeps on a ring that is empty, also after wake-ups that mean nothing,
// until something comes of it.
func sleepOn(ctx context.Context, a *Attachment) error {
	for {
		if _, err := a.Wait(ctx, 0); err != nil || a.Ring.State() != shm.StateLive {
			return err
		}
	}
}

func TestWaitEnds(t *testing.T) {
	s := open(t, settings{})
	a := s.attach(t, shm.StartHead)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- sleepOn(ctx, a) }()
	s.asleep(t, 1)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := a.Wait(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	go func() { result <- sleepOn(t.Context(), a) }()
	s.asleep(t, 1)
	if err := s.publisher.Finish(t.Context(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil || a.Ring.State() != shm.StateSuperseded {
		t.Errorf("superseded: %v, state %v", err, a.Ring.State())
	}
	s.stop()
	until(t, "the hang-up", func() bool {
		_, err := a.Wait(t.Context(), a.Ring.Head())
		return errors.Is(err, ErrHangup)
	})
}

func TestEviction(t *testing.T) {
	s := open(t, settings{})
	a := s.attach(t, shm.StartHead)
	result := make(chan error, 1)
	go func() { result <- sleepOn(t.Context(), a) }()
	s.asleep(t, 1)
	s.lease(t).Close()
	if err := <-result; !errors.Is(err, ErrHangup) {
		t.Errorf("evicted: %v", err)
	}
	s.until(t, "detach", func(leases, ended int) bool { return leases == 0 && ended == 1 })
}

// A second question on a lease is answered, but not served.
func TestLeaseAnswersNothing(t *testing.T) {
	s := open(t, settings{})
	conn := s.knock(t)
	for i, want := range []uint32{0, 106} { // granted, EISCONN
		if _, err := conn.Write(attachRequest(nil)); err != nil {
			t.Fatal(err)
		}
		if a, err := hear(t, conn); err != nil || uint32(a.status) != want {
			t.Errorf("request %d: status %v, error %v", i, a.status, err)
		}
	}
	s.until(t, "one lease", func(leases, _ int) bool { return leases == 1 })
}
