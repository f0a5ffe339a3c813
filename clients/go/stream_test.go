// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// tally checks every row it is given and counts what it was told it missed.
type tally struct {
	rows, lost uint64
	err        error
}

func (a *tally) add(typed *Rows[flowKey, flow], b *Batch) {
	for k, v := range typed.In(b) {
		a.rows++
		if err := checkFlow(k, v); err != nil && a.err == nil {
			a.err = err
		}
	}
	a.lost += b.Lost.Rows
}

func mustRows[K, V any](t testing.TB, sub *Subscription, source string) *Rows[K, V] {
	t.Helper()
	rows, err := RowsOf[K, V](sub, source)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A reader that is ten times slower than the publisher is overtaken all the
// time. What it got and what it lost must be what was published.
func TestSlowReaderAccountsForEveryRow(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	typed := mustRows[flowKey, flow](t, sub, "flows")
	f.must(t, 10, 40)
	var got tally
	steps := 0
	for b, err := range sub.Batches(deadline(t)) {
		if err != nil {
			t.Fatal(err)
		}
		// Overtaken or not, a copy stays what it was.
		f.must(t, 10, 1+steps%60)
		got.add(typed, b)
		if steps++; steps == 2000 {
			s.finish(t, s.ring, shm.StateEnded)
			break
		}
	}
	drain(t, sub, typed, &got)
	settle(t, s, sub, got)
}

// The same without copies: what View calls invalid is not counted, and nothing
// it calls valid is torn.
func TestSlowViewerAccountsForEveryRow(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	typed := mustRows[flowKey, flow](t, sub, "flows")
	f.must(t, 10, 40)
	var got tally
	invalid := 0
	for step := range 2000 {
		now := got
		valid, err := sub.View(deadline(t), func(b *Batch) {
			f.must(t, step%40, 1+step%60) // sometimes more than a ring
			now.add(typed, b)
		})
		if err != nil {
			t.Fatal(err)
		}
		if valid {
			got = now
		} else {
			invalid++
		}
	}
	if invalid == 0 {
		t.Error("no batch was overtaken while it was looked at")
	}
	s.finish(t, s.ring, shm.StateEnded)
	drain(t, sub, typed, &got)
	settle(t, s, sub, got)
}

// drain reads until the ring has ended.
func drain(t *testing.T, sub *Subscription, typed *Rows[flowKey, flow], got *tally) {
	t.Helper()
	for b, err := range sub.Batches(deadline(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Kind == KindGone {
			return
		}
		got.add(typed, b)
	}
}

func settle(t *testing.T, s *sidecar, sub *Subscription, got tally) {
	t.Helper()
	if got.err != nil {
		t.Error(got.err)
	}
	if total := s.ring.Totals(); got.rows+got.lost != total.Rows || got.lost == 0 {
		t.Errorf("got %d rows and lost %d, published were %d", got.rows, got.lost, total.Rows)
	}
	if st := sub.Stats(); st.Rows != got.rows || st.LostRows != got.lost || st.Laps == 0 {
		t.Errorf("stats say %+v", st)
	}
}

// Publisher and readers run side by side, each at its own pace.
func TestReadersBesideAPublisher(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	var readers sync.WaitGroup
	for i := range 3 {
		sub := s.attach(t, Options{Start: StartOldest})
		typed := mustRows[flowKey, flow](t, sub, "flows")
		ctx := deadline(t)
		readers.Go(func() {
			var got tally
			for gone := false; !gone; {
				if i == 2 {
					now := got
					valid, err := sub.View(ctx, func(b *Batch) {
						gone = b.Kind == KindGone
						now.add(typed, b)
					})
					if valid {
						got = now
					}
					if err != nil {
						t.Error(err)
						return
					}
					continue
				}
				for b, err := range sub.Batches(ctx) {
					if err != nil {
						t.Error(err)
						return
					}
					gone = b.Kind == KindGone
					got.add(typed, b)
					sub.Stats() // beside itself, for the race detector
					break
				}
			}
			if total := s.ring.Totals(); got.err != nil || got.rows+got.lost != total.Rows {
				t.Errorf("reader %d got %d rows and lost %d of %d; %v", i, got.rows, got.lost, total.Rows, got.err)
			}
		})
	}
	f.must(t, 20000, 30)
	s.finish(t, s.ring, shm.StateEnded)
	readers.Wait()
}

func TestBreakingOutLosesNothing(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 6, 5)
	for want := range uint64(5) {
		if b := next(t, sub, KindRows); b.Seq != want || b.Rows != 5 {
			t.Fatalf("frame %d with %d rows, expected %d", b.Seq, b.Rows, want)
		}
	}
	// View goes on where the loop was left, and the other way round.
	if valid, err := sub.View(deadline(t), func(b *Batch) {
		if b.Seq != 5 {
			t.Errorf("frame %d", b.Seq)
		}
	}); !valid || err != nil {
		t.Fatal(valid, err)
	}
	// Left between a loss and the frame behind it.
	f.must(t, 1000, 20)
	lost := next(t, sub, KindLost).Lost
	if b := next(t, sub, KindRows); b.Seq != 6+lost.Frames || !lost.Exact {
		t.Errorf("lost %+v, then frame %d", lost, b.Seq)
	}
	f.must(t, 1000, 20)
	next(t, sub, KindLost)
	called := false
	if _, err := sub.View(deadline(t), func(b *Batch) { called = b.Kind == KindRows }); err != nil || !called {
		t.Error(called, err)
	}
}

func TestContextEndsTheLoopWithoutError(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 3, 1)
	ctx, cancel := context.WithCancel(t.Context())
	batches := 0
	for _, err := range sub.Batches(ctx) { // busy
		if err != nil {
			t.Fatal(err)
		}
		batches++
		cancel()
	}
	if batches != 1 {
		t.Errorf("%d batches after the end", batches-1)
	}
	next(t, sub, KindRows)
	next(t, sub, KindRows)
	ctx, cancel = context.WithCancel(t.Context())
	asleep := make(chan struct{})
	go func() { <-asleep; cancel() }()
	close(asleep)
	for b, err := range sub.Batches(ctx) { // asleep
		t.Fatal(b, err)
	}
	if valid, err := sub.View(ctx, func(*Batch) { t.Error("called") }); valid || !errors.Is(err, context.Canceled) {
		t.Error(valid, err)
	}
	f.must(t, 1, 1)
	if b := next(t, sub, KindRows); b.Seq != 3 {
		t.Errorf("frame %d", b.Seq)
	}
}

func TestSleepingReaderIsWoken(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{})
	consumer := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for l := range s.leases {
			return l.Consumer.Stats().Asleep
		}
		return false
	}
	ctx, got := deadline(t), make(chan uint64)
	go func() {
		defer close(got)
		for b, err := range sub.Batches(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			got <- b.Seq
			if b.Seq == 20 {
				return
			}
		}
	}()
	for range 21 {
		for !consumer() && ctx.Err() == nil { // it sleeps before it is woken
			runtime.Gosched()
		}
		f.must(t, 1, 1)
		<-got
	}
	<-got
}

func TestStatsShowLag(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 7, 3)
	next(t, sub, KindRows)
	want := Stats{Frames: 1, Rows: 3, LagFrames: 6, LagRows: 18}
	if got := sub.Stats(); got != want {
		t.Errorf("%+v, expected %+v", got, want)
	}
	f.must(t, 1000, 20) // overtaken: what is lost is still ahead
	want.LagFrames, want.LagRows = 1006, 20018
	if got := sub.Stats(); got != want {
		t.Errorf("%+v, expected %+v", got, want)
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	for b, err := range sub.Batches(t.Context()) {
		if b != nil || !errors.Is(err, ErrClosed) {
			t.Error(b, err)
		}
	}
	if got := sub.Stats(); got.Rows != 3 {
		t.Errorf("%+v", got)
	}
}

// A ring that contradicts itself ends the loop, for good.
func TestCorruptRingIsTheEnd(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 1, 1)
	if _, err := f.producer.Claim(t.Context(), 64, 64); err != nil {
		t.Fatal(err)
	}
	f.producer.Commit(shm.Content{Kind: shm.KindRows, Rows: 1000, Bytes: 64, KeyStride: 4, ValueStride: 32}) // of which it has two
	next(t, sub, KindRows)
	for range 2 {
		for b, err := range sub.Batches(deadline(t)) {
			if b != nil || !errors.Is(err, ErrCorrupt) {
				t.Fatal(b, err)
			}
		}
	}
	if err := s.ring.Check(); !errors.Is(err, shm.ErrCorrupt) {
		t.Error(err)
	}
	liar := s.ring
	s.close(t) // nobody holds it any more
	s.replace(t, 64<<10)
	s.past = nil // not to be checked again
	if err := liar.Close(); err != nil {
		t.Error(err)
	}
}

// A batch stays what it is while its reader waits for the next one, awake or not,
// and is none of the ring's memory, which goes.
func TestLastBatchStays(t *testing.T) {
	for name, o := range map[string]Options{"sleeping": {}, "busy": {Busy: true}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, socketPath(t), 64<<10)
			addFeed(t, s.ring, flowInfo("flows")).must(t, 1, 40)
			o.Socket, o.Start = s.path, StartOldest
			sub, err := Attach(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			var last *Batch
			for b, err := range sub.Batches(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				last = b
			}
			if last == nil || last.Rows != 40 || last.rows != 40 || &last.payload[0] != &sub.buf[0] {
				t.Errorf("%+v", last)
			}
		})
	}
}
