// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"strings"
)

// frameGoldens are rings that are as they should be, seen from their beginning.
func frameGoldens() []golden {
	return []golden{
		{"empty", "no source, no frame", func(f *forge) []byte { return f.image() }, end{}},
		{"empty-ended", "a source, no frame, ENDED", func(f *forge) []byte { f.flows(); return f.ended(StateEnded) }, end{}},
		{"one-frame", "one scan of two rows", func(f *forge) []byte {
			f.rows(f.flows(), 0xa1, 2, whole, 1)
			return f.image()
		}, end{Frames: 1, Rows: 2}},
		{"two-sources", "scans of several frames, interleaved", twoSources, end{Frames: 7, Rows: 16}},
		{"name-utf8", "a name that is not ASCII, and one of 127 bytes", func(f *forge) []byte {
			for _, name := range []string{"flüße-π", strings.Repeat("n", 127)} {
				f.rows(f.source(SourceInfo{Name: name, KeySize: 4, ValueSize: 8}), 1, 1, whole, 1)
			}
			return f.image()
		}, end{Frames: 2, Rows: 2}},
		{"schema", "a schema in the heap", func(f *forge) []byte {
			f.rows(f.source(SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8, Schema: []byte(
				`{"version":1,"key":{"kind":"uint","name":"__u32","size":4},"value":{"kind":"uint","name":"__u64","size":8}}`)}), 5, 3, whole, 1)
			return f.image()
		}, end{Frames: 1, Rows: 3}},
		column("interleaved", "key, 4 bytes, value", 0, 16, 8, 16, 4),
		column("packed", "key and value without a gap: values are not aligned", 0, 12, 4, 12, 5),
		column("unaligned", "odd places, odd strides", 3, 13, 7, 13, 6),
		column("values-first", "values before their keys", 8, 12, 0, 12, 3),
		column("apart", "keys far apart, values tight", 32, 64, 0, 8, 4),
		column("shared", "the key is the first half of the value", 0, 8, 0, 8, 4),
		{"rows-none", "frames without rows, whose offsets mean nothing", func(f *forge) []byte {
			r := f.flows()
			f.put(r, Content{Kind: KindRows, Flags: FlagFirst | FlagKeyframe}, nil)
			f.put(r, Content{Kind: KindRows, Flags: FlagLast | FlagKeyframe, KeysOffset: 1 << 31, ValuesOffset: 1 << 31}, nil)
			f.put(r, Content{Kind: KindDeletes, KeysOffset: 1 << 31}, nil)
			return f.image()
		}, end{Frames: 3}},
		{"keys-empty", "a source without keys", func(f *forge) []byte {
			f.put(f.source(SourceInfo{Name: "queue", ValueSize: 8}), Content{Kind: KindRows, Flags: whole, Rows: 2, ValueStride: 8, Scan: 1}, pattern(16))
			return f.image()
		}, end{Frames: 1, Rows: 2}},
		{"per-cpu", "values of two CPUs", func(f *forge) []byte {
			r := f.source(SourceInfo{Name: "hits", MapType: 5, KeySize: 4, ValueSize: 16, MapValueSize: 4, CPUs: 2, Flags: SourcePerCPU})
			f.put(r, Content{Kind: KindRows, Flags: whole, Rows: 3, KeyStride: 4, ValuesOffset: 16, ValueStride: 16, Scan: 1}, pattern(64))
			return f.image()
		}, end{Frames: 1, Rows: 3}},
	}
}

// streamGoldens are several frames, of which not all are rows.
func streamGoldens() []golden {
	return []golden{
		{"deletes", "rows, then keys that are gone", func(f *forge) []byte {
			r := f.flows()
			f.rows(r, 1, 4, whole, 1)
			f.deletes(r, 2, 2, FlagFirst, 2)
			f.rows(r, 0, 0, FlagLast, 2)
			return f.image()
		}, end{Frames: 3, Rows: 6}},
		{"changes", "keyframes of one and two frames, changes, a scan that broke off", changes, end{Frames: 11, Rows: 17}},
		{"pads", "pads before, between and behind frames", pads, end{Frames: 2, Rows: 5}},
		{"largest", "a frame of the largest length", func(f *forge) []byte {
			r := f.flows()
			f.put(r, Content{Kind: KindRows, Flags: whole, Rows: 37, KeyStride: 12, ValuesOffset: 4, ValueStride: 12, Scan: 1}, pattern(448))
			f.rows(r, 1, 1, whole, 2)
			return f.image()
		}, end{Frames: 2, Rows: 38}},
		{"full", "exactly as many bytes as the ring has: nothing is overwritten yet", func(f *forge) []byte {
			fill(f, f.flows(), 4096)
			return f.ended(StateEnded)
		}, end{Frames: 32, Rows: 128}},
		{"in-flight", "a claim beyond head, not yet over anything", func(f *forge) []byte {
			a := f.flows()
			fill(f, a, 3072)
			f.claim(a, 448)
			return f.image()
		}, end{Frames: 24, Rows: 96}},
		{"kinds-unknown", "kinds 0 and 77 between frames that are known: counted, not read", func(f *forge) []byte {
			r := f.flows()
			f.rows(r, 1, 1, whole, 1)
			f.put(r, Content{Kind: 77, Rows: 9, KeysOffset: 1<<32 - 1 - HeaderBytes, KeyStride: 1}, pattern(64))
			f.rows(r, 2, 1, whole, 2)
			f.put(r, Content{Kind: 0, Rows: 1 << 31}, nil)
			f.rows(r, 3, 1, whole, 3)
			return f.image()
		}, end{Frames: 3, Rows: 3}},
		{"mark", "a MARK, which no client shows yet", func(f *forge) []byte {
			r := f.flows()
			f.put(r, Content{Kind: KindMark}, pattern(8))
			f.rows(r, 2, 1, whole, 2)
			return f.image()
		}, end{Frames: 1, Rows: 1}},
		{"flags-unknown", "flags of frames and sources that nobody knows yet", func(f *forge) []byte {
			r := f.source(SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8, Flags: 0xffffff00})
			f.rows(r, 1, 1, 0xf8|whole, 1)
			return f.image()
		}, end{Frames: 1, Rows: 1}},
		{"superseded", "state SUPERSEDED", func(f *forge) []byte {
			f.rows(f.flows(), 1, 1, whole, 1)
			return f.ended(StateSuperseded)
		}, end{Frames: 1, Rows: 1}},
		{"state-unknown", "a state that nobody knows yet: nothing follows", func(f *forge) []byte {
			f.rows(f.flows(), 1, 1, whole, 1)
			return f.ended(9)
		}, end{Frames: 1, Rows: 1}},
	}
}

// column is a frame of n rows in one arrangement.
func column(name, about string, keys, keyStride, values, valueStride uint32, n uint32) golden {
	last := max(keys+(n-1)*keyStride+4, values+(n-1)*valueStride+8)
	return golden{"columns-" + name, about, func(f *forge) []byte {
		f.put(f.flows(), Content{Kind: KindRows, Flags: whole, Rows: n, Scan: 1,
			KeysOffset: keys, KeyStride: keyStride, ValuesOffset: values, ValueStride: valueStride}, pattern(int(last)))
		return f.image()
	}, end{Frames: 1, Rows: uint64(n)}}
}

// pattern is n bytes of which each two neighbours differ.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>5 + 1)
	}
	return b
}

// fill publishes frames of 4 rows, 128 bytes each, up to position end.
func fill(f *forge, r *Producer, end uint64) {
	for f.p.head < end {
		f.rows(r, uint32(f.p.rows), 4, whole, f.p.seq+1)
	}
}

// claim leaves a claim open, its bytes overwritten.
func (f *forge) claim(r *Producer, bytes int) {
	f.t.Helper()
	b, err := r.Claim(f.t.Context(), bytes, bytes)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xee
	}
}

func twoSources(f *forge) []byte {
	a := f.flows()
	b := f.source(SourceInfo{Name: "conns", MapID: 8, MapType: 2, KeySize: 4, ValueSize: 8, MapValueSize: 8, MaxEntries: 64, Flags: SourceLockedScan})
	f.rows(a, 10, 3, FlagFirst|FlagKeyframe, 1)
	f.rows(b, 100, 1, FlagFirst|FlagKeyframe, 1)
	f.rows(a, 13, 3, FlagKeyframe, 1)
	f.rows(b, 101, 2, FlagLast|FlagKeyframe, 1)
	f.rows(a, 16, 1, FlagLast|FlagKeyframe, 1)
	f.rows(b, 100, 3, whole, 2)
	f.rows(a, 10, 3, FlagFirst|FlagKeyframe, 2)
	return f.ended(StateEnded)
}

func changes(f *forge) []byte {
	r := f.source(SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8, Flags: SourceChanges})
	f.rows(r, 1, 4, whole, 1)
	f.rows(r, 2, 1, FlagFirst, 2)
	f.deletes(r, 4, 1, 0, 2)
	f.rows(r, 0, 0, FlagLast, 2)
	f.rows(r, 9, 2, FlagFirst, 4) // scan 3 found nothing changed
	f.rows(r, 1, 2, FlagFirst|FlagKeyframe, 5)
	f.rows(r, 3, 1, FlagLast|FlagKeyframe, 5)
	f.deletes(r, 1, 2, FlagFirst, 6)
	f.rows(r, 7, 1, FlagLast, 6)
	f.rows(r, 7, 2, FlagFirst|FlagKeyframe, 7)
	f.rows(r, 9, 1, FlagLast|FlagKeyframe, 7)
	return f.ended(StateEnded)
}

func pads(f *forge) []byte {
	a, b, c := f.flows(), f.flows(), f.flows()
	f.claim(a, 200)
	f.claim(b, 36)
	f.claim(c, 1)
	a.Abort()
	b.Commit(Content{Kind: KindRows, Flags: whole, Rows: 3, Bytes: 36, KeyStride: 4, ValuesOffset: 12, ValueStride: 8, Scan: 1, TimeNS: 1})
	c.Abort()
	f.claim(a, 300)
	f.claim(b, 64)
	copy(f.p.data[f.p.fifo[f.p.front%maxClaims].start+HeaderBytes:], pattern(24)) // what a keeps of its claim
	a.Commit(Content{Kind: KindRows, Flags: whole, Rows: 2, Bytes: 24, KeyStride: 4, ValuesOffset: 8, ValueStride: 8, Scan: 1, TimeNS: 2})
	b.Abort()
	return f.image()
}

// eventGoldens are frames of events, good ones first.
func eventGoldens() []golden {
	good := []golden{
		{"events", "events of 0 to 200 bytes in two frames", func(f *forge) []byte {
			r := f.log()
			for _, lengths := range [][]int{{8, 0, 1, 13, 64}, {200, 7}} {
				b, err := r.Claim(f.t.Context(), r.Largest(), r.Largest())
				if err != nil {
					f.t.Fatal(err)
				}
				var e EventPacker
				e.Reset(b)
				for _, n := range lengths {
					add(&e, pattern(n))
				}
				c := e.Content()
				c.TimeNS = 5_000_000_000
				r.Commit(c)
			}
			return f.image()
		}, end{Frames: 2, Rows: 7}},
		{"events-none", "a frame without events", func(f *forge) []byte {
			f.put(f.log(), Content{Kind: KindEvents, KeyStride: 8}, nil)
			return f.image()
		}, end{Frames: 1}},
	}
	for _, e := range []struct {
		name, about string
		places      []uint32 // offset, length, ...
		ok          bool
	}{
		{"shared", "two events of the same bytes, and one that is all of the payload", []uint32{88, 8, 88, 8, 64, 64}, true},
		{"empty-at-the-end", "an event of no bytes at the very end", []uint32{128, 0}, true},
		{"unaligned", "an event at an odd place: no reader relies on it", []uint32{97, 3}, true},
		{"offset-in-header", "an event in the header", []uint32{88, 8, 56, 8}, false},
		{"offset-outside", "an event behind its frame", []uint32{136, 0}, false},
		{"length-outside", "an event that ends behind its frame", []uint32{88, 8, 120, 9}, false},
		{"length-4g", "offset + length wrap in 32 bits", []uint32{128, 0xffffffc0}, false},
		{"offset-4g", "an offset of 4 GiB − 1", []uint32{0xffffffff, 1}, false},
	} {
		good = append(good, listed("events-"+e.name, e.about, e.places, nil, e.ok))
	}
	place := []uint32{96, 8}
	return append(good,
		listed("events-table-unaligned", "a table at an odd place: no reader relies on it", place, func(c *Content) { c.KeysOffset = 1 }, true),
		listed("events-table-in-header", "a table in the header", place, func(c *Content) { c.KeysOffset = 1<<32 - 8 }, false),
		listed("events-table-outside", "a table that ends behind its frame", place, func(c *Content) { c.KeysOffset = 60 }, false),
		listed("events-rows-4g", "a table of 4 Gi entries", place, func(c *Content) { c.Rows = 1<<32 - 1 }, false),
		listed("events-stride", "a table of 4-byte entries", place, func(c *Content) { c.KeyStride = 4 }, false))
}

// listed is a ring with one good frame of events, and one of 128 bytes whose
// table says places.
func listed(name, about string, places []uint32, bend func(*Content), ok bool) golden {
	e := end{Frames: 1, Rows: 1, Error: "corrupt"}
	if ok {
		e = end{Frames: 2, Rows: 1 + uint64(len(places))/2}
	}
	return golden{name, about, func(f *forge) []byte {
		r := f.log()
		f.put(r, Content{Kind: KindEvents, Rows: 1, KeyStride: 8, KeysOffset: 8}, append(pattern(8), 64, 0, 0, 0, 8, 0, 0, 0))
		c := Content{Kind: KindEvents, Rows: uint32(len(places) / 2), KeyStride: 8}
		if bend != nil {
			bend(&c)
		}
		b := pattern(64)
		for i, v := range places {
			if at := int(c.KeysOffset)%64 + i*4; at+4 <= len(b) {
				binary.LittleEndian.PutUint32(b[at:], v)
			}
		}
		f.put(r, c, b)
		return f.fixed()
	}, e}
}

// log is a ringbuf.
func (f *forge) log() *Producer {
	return f.source(SourceInfo{Name: "log", MapID: 9, MapType: 27, Flags: SourceEvents})
}
