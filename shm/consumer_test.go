// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// attach is a consumer with both ends in this process.
func attach(t testing.TB, p *Publisher, start Start, bell func() error) (*Consumer, *ControlPage, Position) {
	t.Helper()
	c, pos, err := p.Attach(start, AnySource, bell)
	if err != nil {
		t.Fatal(err)
	}
	page, err := OpenControlPage(c.File())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Detach(); page.Close() })
	return c, page, pos
}

func noBell() error { return nil }

func TestAttachStartsWhereAsked(t *testing.T) {
	p := newTestRing(t, 64<<10)
	a, b := addSource(t, p, "a"), addSource(t, p, "b")
	publishRows(t, a, 0, 10, FlagFirst|FlagLast|FlagKeyframe)
	publishRows(t, b, 0, 20, FlagFirst|FlagKeyframe)
	publishRows(t, a, 0, 30, FlagFirst|FlagLast|FlagKeyframe) // keyframe of a
	publishRows(t, b, 0, 40, FlagLast|FlagKeyframe)           // completes the one of b
	publishRows(t, a, 0, 50, FlagFirst|FlagKeyframe)          // incomplete
	for name, tc := range map[string]struct {
		start     Start
		source    uint16
		seq, rows uint64
	}{
		"oldest":             {StartOldest, AnySource, 0, 0},
		"head":               {StartHead, AnySource, 5, 150},
		"keyframe of a":      {StartKeyframe, 0, 2, 30},
		"keyframe of b":      {StartKeyframe, 1, 1, 10},
		"keyframe of both":   {StartKeyframe, AnySource, 1, 10},
		"keyframe of nobody": {StartKeyframe, 5, 5, 150},
	} {
		c, pos, err := p.Attach(tc.start, tc.source, noBell)
		if err != nil {
			t.Fatal(err)
		}
		if pos.Seq != tc.seq || pos.Rows != tc.rows {
			t.Errorf("%s: %+v, want frame %d after row %d", name, pos, tc.seq, tc.rows)
		}
		got, _ := readAll(t, NewCursor(p.Ring(), pos, tc.start, tc.source), make([]byte, p.Geometry().LargestFrame))
		if got.frames != 5-tc.seq || got.lostFrames != 0 {
			t.Errorf("%s: read %+v", name, got)
		}
		c.Detach()
	}
}

func TestInterruptedScanIsNoKeyframe(t *testing.T) {
	p := newTestRing(t, 64<<10)
	r := addSource(t, p, "s")
	publishRows(t, r, 0, 10, FlagFirst|FlagKeyframe)
	if _, err := r.Claim(t.Context(), 16, 16); err != nil {
		t.Fatal(err)
	}
	r.Abort()
	if k := p.Ring().keyframe(0); k != NoKeyframe {
		t.Fatalf("keyframe at %d after half a scan", k)
	}
	publishRows(t, r, 0, 10, FlagFirst|FlagLast|FlagKeyframe)
	if k := p.Ring().keyframe(0); k == NoKeyframe || k == 0 {
		t.Fatalf("keyframe at %d after a whole scan", k)
	}
}

func TestAttachAfterWrapReadsWithoutLoss(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	for i := range 500 {
		publishRows(t, r, uint64(i), 1+i%100, FlagFirst|FlagLast|FlagKeyframe)
		c, pos, err := p.Attach(StartOldest, AnySource, noBell)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := readAll(t, NewCursor(p.Ring(), pos, StartOldest, AnySource), make([]byte, p.Geometry().LargestFrame))
		if got.lostFrames != 0 || got.frames == 0 || pos.Seq+got.frames != uint64(i)+1 {
			t.Fatalf("after %d frames: from %+v read %+v", i+1, pos, got)
		}
		c.Detach()
	}
}

func TestSleeperIsRungOnceAndOnlyForNews(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	var rings atomic.Int64
	_, page, _ := attach(t, p, StartHead, func() error { rings.Add(1); return nil })

	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	expectRings(t, &rings, 0, "an awake consumer")
	page.Sleep()
	p.Beat()
	expectRings(t, &rings, 0, "a quiet ring")
	publishRows(t, r, 0, 1, FlagFirst)
	expectRings(t, &rings, 0, "the middle of a scan")
	publishRows(t, r, 0, 1, FlagLast)
	expectRings(t, &rings, 1, "the end of a scan")
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	expectRings(t, &rings, 1, "a consumer that was rung and has not slept since")
	page.Sleep()
	publishRows(t, r, 0, 1, FlagFirst)
	p.Beat()
	expectRings(t, &rings, 2, "a scan that does not end by itself")
	page.Sleep()
	if err := p.Finish(t.Context(), StateEnded); err != nil {
		t.Fatal(err)
	}
	expectRings(t, &rings, 3, "the end of the ring")
}

func expectRings(t *testing.T, rings *atomic.Int64, want int64, when string) {
	t.Helper()
	if got := rings.Load(); got != want {
		t.Errorf("%s: rung %d times, want %d", when, got, want)
	}
}

func TestRingThatFailsIsOwed(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	var rings atomic.Int64
	_, page, _ := attach(t, p, StartHead, func() error {
		if rings.Add(1) == 1 {
			return unix.ENOBUFS
		}
		return nil
	})
	page.Sleep()
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	expectRings(t, &rings, 1, "first try")
	p.Beat()
	expectRings(t, &rings, 2, "second try")
	p.Beat()
	expectRings(t, &rings, 2, "after success")
}

func TestFlickeringSleeperCannotCostMuch(t *testing.T) {
	b, now, taken := bucket{}, uint64(5_000_000_000), 0
	for range 1000 {
		if b.take(now) {
			taken++
		}
	}
	if taken != ringBurst {
		t.Errorf("%d rings at once, want %d", taken, ringBurst)
	}
	if b.take(now + ringInterval/2) {
		t.Error("a ring before the next is due")
	}
	if !b.take(now + ringInterval) {
		t.Error("no ring when one is due")
	}
}

func TestManySleepersAreAllRung(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	const consumers = 64
	rung := make(chan int, consumers)
	pages := make([]*ControlPage, consumers)
	for i := range consumers {
		_, pages[i], _ = attach(t, p, StartHead, func() error { rung <- i; return nil })
		pages[i].Sleep()
	}
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	seen := map[int]bool{}
	for len(seen) < consumers {
		seen[<-rung] = true
	}
}

func TestHostileControlPageMisleadsOnlyItself(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead, noBell)
	for _, v := range []uint64{0, 1, math.MaxInt64, math.MaxUint64} {
		for off := range uint64(consumerBytes / 8) {
			page.mem.word(off * 8).Store(v)
		}
		publishRows(t, r, 0, 5, FlagFirst|FlagLast)
		s, total := c.Stats(), p.Totals()
		if s.LagFrames > total.Frames || s.LostRows > total.Rows || s.LostFrames > total.Frames || s.Laps > total.Frames {
			t.Errorf("page full of %#x: %+v", v, s)
		}
	}
	// Punching a hole reads as zero; shrinking is sealed off.
	f := c.File()
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, consumerBytes); err != nil {
		t.Errorf("punch: %v", err)
	}
	if err := f.Truncate(0); err == nil {
		t.Error("the control page was cut: the next store would kill the sidecar")
	}
	publishRows(t, r, 0, 5, FlagFirst|FlagLast)
	c.Stats()
}

func TestDetachWhileRinging(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 2000 {
			publishRows(t, r, uint64(i), 1, FlagFirst|FlagLast)
		}
	}()
	for range 300 {
		c, _, err := p.Attach(StartHead, AnySource, noBell)
		if err != nil {
			t.Fatal(err)
		}
		c.shared.sleep.Store(1)
		c.Stats()
		c.Detach()
	}
	<-done
	if err := p.Finish(t.Context(), StateEnded); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Attach(StartHead, AnySource, noBell); !errors.Is(err, ErrClosed) {
		t.Errorf("attach to an ended ring: %v", err)
	}
}

// A producer that was held up behind its last commit rings when the ring is
// closed already.
func TestRingThatComesAfterTheEndIsNone(t *testing.T) {
	p, err := Create(Config{Name: "late", DataBytes: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for range directRings + 1 { // enough for the notifier
		if _, _, err := p.Attach(StartHead, AnySource, noBell); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Finish(t.Context(), StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.ringSleepers()
}

// Closing twice must not unmap what has taken the page's address since.
func TestControlPageClosesOnce(t *testing.T) {
	p := newTestRing(t, 16<<10)
	for range 50 {
		c, first, _ := attach(t, p, StartHead, noBell)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second, err := OpenControlPage(c.File())
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second.Sleep() // faults if it was unmapped
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
