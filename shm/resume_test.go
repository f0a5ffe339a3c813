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
