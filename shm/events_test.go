// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

func eventSource(t testing.TB, p *Publisher) *Producer {
	t.Helper()
	r, err := p.AddSource(SourceInfo{Name: "log", MapType: 27, Flags: SourceEvents})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func add(e *EventPacker, event []byte) bool { return e.Add(event, len(event), 0, 1) == 1 }

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
		for n := round; add(&e, pattern[:n%97]); n++ {
			if left := e.Room(); left >= len(claim) {
				t.Fatalf("room for %d bytes in a claim of %d", left, len(claim))
			}
		}
		events := e.Events()
		content := e.Content()
		content.TimeNS = uint64(round) / 25 // 0: when they are published
		before := monotonic.Now()
		r.Commit(content)
		h, payload, _, s := c.Next(buf)
		if content.TimeNS == 0 && (h.TimeNS < before || h.TimeNS > monotonic.Now()) || content.TimeNS != 0 && h.TimeNS != content.TimeNS {
			t.Errorf("round %d: published at %d, after %d", round, h.TimeNS, before)
		}
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

// Events that come many at a time are spread as those that come one by one, and
// as many of them as there is room for.
func TestEventsAreAddedTogether(t *testing.T) {
	const stride = 120
	events := bytes.Repeat([]byte("0123456789abcdef"), 64)
	for length := range 100 {
		one, many := bytes.Repeat([]byte{0xff}, 4096), bytes.Repeat([]byte{0xff}, 4096)
		var a, b EventPacker
		a.Reset(one)
		b.Reset(many)
		count := 0
		for count < 8 && add(&a, events[count*stride:][:length]) {
			count++
		}
		if added := b.Add(events, length, stride, 3) + b.Add(events[3*stride:], length, stride, 5); added != count {
			t.Errorf("%d events of %d bytes added, %d one by one", added, length, count)
		}
		if a.Content() != b.Content() || !bytes.Equal(one, many) {
			t.Errorf("%d bytes are laid out in another way", length)
		}
	}
	var e EventPacker
	e.Reset(make([]byte, 100))
	if added := e.Add(events, 16, 24, 10); added != 4 || e.Events() != 4 {
		t.Errorf("%d events added to a claim with room for 4", added)
	}
}

// An empty frame of events is one, too, and events fill a claim to its last byte.
func TestEventsAtTheEdges(t *testing.T) {
	var e EventPacker
	e.Reset(make([]byte, 64))
	if c := e.Content(); c.Rows != 0 || c.Bytes != 0 || c.KeysOffset != 0 {
		t.Errorf("%+v", c)
	}
	if room := e.Room(); room != 56 || EventBytes(room) != 64 || !add(&e, make([]byte, room)) || add(&e, nil) {
		t.Errorf("room for %d bytes in 64", room)
	}
	if c := e.Content(); c.Bytes != 64 || c.KeysOffset != 56 {
		t.Errorf("%+v", c)
	}
}

// FuzzCheckEvents: whether events are even or not, what is said of all at once is
// what is said of each.
func FuzzCheckEvents(f *testing.F) {
	table := func(entries ...uint64) (b []byte) {
		for _, e := range entries {
			b = binary.LittleEndian.AppendUint64(b, e)
		}
		return b
	}
	f.Add(table())
	f.Add(table(64 | 8<<32))
	f.Add(table(64|8<<32, 72|8<<32, 80|8<<32, 88|8<<32, 96|8<<32))
	f.Add(table(64|8<<32, 72|8<<32, 80|8<<32, 88|8<<32, 104|8<<32))
	f.Add(table(64|8<<32, 64|8<<32))
	f.Add(table(72|8<<32, 64|8<<32))                                    // backwards
	f.Add(table(64|8<<32, 64|9<<32, 64|10<<32))                         // ever longer
	f.Add(table(64, 0xfffffff0, 0x1_ffffff9c))                          // far beyond the end
	f.Add(table(0xffffffc0|4<<32, 0x40|5<<32, 0xc0|5<<32, 0x140|5<<32)) // a carry into the length
	f.Add(table(64|8<<32, 72|8<<32, 80|0xffffffff<<32))
	f.Fuzz(func(t *testing.T, payload []byte) {
		rows := len(payload) / eventEntryBytes
		h := Header{Kind: KindEvents, Rows: uint32(rows), KeysOffset: HeaderBytes, KeyStride: eventEntryBytes}
		even, ok := CheckEvents(&h, payload)
		if even.Count != 0 && (!ok || int(even.Count) != rows) {
			t.Fatalf("%+v of %d, %v", even, rows, ok)
		}
		all := true
		for i := range rows {
			event, in := Event(&h, payload, i)
			all = all && in
			if even.Count == 0 {
				continue
			}
			at := int(even.First) + i*int(even.Stride)
			if got := payload[at:][:even.Length]; !in || len(got) != len(event) || len(got) > 0 && &got[0] != &event[0] {
				t.Fatalf("event %d of %+v", i, even)
			}
		}
		if ok != all {
			t.Fatalf("%v, one by one %v", ok, all)
		}
	})
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
