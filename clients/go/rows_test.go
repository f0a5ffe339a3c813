// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// words lays out 8-byte words.
func words(w ...uint64) []byte {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

func TestPerCPURows(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	// 12 bytes a value, in slots of 16, on 3 CPUs.
	info := shm.SourceInfo{
		Name: "calls", KeySize: 8, ValueSize: 48, MapValueSize: 12, CPUs: 3, Flags: shm.SourcePerCPU,
		Schema: (&schema.Schema{Key: u64, Value: structOf("struct calls", 12, field("n", 0, u32), field("errors", 4, u32), field("max", 8, u32))}).Encode(),
	}
	f := addFeed(t, s.ring, info)
	sub := s.attach(t, Options{Start: StartOldest})
	type calls struct{ N, Errors, Max uint32 }
	rows, err := PerCPURowsOf[uint64, calls](sub, "calls")
	if err != nil {
		t.Fatal(err)
	}
	_, err = RowsOf[uint64, calls](sub, "calls")
	if !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "PerCPURowsOf[uint64, calls]") {
		t.Error(err)
	}
	f.raw(t, 8, 48, words(7, 1|2<<32, 3, 11|12<<32, 13, 21|22<<32, 23), words(8, 0, 0, 0, 0, 5, 6))
	b := next(t, sub, KindRows)
	var got []calls
	for k, slots := range rows.In(b) {
		if slots.Len() != 3 || *k != 7 && *k != 8 {
			t.Errorf("key %d with %d CPUs", *k, slots.Len())
		}
		for cpu := range slots.Len() {
			got = append(got, *slots.On(cpu))
		}
	}
	want := []calls{{1, 2, 3}, {11, 12, 13}, {21, 22, 23}, {}, {}, {5, 0, 6}}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("slot %d: %+v, expected %+v", i, got[i], want[i])
		}
	}
	expectPanic(t, "no such CPU", func() {
		for _, slots := range rows.In(b) {
			slots.On(3)
		}
	})

	maxOf1, err := ColumnOf[uint32](sub, "calls", "value[1].max")
	if err != nil {
		t.Fatal(err)
	}
	if v := maxOf1.In(b); v.Len() != 2 || v.At(0) != 13 || v.At(1) != 0 {
		t.Errorf("%d %d %d", v.Len(), v.At(0), v.At(1))
	}
	for _, path := range []string{"value.max", "value[3].max"} {
		if _, err := ColumnOf[uint32](sub, "calls", path); err == nil || !strings.Contains(err.Error(), `"value[0]…" to "value[2]…"`) {
			t.Errorf("%s: %v", path, err)
		}
	}
	addFeed(t, s.ring, flowInfo("flows"))
	if _, err := PerCPURowsOf[flowKey, flow](sub, "flows"); err == nil || !strings.Contains(err.Error(), "use RowsOf[flowKey, flow]") {
		t.Error(err)
	}
}

func expectPanic(t *testing.T, text string, f func()) {
	t.Helper()
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, text) {
			t.Errorf("panic %q, expected %q", s, text)
		}
	}()
	f()
}

// Whatever the strides and offsets of the columns, the rows come out right.
func TestRowsOutOfAlignment(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, shm.SourceInfo{Name: "odd", KeySize: 4, ValueSize: 16})
	sub := s.attach(t, Options{Start: StartOldest})
	type value struct{ A, B uint64 }
	rows := mustRows[uint32, value](t, sub, "odd")
	for _, at := range []struct{ keys, keyStride, values, valueStride int }{
		{0, 4, 40, 16}, {0, 20, 4, 20}, {1, 21, 5, 21}, {0, 4, 41, 17}, {3, 5, 64, 16}, {160, 8, 0, 16},
	} {
		const n = 8
		b, err := f.producer.Claim(t.Context(), 512, 512)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		for i := range n {
			binary.LittleEndian.PutUint32(b[at.keys+i*at.keyStride:], uint32(i))
			copy(b[at.values+i*at.valueStride:], words(uint64(i)*3, uint64(i)*5))
		}
		f.producer.Commit(shm.Content{
			Kind: shm.KindRows, Rows: n, Bytes: 512,
			KeysOffset: uint32(at.keys), KeyStride: uint32(at.keyStride), ValuesOffset: uint32(at.values), ValueStride: uint32(at.valueStride),
		})
		i := 0
		for k, v := range rows.In(next(t, sub, KindRows)) {
			if int(*k) != i || *v != (value{uint64(i) * 3, uint64(i) * 5}) {
				t.Errorf("%+v: row %d is %d %+v", at, i, *k, *v)
			}
			i++
		}
		if i != n {
			t.Errorf("%+v: %d rows", at, i)
		}
	}
}

func TestBytesOfABatch(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, shm.SourceInfo{Name: "raw", KeySize: 3, ValueSize: 5})
	sub := s.attach(t, Options{Start: StartOldest})
	before := time.Now()
	f.raw(t, 3, 5, []byte("abcvalue"), []byte("defother"))
	b := next(t, sub, KindRows)
	if string(b.Key(1)) != "def" || string(b.Value(0)) != "value" || cap(b.Key(0)) != 3 {
		t.Errorf("%q %q", b.Key(1), b.Value(0))
	}
	expectPanic(t, "row 2 of a batch of 2", func() { b.Key(2) })
	expectPanic(t, "row -1 of a batch of 2", func() { b.Value(-1) })
	// Given by no producer, so it was when the frame was published. The offset of the
	// clocks may be a heartbeat old.
	if at := b.Time(); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("time %v, published after %v", at, before)
	}

	c, err := f.producer.Claim(t.Context(), 6, 6)
	if err != nil {
		t.Fatal(err)
	}
	copy(c, "abcdef")
	f.producer.Commit(shm.Content{Kind: shm.KindDeletes, Rows: 2, Bytes: 6, KeyStride: 3})
	f.raw(t, 3, 5, []byte("abcvalue"))
	b = next(t, sub, KindDeletes)
	if string(b.Key(1)) != "def" || b.Value(1) != nil {
		t.Errorf("%q %q", b.Key(1), b.Value(1))
	}
	rows := mustRows[[3]byte, [5]byte](t, sub, "raw")
	for range rows.In(b) {
		t.Error("a row of deletes")
	}
	for k, v := range rows.In(next(t, sub, KindRows)) {
		if string(k[:])+string(v[:]) != "abcvalue" {
			t.Errorf("%q %q", *k, *v)
		}
		break
	}
}

func TestFramesOfUnknownKindsArePassedOver(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	for _, kind := range []shm.Kind{shm.KindMark, 77} {
		if _, err := f.producer.Claim(t.Context(), 8, 8); err != nil {
			t.Fatal(err)
		}
		f.producer.Commit(shm.Content{Kind: kind, Bytes: 8})
	}
	f.must(t, 2, 1)
	if b := next(t, sub, KindRows); b.Seq != 2 {
		t.Errorf("%+v", b)
	}
	if valid, err := sub.View(deadline(t), func(b *Batch) {}); !valid || err != nil {
		t.Error(valid, err)
	}
}

// Reading allocates per loop, never per batch or row.
func TestReadingDoesNotAllocate(t *testing.T) {
	s := open(t, socketPath(t), 1<<20)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	typed := mustRows[flowKey, flow](t, sub, "flows")
	column, err := ColumnOf[uint64](sub, "flows", "value.bytes")
	if err != nil {
		t.Fatal(err)
	}
	var sum, rows uint64
	look := func(b *Batch) {
		for k, v := range typed.In(b) {
			sum += uint64(k.ID) + v.Bytes
			rows++
		}
		for v, i := column.In(b), 0; i < v.Len(); i++ {
			sum -= v.At(i)
		}
		if b.Rows > 0 {
			sum += uint64(b.Key(0)[0] + b.Value(0)[0])
		}
	}
	const frames = 64
	for name, read := range map[string]func(){
		"batches": func() {
			n := 0
			for b := range sub.Batches(context.Background()) {
				if look(b); b.Kind == KindRows {
					n++
				}
				if n == frames {
					break
				}
			}
		},
		"views": func() {
			for range frames {
				if _, err := sub.View(context.Background(), look); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		allocs := testing.AllocsPerRun(20, func() {
			f.must(t, frames, 50)
			read()
		})
		if allocs >= 4 && !raceEnabled { // a loop's own closures, not one a batch
			t.Errorf("%s: %v allocations for %d batches", name, allocs, frames)
		}
	}
	if rows != 2*21*frames*50 {
		t.Errorf("%d rows", rows)
	}
}
