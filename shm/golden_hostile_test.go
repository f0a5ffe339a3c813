// SPDX-License-Identifier: Apache-2.0

package shm

import "strings"

// hostileGoldens are rings that no publisher of ours writes.
func hostileGoldens() []golden {
	list := []golden{
		{"hostile-length-across-end", "a frame across the end of the data", func(f *forge) []byte {
			r := f.flows()
			fill(f, r, 4096-128)
			f.put(r, Content{Kind: KindRows}, nil)
			f.put(r, Content{Kind: KindRows}, nil)
			image := f.image()
			put32(image, forgedData+4032, 128)
			for _, word := range []int{atHW, atHead} {
				put64(image, word, 4096+64)
			}
			put64(image, atTail, 4032)
			return image
		}, end{Error: "corrupt"}},
		{"hostile-pad-length-zero", "a pad without a length", func(f *forge) []byte {
			image := padded(f)
			put32(image, forgedData+128, 0)
			return image
		}, end{Frames: 1, Rows: 4, Error: "corrupt"}},
		{"hostile-pad-beyond-head", "a pad longer than what there is", func(f *forge) []byte {
			image := padded(f)
			put32(image, forgedData+128, 512)
			return image
		}, end{Frames: 1, Rows: 4, Error: "corrupt"}},
		{"hostile-mark-with-rows", "a MARK that counts rows", func(f *forge) []byte {
			f.put(f.flows(), Content{Kind: KindMark, Rows: 1}, pattern(64))
			return f.fixed()
		}, end{Error: "corrupt"}},
		{"hostile-rows-of-nothing", "4 Gi rows of no bytes", func(f *forge) []byte {
			f.put(f.log(), Content{Kind: KindRows, Rows: 1<<32 - 1}, nil)
			return f.fixed()
		}, end{Error: "corrupt"}},
		{"hostile-deletes-outside", "keys that are gone, behind their frame", func(f *forge) []byte {
			f.put(f.flows(), Content{Kind: KindDeletes, Rows: 17, KeyStride: 4}, pattern(64))
			return f.fixed()
		}, end{Error: "corrupt"}},
	}
	list = append(list, hostileHeaders()...)
	return append(list,
		word("hostile-head-unaligned", "head in the middle of a frame", atHead, 128+40, end{Frames: 1, Rows: 4, Error: "corrupt"}),
		word("hostile-head-ahead", "head a whole ring beyond hw", atHead, 1<<16, end{Error: "corrupt"}),
		word("hostile-head-huge", "head 2^64 − 64", atHead, 1<<64-64, end{Error: "corrupt"}),
	)
}

// hostileHeaders are frames whose header is wrong.
func hostileHeaders() (list []golden) {
	for _, h := range []struct {
		name, about string
		at          int // in the second of three frames
		value       uint32
	}{
		{"length-zero", "length 0", 0, 0},
		{"length-short", "length 32", 0, 32},
		{"length-unaligned", "a length that is no multiple of 64", 0, 136},
		{"length-over-largest", "longer than the largest frame", 0, 576},
		{"length-4g", "4 GiB − 64", 0, 0xffffffc0},
		{"length-beyond-head", "longer than what there is", 0, 320},
		{"seq-ahead", "a frame is missing, without a lap", 32, 2},
		{"seq-behind", "a frame comes twice", 32, 0},
		{"rows-before-ahead", "rows are missing, without a lap", 40, 5},
		{"rows-before-behind", "rows come twice", 40, 3},
		{"keys-in-header", "keys_off below 64", 16, 60},
		{"keys-outside", "the last key ends behind the frame", 16, 116},
		{"keys-4g", "keys_off near 4 GiB", 16, 0xfffffffc},
		{"stride-zero", "stride 0", 20, 0},
		{"stride-short", "keys that overlap", 20, 3},
		{"stride-4g", "a stride of 4 GiB − 1", 20, 0xffffffff},
		{"values-in-header", "values_off 0", 24, 0},
		{"values-outside", "the last value ends behind the frame", 24, 104},
		{"value-stride-short", "values that overlap", 28, 7},
		{"rows-4g", "4 Gi rows", 8, 0xffffffff},
		{"rows-too-many", "one row more than fits", 8, 7},
	} {
		list = append(list, bentFrame("hostile-"+h.name, h.about, func(frame []byte) { put32(frame, h.at, h.value) }))
	}
	return append(list,
		bentFrame("hostile-source-unknown", "a source that the catalog does not count", func(frame []byte) { put16(frame, 6, 1) }),
		bentFrame("hostile-source-of-unknown-kind", "so in a frame of an unknown kind", func(frame []byte) { frame[4] = 77; put16(frame, 6, 0xffff) }),
		bentFrame("hostile-rows-and-stride", "rows × stride wraps in 32 and in 64 bits signed", func(frame []byte) {
			put32(frame, 8, 0xffffffff)
			put32(frame, 20, 0xffffffff)
			put32(frame, 28, 0xffffffff)
		}))
}

// bentFrame is a ring of three frames, the second of which is bent: the first is
// delivered, then the ring is corrupt.
func bentFrame(name, about string, bend func(frame []byte)) golden {
	return golden{name, about, func(f *forge) []byte {
		fill(f, f.flows(), 384)
		image := f.image()
		bend(image[forgedData+128:])
		return image
	}, end{Frames: 1, Rows: 4, Error: "corrupt"}}
}

// word is a ring of three frames with another word in its control page.
func word(name, about string, at int, value uint64, e end) golden {
	return golden{name, about, func(f *forge) []byte {
		fill(f, f.flows(), 384)
		image := f.image()
		put64(image, at, value)
		return image
	}, e}
}

// padded is a frame, a pad at 128, and a frame.
func padded(f *forge) []byte {
	a, b := f.flows(), f.flows()
	fill(f, a, 128)
	f.claim(a, 64)
	f.claim(b, 0)
	a.Abort()
	b.Commit(Content{Kind: KindRows, TimeNS: 1})
	return f.image()
}

// catalogGoldens lie about sources. They are found when a frame names the source.
func catalogGoldens() []golden {
	const second = forgedCatalog + 512 // record 1
	var list []golden
	for _, c := range []struct {
		name, about string
		bend        func(image []byte)
	}{
		{"number-wrong", "record 1 calls itself 7", func(b []byte) { put32(b, second, 7) }},
		{"schema-outside", "a schema longer than the heap", func(b []byte) { put32(b, second+36, 4097) }},
		{"schema-off-outside", "a schema that ends behind the heap", func(b []byte) { put32(b, second+36, 8); put64(b, second+40, 4089) }},
		{"schema-off-huge", "schema_off + schema_len wraps", func(b []byte) { put32(b, second+36, 64); put64(b, second+40, 1<<64-32) }},
		{"per-cpu-zero", "PER_CPU with no CPU", func(b []byte) { put32(b, second+28, 1) }},
		{"per-cpu-uneven", "8 bytes for 3 CPUs", func(b []byte) { put32(b, second+28, 1); put32(b, second+24, 3) }},
		{"value-size-4g", "values of 4 GiB − 1", func(b []byte) { put32(b, second+16, 0xffffffff) }},
		{"not-counted", "record 1 is not counted yet", func(b []byte) { put64(b, atCatalogLen, 1) }},
		{"no-room", "a catalog with room for one record", func(b []byte) { put32(b, 64, 1); resealed(b) }},
	} {
		list = append(list, golden{"catalog-" + c.name, c.about, func(f *forge) []byte {
			image := f.twoFrames()
			c.bend(image)
			return image
		}, end{Frames: 1, Rows: 2, Error: "corrupt"}})
	}
	return append(list,
		golden{"catalog-len-huge", "catalog_len 2^64 − 1: bounded by the room", func(f *forge) []byte {
			image := f.twoFrames()
			put64(image, atCatalogLen, 1<<64-1)
			return image
		}, end{Frames: 2, Rows: 5}},
		golden{"catalog-len-beyond", "more records counted than written, and a frame that names one", func(f *forge) []byte {
			image := f.twoFrames()
			put64(image, atCatalogLen, 1<<40)
			put16(image, forgedData+128+6, 5)
			return image
		}, end{Frames: 1, Rows: 2, Error: "corrupt"}})
}

// twoFrames is a frame of source 0 and, at 128, one of source 1.
func (f *forge) twoFrames() []byte {
	a, b := f.flows(), f.source(SourceInfo{Name: "conns", KeySize: 4, ValueSize: 8})
	f.rows(a, 1, 2, whole, 1)
	f.rows(b, 1, 3, whole, 1)
	return f.image()
}

// headerGoldens are refused, but for those of a later minor version.
func headerGoldens() []golden {
	list := []golden{
		{"header-minor-later", "a later minor version, with what it may bring", func(f *forge) []byte {
			later, flows := f.source(SourceInfo{Name: "later", Flags: 1 << 31}), f.flows()
			f.rows(flows, 1, 2, whole|0x40, 1)
			f.put(later, Content{Kind: 6, Rows: 3}, pattern(64))
			f.rows(flows, 3, 2, whole, 2)
			image := f.image()
			put16(image, 10, 0xffff)
			copy(image[2048:], pattern(64))      // reserved in the header
			copy(image[4096+1024:], pattern(64)) // and in the control page
			return resealed(image)
		}, end{Frames: 2, Rows: 4}},
		{"header-delivery-unknown", "delivery bits that nobody knows yet", func(f *forge) []byte {
			image := f.twoFrames()
			put32(image, 108, 0xffffffff)
			return resealed(image)
		}, end{Frames: 2, Rows: 5}},
		refused("checksum", "a checksum that does not agree", func(b []byte) []byte { b[176] ^= 1; return b }),
		refused("file-empty", "no bytes", func(b []byte) []byte { return nil }),
		refused("file-short", "8191 bytes", func(b []byte) []byte { return b[:8191] }),
		refused("file-cut", "a page is missing at the end", func(b []byte) []byte { return b[:len(b)-4096] }),
		refused("file-long", "a page too many", func(b []byte) []byte { return append(b, make([]byte, 4096)...) }),
		refused("text", "no ring at all", func(b []byte) []byte { return []byte(strings.Repeat("not a ring\n", 1000)) }),
	}
	return append(list, headerLies()...)
}

// headerLies have one wrong number, and the checksum that belongs to it.
func headerLies() (list []golden) {
	for _, h := range []struct {
		name, about string
		at, size    int
		value       uint64
	}{
		{"magic", "another magic number", 0, 8, 0x45444953474E4953},
		{"major-later", "major version 2", 8, 2, 2},
		{"major-zero", "major version 0", 8, 2, 0},
		{"total-larger", "total_bytes above the file's size", 16, 8, 24576},
		{"header-bytes", "a header of another size", 12, 4, 8192},
		{"control-off", "the control page elsewhere", 40, 8, 8192},
		{"control-bytes", "a control page of another size", 48, 8, 8192},
		{"record-bytes", "records of another size", 68, 4, 256},
		{"data-not-power", "data_bytes is no power of two", 96, 8, 4160},
		{"data-zero", "data_bytes 0", 96, 8, 0},
		{"data-huge", "data_bytes 2^63", 96, 8, 1 << 63},
		{"data-larger", "data_bytes beyond the file", 96, 8, 8192},
		{"largest-zero", "largest_frame 0", 104, 4, 0},
		{"largest-unaligned", "largest_frame is no multiple of 64", 104, 4, 500},
		{"largest-too-large", "largest_frame above an eighth of the data", 104, 4, 576},
		{"catalog-unaligned", "catalog_off is no multiple of 4096", 56, 8, 8256},
		{"catalog-in-control", "the catalog in the control page", 56, 8, 4096},
		{"catalog-beyond-heap", "the catalog behind the heap", 56, 8, 16384},
		{"catalog-too-many", "more records than room", 64, 4, 9},
		{"catalog-4g", "4 Gi records", 64, 4, 0xffffffff},
		{"heap-beyond-data", "the heap behind the data", 72, 8, 20480},
		{"heap-too-large", "a heap that reaches into the data", 80, 8, 4097},
		{"heap-huge", "a heap of 2^64 − 1", 80, 8, 1<<64 - 1},
		{"data-off-outside", "data behind the end", 88, 8, 24576},
		{"data-off-huge", "data_off 2^64 − 4096", 88, 8, 1<<64 - 4096},
		{"data-off-early", "data does not end the file", 88, 8, 12288},
	} {
		list = append(list, refused(h.name, h.about, func(b []byte) []byte {
			switch h.size {
			case 2:
				put16(b, h.at, uint16(h.value))
			case 4:
				put32(b, h.at, uint32(h.value))
			case 8:
				put64(b, h.at, h.value)
			}
			return resealed(b)
		}))
	}
	return list
}

func refused(name, about string, bend func([]byte) []byte) golden {
	return golden{"header-" + name, about, func(f *forge) []byte { return bend(f.twoFrames()) }, end{Error: "refused"}}
}
