// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"runtime"
	"testing"
)

// TestFillIsInOrder: frames that went past the caches arrive like others. A reader
// on another processor gets them whole or counts them as lost, whether it keeps up
// or is overtaken in the middle of a copy.
func TestFillIsInOrder(t *testing.T) {
	const frames, rows = 5000, 4 * farFill / 16
	p := newTestRing(t, farRing)
	r := addSource(t, p, "s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		from := make([]byte, rows*16)
		for n := range uint64(frames) {
			fillRows(from, n*rows, rows)
			to, err := r.Claim(t.Context(), len(from), len(from))
			if err != nil {
				t.Error(err)
				return
			}
			r.Fill(to[:len(from)], from)
			r.Commit(rowContent(rows, FlagFirst|FlagLast))
		}
	}()
	c, buf := NewCursor(p.Ring(), Position{}, StartOldest, AnySource), make([]byte, p.Geometry().LargestFrame)
	var all account
	for over := false; ; {
		got, _ := readAll(t, c, buf)
		all.frames += got.frames
		all.rows += got.rows
		all.lostFrames += got.lostFrames
		all.lostRows += got.lostRows
		if over {
			break
		}
		select {
		case <-done:
			over = true // and once more, for what came last
		default:
			runtime.Gosched()
		}
	}
	all.mustEqual(t, p.Totals())
	if all.frames == 0 || p.Totals().Frames != frames {
		t.Errorf("%d of %d frames were read", all.frames, p.Totals().Frames)
	}
}

// TestFill: whatever the length and the size of the ring, it is a copy.
func TestFill(t *testing.T) {
	for _, ring := range []uint64{farRing / 2, farRing} {
		for _, rows := range []int{1, farFill/16 - 1, farFill / 16, farFill/16 + 3} {
			p := newTestRing(t, ring)
			r := addSource(t, p, "s")
			from := make([]byte, rows*16)
			fillRows(from, 7, rows)
			to, err := r.Claim(t.Context(), len(from), len(from))
			if err != nil {
				t.Fatal(err)
			}
			r.Fill(to[:len(from)], from)
			r.Commit(rowContent(rows, FlagFirst|FlagLast))
			got, _ := readAll(t, NewCursor(p.Ring(), Position{}, StartOldest, AnySource), make([]byte, p.Geometry().LargestFrame))
			if got.frames != 1 || got.rows != uint64(rows) {
				t.Errorf("a ring of %d bytes, %d rows: %+v", ring, rows, got)
			}
		}
	}
}
