// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

// attach is a consumer with both ends in this process.
func attach(t testing.TB, p *Publisher, start Start) (*Consumer, *ControlPage, Position) {
	t.Helper()
	c, pos, err := p.Attach(start, AnySource, 0)
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
		c, pos, err := p.Attach(tc.start, tc.source, 0)
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
		c, pos, err := p.Attach(StartOldest, AnySource, 0)
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

func TestHostileControlPageMisleadsOnlyItself(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c, page, _ := attach(t, p, StartHead)
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
		c, _, err := p.Attach(StartHead, AnySource, 0)
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
	if _, _, err := p.Attach(StartHead, AnySource, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("attach to an ended ring: %v", err)
	}
}

// Closing twice must not unmap what has taken the page's address since.
func TestControlPageClosesOnce(t *testing.T) {
	p := newTestRing(t, 16<<10)
	for range 50 {
		c, first, _ := attach(t, p, StartHead)
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
