// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"testing"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// newTestRing makes a real ring and verifies the whole of it when the test ends.
func newTestRing(t testing.TB, dataBytes uint64) *Publisher {
	t.Helper()
	return newTestRingOf(t, Config{Name: "test", DataBytes: dataBytes, Sources: 8, HeapBytes: 4096})
}

func newTestRingOf(t testing.TB, c Config) *Publisher {
	t.Helper()
	p, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// newHeapRing makes a ring in ordinary memory, where the race detector sees
// every access that publisher and reader make.
func newHeapRing(t testing.TB, dataBytes uint64) *Publisher {
	t.Helper()
	g, err := planConfig(Config{Name: "heap", DataBytes: dataBytes, Sources: 8, HeapBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	p := newPublisher(make(memory, g.TotalBytes), g) // large allocations are page-aligned
	t.Cleanup(func() {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func addSource(t testing.TB, p *Publisher, name string) *Producer {
	t.Helper()
	r, err := p.AddSource(SourceInfo{Name: name, KeySize: 8, ValueSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// proof is the value that belongs to a key: a row with another value is torn.
func proof(key uint64) uint64 { return key*0x9E3779B97F4A7C15 ^ 0xA5A5 }

// publishRows commits one frame of consecutive keys from first.
func publishRows(t testing.TB, r *Producer, first uint64, rows int, flags Flags) {
	t.Helper()
	b, err := r.Claim(t.Context(), rows*16, rows*16)
	if err != nil {
		t.Error(err)
		return
	}
	fillRows(b, first, rows)
	r.Commit(rowContent(rows, flags))
}

// fillRows stores atomic words, because overtaken readers load them meanwhile and
// the race detector is to report only what is not so by design.
func fillRows(b []byte, first uint64, rows int) {
	for i := range uint64(rows) {
		memory(b).word(i * 16).Store(first + i)
		memory(b).word(i*16 + 8).Store(proof(first + i))
	}
}

func rowContent(rows int, flags Flags) Content {
	return Content{Kind: KindRows, Flags: flags, Rows: uint32(rows), Bytes: rows * 16,
		KeyStride: 16, ValuesOffset: 8, ValueStride: 16, TimeNS: monotonic.Now()}
}

// verifyRows fails the test at the first torn row.
func verifyRows(t testing.TB, h Header, payload []byte) {
	t.Helper()
	for i := range int(h.Rows) {
		key := binary.LittleEndian.Uint64(payload[int(h.KeysOffset)-HeaderBytes+i*int(h.KeyStride):])
		value := binary.LittleEndian.Uint64(payload[int(h.ValuesOffset)-HeaderBytes+i*int(h.ValueStride):])
		if value != proof(key) {
			t.Fatalf("frame %d row %d: key %d has value %#x, want %#x", h.Seq, i, key, value, proof(key))
		}
	}
}

// account is what a reader got and lost; together it must be what was published.
type account struct{ frames, rows, lostFrames, lostRows uint64 }

func (a *account) add(h Header, lost Loss) {
	a.frames++
	a.rows += uint64(h.Rows)
	a.lostFrames += lost.Frames
	a.lostRows += lost.Rows
}

func (a *account) mustEqual(t testing.TB, total Totals) {
	t.Helper()
	if a.frames+a.lostFrames != total.Frames || a.rows+a.lostRows != total.Rows {
		t.Errorf("got %d+%d lost frames and %d+%d lost rows; published %d and %d",
			a.frames, a.lostFrames, a.rows, a.lostRows, total.Frames, total.Rows)
	}
}
