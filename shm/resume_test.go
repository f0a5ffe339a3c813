// SPDX-License-Identifier: Apache-2.0

package shm

import "testing"

// Several claims that become visible at once may hold a whole keyframe, whose
// place is then stored before head is. A reader that is lapped in that moment
// must not take a place beyond head for a contradiction.
func TestResumeDoesNotPassHead(t *testing.T) {
	p := newHeapRing(t, 1<<13)
	r := addSource(t, p, "flows")
	c := NewCursor(p.Ring(), Position{}, StartKeyframe, r.Number())
	for first := uint64(0); p.Totals().Head <= 2*p.geometry.DataBytes; first += 8 {
		publishRows(t, r, first, 8, FlagFirst|FlagLast|FlagKeyframe)
	}
	// hw is beyond head, as it is while the other claims come in.
	other := addSource(t, p, "other")
	if _, err := other.Claim(t.Context(), 512, 512); err != nil {
		t.Fatal(err)
	}
	defer other.Abort()
	keyframe := p.sources[r.Number()].keyframe
	newest := keyframe.Load()
	defer keyframe.Store(newest)
	keyframe.Store(p.Totals().Head + HeaderBytes)
	h, payload, lost, status := c.Peek()
	if status != Ready || lost.Laps != 1 || h.Seq != p.Totals().Frames-1 {
		t.Fatalf("status %v (%v), frame %d after a loss of %+v", status, c.Err(), h.Seq, lost)
	}
	verifyRows(t, h, payload)
}

// A reader of one source that was lapped after other maps had taken the
// source's place resumes at the newest scan of the one that has it now.
func TestResumeFollowsTheSuccessor(t *testing.T) {
	p := newHeapRing(t, 1<<13)
	first, second, third := addSource(t, p, "flows"), addSource(t, p, "flows"), addSource(t, p, "flows")
	c := NewCursor(p.Ring(), Position{}, StartKeyframe, first.Number())
	const keyframe = FlagFirst | FlagLast | FlagKeyframe
	publishRows(t, first, 0, 8, keyframe)
	first.Supersede(second)
	second.Supersede(third)
	for p.Totals().Head <= 2*p.geometry.DataBytes {
		publishRows(t, third, 0, 8, 0)
	}
	want := p.Totals().Frames
	publishRows(t, third, 0, 8, keyframe)
	publishRows(t, third, 8, 8, 0) // the last frame is another
	h, payload, lost, status := c.Peek()
	if status != Ready || lost.Laps != 1 || h.Seq != want || h.Source != third.Number() {
		t.Fatalf("status %v (%v), frame %d of source %d after a loss of %+v, want frame %d", status, c.Err(), h.Seq, h.Source, lost, want)
	}
	verifyRows(t, h, payload)
}

// Records that name each other, themselves or nobody must not be followed for ever.
func TestResumeIsNotLedInCircles(t *testing.T) {
	p := newHeapRing(t, 1<<13)
	first, second := addSource(t, p, "a"), addSource(t, p, "b")
	ring := p.Ring()
	for name, by := range map[string]*Producer{"each other": first, "itself": second} {
		first.Supersede(second)
		second.Supersede(by)
		if n := ring.successor(first.Number()); n != second.Number() {
			t.Errorf("%s: followed to %d", name, n)
		}
	}
	second.source.replaced.Store(1 << 40)
	if n := ring.successor(first.Number()); n != second.Number() {
		t.Errorf("nobody: followed to %d", n)
	}
	if n := ring.successor(7); n != 7 {
		t.Errorf("unknown: followed to %d", n)
	}
}
