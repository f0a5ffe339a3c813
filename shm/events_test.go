// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"testing"
)

func eventSource(t testing.TB, p *Publisher) *Producer {
	t.Helper()
	r, err := p.AddSource(SourceInfo{Name: "log", MapType: 27, Flags: SourceEvents})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Events of every length come out as they went in, until the frame is full.
func TestEventsArePackedAndFound(t *testing.T) {
	p := newTestRing(t, 16<<10)
	r := eventSource(t, p)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	buf := make([]byte, p.Geometry().LargestFrame)
	pattern := bytes.Repeat([]byte("ringside"), 300)
	var e EventPacker
	for round := range 50 {
		claim, err := r.Claim(t.Context(), r.Largest(), r.Largest())
		if err != nil {
			t.Fatal(err)
		}
		e.Reset(claim)
		for n := round; e.Add(pattern[:n%97]); n++ {
			if left := e.Room(); left >= len(claim) {
				t.Fatalf("room for %d bytes in a claim of %d", left, len(claim))
			}
		}
		events := e.Events()
		r.Commit(e.Content(7))
		h, payload, _, s := c.Next(buf)
		if s != Ready || int(h.Rows) != events || events == 0 || h.ValuesOffset != 0 || h.Flags != 0 {
			t.Fatalf("%v (%v) %+v", s, c.Err(), h)
		}
		for i := range events {
			got, ok := Event(&h, payload, i)
			if want := pattern[:(round+i)%97]; !ok || !bytes.Equal(got, want) || cap(got) != len(got) {
				t.Fatalf("round %d, event %d: %q, want %q", round, i, got, want)
			}
		}
	}
}

// An empty frame of events is one, too, and events fill a claim to its last byte.
func TestEventsAtTheEdges(t *testing.T) {
	var e EventPacker
	e.Reset(make([]byte, 64))
	if c := e.Content(0); c.Rows != 0 || c.Bytes != 0 || c.KeysOffset != 0 {
		t.Errorf("%+v", c)
	}
	if room := e.Room(); room != 56 || EventBytes(room) != 64 || !e.Add(make([]byte, room)) || e.Add(nil) {
		t.Errorf("room for %d bytes in 64", room)
	}
	if c := e.Content(0); c.Bytes != 64 || c.KeysOffset != 56 {
		t.Errorf("%+v", c)
	}
}

func TestEventsOutsideTheirFrameAreCorrupt(t *testing.T) {
	for name, entry := range map[string]uint64{
		"in the header":      8 | 8<<32,
		"beyond the end":     128 | 8<<32,
		"across the end":     120 | 16<<32,
		"length 4 G":         64 | 0xffffffff<<32,
		"offset 4 G":         0xffffffff | 1<<32,
		"both":               1<<64 - 1,
		"empty at the end":   128,
		"whole frame":        64 | 64<<32,
		"empty after header": 64,
	} {
		p := newHeapRing(t, 4096)
		r := eventSource(t, p)
		b, err := r.Claim(t.Context(), 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		memory(b).word(0).Store(entry)
		r.Commit(Content{Kind: KindEvents, Rows: 1, Bytes: 64, KeyStride: eventEntryBytes})
		c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
		_, _, _, s := c.Next(make([]byte, 4096))
		if good := name == "empty at the end" || name == "whole frame" || name == "empty after header"; good != (s == Ready) {
			t.Errorf("%s: %v %v", name, s, c.Err())
		} else if !good && !errors.Is(c.Err(), ErrCorrupt) {
			t.Errorf("%s: %v", name, c.Err())
		}
	}
}

func TestAskIsTakenBackOnce(t *testing.T) {
	p := newTestRing(t, 16<<10)
	c, page, _ := attach(t, p, StartHead)
	expect := func(source uint16, want bool) {
		t.Helper()
		if got, ok := c.TakeAsk(); got != source || ok != want {
			t.Errorf("source %d, %v; want %d, %v", got, ok, source, want)
		}
	}
	expect(0, false)
	for _, source := range []uint16{0, 7, AnySource - 1, AnySource} {
		page.Ask(source)
		expect(source, true)
		expect(0, false)
	}
	page.shared.ask.Store(askAll + 1)
	expect(0, false)
}
