// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// readAll reads to the end of what is there.
func readAll(t testing.TB, c *Cursor, buf []byte) (a account, s Status) {
	t.Helper()
	for {
		h, payload, lost, s := c.Next(buf)
		if s != Ready {
			if s == Corrupt {
				t.Fatal(c.Err())
			}
			return a, s
		}
		verifyRows(t, h, payload)
		a.add(h, lost)
	}
}

func TestFramesArriveInOrderAcrossTheWrap(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	buf := make([]byte, p.Geometry().LargestFrame)
	next := uint64(0)
	for i := range 2000 {
		rows := 1 + i%(r.Largest()/16)
		publishRows(t, r, next, rows, FlagFirst|FlagLast)
		h, payload, lost, s := c.Next(buf)
		if s != Ready || lost != (Loss{}) || h.Seq != uint64(i) || h.RowsBefore != next || h.Rows != uint32(rows) {
			t.Fatalf("frame %d: %v %+v lost %+v (%v)", i, s, h, lost, c.Err())
		}
		verifyRows(t, h, payload)
		next += uint64(rows)
	}
	if _, _, _, s := c.Next(buf); s != Empty {
		t.Fatalf("status %v after the last frame", s)
	}
}

func TestCommitOrderIsClaimOrder(t *testing.T) {
	p := newTestRing(t, 64<<10)
	a, b := addSource(t, p, "a"), addSource(t, p, "b")
	first, err := a.Claim(t.Context(), 160, 160)
	if err != nil {
		t.Fatal(err)
	}
	publishRows(t, b, 100, 5, 0)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	buf := make([]byte, p.Geometry().LargestFrame)
	if _, _, _, s := c.Next(buf); s != Empty {
		t.Fatalf("a frame behind an open claim is visible: %v", s)
	}
	fillRows(first, 0, 10)
	a.Commit(rowContent(10, 0))
	got, _ := readAll(t, c, buf)
	if got.frames != 2 || got.rows != 15 {
		t.Fatalf("got %+v", got)
	}
}

func TestAbortLeavesNoTrace(t *testing.T) {
	p := newTestRing(t, 16<<10)
	a, b := addSource(t, p, "a"), addSource(t, p, "b")
	if _, err := a.Claim(t.Context(), 100, 1000); err != nil {
		t.Fatal(err)
	}
	publishRows(t, b, 0, 3, 0)
	a.Abort()
	a.Abort() // idle, so it does nothing
	publishRows(t, a, 3, 4, 0)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	got, _ := readAll(t, c, make([]byte, p.Geometry().LargestFrame))
	if got.frames != 2 || got.rows != 7 {
		t.Fatalf("got %+v", got)
	}
}

func TestLapIsCountedExactly(t *testing.T) {
	for _, start := range []Start{StartOldest, StartHead, StartKeyframe} {
		p := newTestRing(t, 16<<10)
		r := addSource(t, p, "s")
		c := NewCursor(p.Ring(), Position{}, start, 0)
		buf := make([]byte, p.Geometry().LargestFrame)
		var got account
		for round := range 50 {
			for i := range 40 * (round%3 + 1) {
				publishRows(t, r, uint64(i), 1+i%60, FlagFirst|FlagLast|FlagKeyframe)
			}
			part, _ := readAll(t, c, buf)
			got.frames, got.rows = got.frames+part.frames, got.rows+part.rows
			got.lostFrames, got.lostRows = got.lostFrames+part.lostFrames, got.lostRows+part.lostRows
			got.mustEqual(t, p.Totals())
		}
		if got.lostFrames == 0 || c.Loss().Laps == 0 || got.frames == 0 {
			t.Errorf("start %v: no lap happened: %+v %+v", start, got, c.Loss())
		}
		if c.Loss().Frames != got.lostFrames || c.Loss().Rows != got.lostRows {
			t.Errorf("cursor says %+v, its frames said %+v", c.Loss(), got)
		}
	}
}

func TestLentBytesAreProvedStale(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	publishRows(t, r, 0, 50, 0)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	if _, _, _, s := c.Peek(); s != Ready || !c.Valid() {
		t.Fatalf("fresh frame: %v", s)
	}
	for i := range 40 {
		publishRows(t, r, uint64(i), 50, 0)
	}
	if c.Valid() {
		t.Fatal("a frame that was overwritten still counts as valid")
	}
	h, _, lost, s := c.Peek()
	if s != Ready || lost.Frames != h.Seq || lost.Laps != 1 {
		t.Fatalf("%v: %+v after losing %+v", s, h, lost)
	}
}

// TestProducersAndReadersUnderStress is the protocol at work: producers that
// shrink, abort and stall, readers that are lapped. It runs on sealed memory and
// on the heap, where the race detector can watch.
func TestProducersAndReadersUnderStress(t *testing.T) {
	for name, ring := range map[string]func(testing.TB, uint64) *Publisher{"memfd": newTestRing, "heap": newHeapRing} {
		for _, producers := range []int{1, 2, 4} {
			t.Run(name, func(t *testing.T) { stress(t, ring(t, 64<<10), producers) })
		}
	}
}

func stress(t *testing.T, p *Publisher, producers int) {
	frames := 20_000
	if raceEnabled {
		frames = 1500
	}
	var writers, readers sync.WaitGroup
	for i := range producers {
		r := addSource(t, p, string(rune('a'+i)))
		writers.Go(func() { produce(t, r, frames, uint64(i)) })
	}
	for i := range 3 {
		readers.Go(func() {
			c := NewCursor(p.Ring(), Position{}, []Start{StartOldest, StartHead, StartKeyframe}[i], AnySource)
			var got account
			buf := make([]byte, p.Geometry().LargestFrame)
			for n := 0; ; n++ {
				h, payload, lost, s := c.Next(buf)
				switch s {
				case Ready:
					verifyRows(t, h, payload)
					got.add(h, lost)
				case Ended:
					got.mustEqual(t, p.Totals())
					return
				case Corrupt:
					t.Error(c.Err())
					return
				default:
					runtime.Gosched()
				}
				if i == 2 && n%64 == 0 {
					runtime.Gosched() // a slow one, to be lapped
				}
			}
		})
	}
	writers.Wait()
	if err := p.Finish(t.Context(), StateEnded); err != nil {
		t.Error(err)
	}
	readers.Wait()
}

func produce(t *testing.T, r *Producer, frames int, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	for i := range frames {
		most := 16 * (1 + rnd.IntN(r.Largest()/16))
		b, err := r.Claim(t.Context(), 16, most)
		if err != nil {
			t.Error(err)
			return
		}
		switch rnd.IntN(16) {
		case 0:
			r.Abort()
			continue
		case 1:
			runtime.Gosched()
		}
		rows := 1 + rnd.IntN(min(len(b), most)/16)
		fillRows(b, uint64(i)<<8, rows)
		r.Commit(rowContent(rows, FlagFirst|FlagLast|FlagKeyframe))
	}
}

func TestTooLargeNamesTheArithmetic(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	_, err := r.Claim(t.Context(), 4000, 4000)
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "make the ring at least 32512 bytes") {
		t.Fatalf("got %v", err)
	}
}

func TestFinishEndsReadersAndProducers(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	publishRows(t, r, 0, 3, 0)
	if err := p.Finish(t.Context(), StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Claim(t.Context(), 16, 16); !errors.Is(err, ErrClosed) {
		t.Fatalf("claim on a finished ring: %v", err)
	}
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	got, s := readAll(t, c, make([]byte, p.Geometry().LargestFrame))
	if got.rows != 3 || s != Ended || p.Ring().State() != StateSuperseded {
		t.Fatalf("got %+v, %v, %v", got, s, p.Ring().State())
	}
}

func TestRingTotalsAreThePublishers(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	if got := p.Ring().Totals(); got != (Totals{}) {
		t.Errorf("an empty ring: %+v", got)
	}
	for i := range 100 {
		publishRows(t, r, uint64(i), 1+i%50, FlagFirst|FlagLast)
		if got := p.Ring().Totals(); got.Frames != p.Totals().Frames || got.Rows != p.Totals().Rows {
			t.Fatalf("frame %d: reader sees %+v, publisher %+v", i, got, p.Totals())
		}
	}
}
