// SPDX-License-Identifier: Apache-2.0

package shm

// Header describes one frame: how long it is, what it holds, and how much was
// published before it.
//
//	 0      4   5   6      8        12       16       20       24       28     32
//	 ├length┼kin┼flg┼source┼─ rows ─┼src_seq ┼keys_off┼key_strd┼vals_off┼val_str┤
//	 ├──── seq ─────┼─ rows_before ─┼───── scan ──────┼─────── time_ns ─────────┤
//	32             40              48                56                        64
//
// Keys and values are strided columns: row i's key is the KeySize bytes at
// KeysOffset + i*KeyStride, counted from the start of the frame. That lets every
// engine leave rows exactly as the kernel wrote them.
type Header struct {
	Length       uint32 // bytes, header included; a multiple of 64
	Kind         Kind
	Flags        Flags
	Source       uint16 // catalog number
	Rows         uint32
	SourceSeq    uint32 // counts the frames of this source
	KeysOffset   uint32
	KeyStride    uint32
	ValuesOffset uint32
	ValueStride  uint32
	Seq          uint64 // counts the frames of the ring, pads not included
	RowsBefore   uint64 // rows in all frames before this one
	Scan         uint64 // counts the scans of this source
	TimeNS       uint64 // CLOCK_MONOTONIC: see Content
}

// words is a header as it lies in memory.
type words [8]uint64

const timeWord = 7 // TimeNS

func (h *Header) encode() words {
	return words{
		uint64(h.Length) | uint64(h.Kind)<<32 | uint64(h.Flags)<<40 | uint64(h.Source)<<48,
		uint64(h.Rows) | uint64(h.SourceSeq)<<32,
		uint64(h.KeysOffset) | uint64(h.KeyStride)<<32,
		uint64(h.ValuesOffset) | uint64(h.ValueStride)<<32,
		h.Seq, h.RowsBefore, h.Scan, h.TimeNS,
	}
}

func (h *Header) decode(w *words) {
	h.Length, h.Kind, h.Flags, h.Source = uint32(w[0]), Kind(w[0]>>32), Flags(w[0]>>40), uint16(w[0]>>48)
	h.Rows, h.SourceSeq = uint32(w[1]), uint32(w[1]>>32)
	h.KeysOffset, h.KeyStride = uint32(w[2]), uint32(w[2]>>32)
	h.ValuesOffset, h.ValueStride = uint32(w[3]), uint32(w[3]>>32)
	h.Seq, h.RowsBefore, h.Scan, h.TimeNS = w[4], w[5], w[6], w[7]
}

// sizes of one row of a source, as the catalog fixes them.
type rowSizes struct{ key, value uint32 }

// extentsOK reports whether every byte that the header describes lies in the
// frame's payload. All arithmetic is in 64 bits: no product of two 32-bit
// factors overflows.
func (h *Header) extentsOK(s rowSizes) bool {
	switch h.Kind {
	case KindRows:
		return columnOK(h.KeysOffset, h.KeyStride, h.Rows, s.key, h.Length) &&
			columnOK(h.ValuesOffset, h.ValueStride, h.Rows, s.value, h.Length)
	case KindDeletes:
		return columnOK(h.KeysOffset, h.KeyStride, h.Rows, s.key, h.Length)
	case KindEvents:
		// What the table says is bounded by whoever reads it: see Event.
		end := uint64(h.KeysOffset) + uint64(h.Rows)*eventEntryBytes
		return h.KeysOffset >= HeaderBytes && h.KeyStride == eventEntryBytes && end <= uint64(h.Length)
	case KindMark:
		return h.Rows == 0
	}
	return true // a later minor version's kind: skipped, never interpreted
}

func columnOK(offset, stride, rows, size, length uint32) bool {
	if rows == 0 {
		return true
	}
	end := uint64(offset) + uint64(rows-1)*uint64(stride) + uint64(size)
	// The rows of a source whose keys or values have no bytes are bounded, too.
	return offset >= HeaderBytes && stride >= size && end <= uint64(length) && rows <= length
}
