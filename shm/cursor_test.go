// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"
)

// ringImage is the memory of a ring with a few frames, some of them pads.
func ringImage(t testing.TB) memory {
	t.Helper()
	p := newHeapRing(t, 4096)
	r := addSource(t, p, "s")
	for i := range 30 {
		publishRows(t, r, uint64(i), 1+i%28, FlagFirst|FlagLast|FlagKeyframe)
	}
	return p.mem
}

func TestCursorCallsEveryLieCorrupt(t *testing.T) {
	first := func(h *Header) {}
	for name, change := range map[string]func(h *Header){
		"intact":               first,
		"length 0":             func(h *Header) { h.Length = 0 },
		"length not aligned":   func(h *Header) { h.Length += 8 },
		"length over largest":  func(h *Header) { h.Length = 1024 },
		"length to 4 GiB":      func(h *Header) { h.Length = math.MaxUint32 &^ 63 },
		"seq ahead":            func(h *Header) { h.Seq++ },
		"seq behind":           func(h *Header) { h.Seq-- },
		"rows ahead":           func(h *Header) { h.RowsBefore++ },
		"unknown source":       func(h *Header) { h.Source = 7 },
		"rows 4 G":             func(h *Header) { h.Rows = math.MaxUint32 },
		"key stride 4 G":       func(h *Header) { h.KeyStride = math.MaxUint32 },
		"key stride too small": func(h *Header) { h.KeyStride = 4 },
		"keys in the header":   func(h *Header) { h.KeysOffset = 0 },
		"values outside":       func(h *Header) { h.ValuesOffset = h.Length - 4 },
		"values at 4 G":        func(h *Header) { h.ValuesOffset = math.MaxUint32 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newHeapRing(t, 4096)
			r := addSource(t, p, "s")
			publishRows(t, r, 0, 1, 0)
			publishRows(t, r, 1, 5, 0)
			image := slices.Clone(p.mem) // the ring itself stays whole for Check
			ring, err := newRing(image)
			if err != nil {
				t.Fatal(err)
			}
			var w words
			var h Header
			ring.data.load(128, &w)
			h.decode(&w)
			change(&h)
			w = h.encode()
			ring.data.store(128, &w)
			c := NewCursor(ring, Position{}, StartOldest, AnySource)
			buf := make([]byte, ring.geometry.LargestFrame)
			if _, _, _, s := c.Next(buf); s != Ready {
				t.Fatalf("first frame: %v %v", s, c.Err())
			}
			_, _, _, s := c.Next(buf)
			if name == "intact" {
				if s != Ready {
					t.Errorf("%v: %v", s, c.Err())
				}
				return
			}
			if s != Corrupt || !errors.Is(c.Err(), ErrCorrupt) {
				t.Errorf("status %v, error %v", s, c.Err())
			}
			if _, _, _, again := c.Next(buf); again != Corrupt {
				t.Errorf("read on after corruption: %v", again)
			}
		})
	}
}

func TestFutureKindsAreCountedNotInterpreted(t *testing.T) {
	p := newHeapRing(t, 4096)
	r := addSource(t, p, "s")
	if _, err := r.Claim(t.Context(), 64, 64); err != nil {
		t.Fatal(err)
	}
	r.Commit(Content{Kind: 77, Rows: 9, Bytes: 64, KeysOffset: math.MaxUint32 - HeaderBytes})
	publishRows(t, r, 0, 3, 0)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	h, _, _, s := c.Next(make([]byte, 4096))
	if s != Ready || h.Kind != 77 {
		t.Fatalf("%v %+v %v", s, h, c.Err())
	}
	if h, _, lost, s := c.Next(make([]byte, 4096)); s != Ready || h.RowsBefore != 9 || lost != (Loss{}) {
		t.Fatalf("%v %+v %+v", s, h, lost)
	}
}

// FuzzCursor: whatever the memory behind a valid header holds, a cursor ends
// within bounded work and touches nothing outside.
func FuzzCursor(f *testing.F) {
	image := ringImage(f)
	f.Add(uint32(headerSize+offHead), uint64(3), uint64(0), uint8(0))
	f.Add(uint32(headerSize+offHW), uint64(math.MaxUint64), uint64(64), uint8(1))
	f.Add(uint32(len(image)-4096), uint64(math.MaxUint64), uint64(0), uint8(2))
	f.Add(uint32(headerSize+controlSize+offSrcKeySize), uint64(math.MaxUint64), uint64(0), uint8(0))
	f.Fuzz(func(t *testing.T, at uint32, value, pos uint64, start uint8) {
		m := slices.Clone(image)
		at = uint32(headerSize) + at%uint32(len(m)-headerSize)&^7
		m.word(uint64(at)).Store(value)
		ring, err := newRing(m)
		if err != nil {
			t.Skip()
		}
		for i := range ring.Sources() {
			if _, err := ring.Source(i); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
		}
		c := NewCursor(ring, Position{Offset: pos &^ 63}, Start(start%3), uint16(start>>4))
		buf := make([]byte, ring.geometry.LargestFrame)
		for range 200 {
			h, payload, _, s := c.Next(buf)
			if s != Ready {
				return
			}
			if len(payload)+HeaderBytes != int(h.Length) {
				t.Fatalf("payload of %d bytes in a frame of %d", len(payload), h.Length)
			}
		}
	})
}

func TestLinger(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	if c.Linger(1000) {
		t.Error("something is new in an empty ring")
	}
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	if !c.Linger(1) {
		t.Error("nothing is new behind a frame")
	}
	readAll(t, c, make([]byte, p.Geometry().LargestFrame))
	if c.Linger(1) {
		t.Error("something is new behind the last frame")
	}
}

// The frame that was left is read once more, by whoever is to do that, and the cursor
// knows nothing of it.
func TestAgain(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	for i := range uint64(3) {
		publishRows(t, r, i, 1, FlagFirst|FlagLast)
		h, _, _, _ := c.Peek()
		c.Advance()
		before := *c
		for range 2 {
			again := c.Again()
			got, payload, lost, s := again.Peek()
			if s != Ready || got != h || lost != (Loss{}) || !again.Valid() {
				t.Errorf("frame %d: %v %+v %+v", i, s, got, lost)
			}
			verifyRows(t, got, payload)
			again.Advance()
		}
		if !reflect.DeepEqual(before, *c) {
			t.Errorf("%+v, before %+v", *c, before)
		}
	}
}

func TestAgainOfWhatIsGone(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := addSource(t, p, "s")
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	again := c.Again()
	if _, _, _, s := again.Peek(); s != Empty {
		t.Errorf("an empty ring is %v", s)
	}
	publishRows(t, r, 0, 1, FlagFirst|FlagLast)
	readAll(t, c, make([]byte, p.Geometry().LargestFrame))
	for p.Totals().Head < 4*p.Geometry().DataBytes {
		publishRows(t, r, 0, 8, FlagFirst|FlagLast)
	}
	before := *c
	again = c.Again()
	h, payload, lost, s := again.Peek()
	if s != Ready || lost.Laps != 1 || h.Seq < 2 {
		t.Errorf("%v %+v after %+v", s, h, lost)
	}
	verifyRows(t, h, payload)
	if !reflect.DeepEqual(before, *c) {
		t.Errorf("%+v, before %+v", *c, before)
	}
}
