// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// appendScalar appends the t.Size bytes of data.
func (t *Type) appendScalar(dst, data []byte) []byte {
	switch {
	case t.Kind == Float && t.Size == 4:
		return appendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))), 32)
	case t.Kind == Float:
		return appendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(data)), 64)
	case t.Size == 16:
		return appendInt128(dst, binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]), t.Kind == Int)
	}
	return t.appendInteger(dst, load(data), t.Size*8)
}

// load reads up to 8 bytes, lowest first.
func load(b []byte) uint64 {
	if len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// appendBits appends a bitfield; data starts at the field's byte.
func (f *Field) appendBits(dst, data []byte) []byte {
	size := (f.BitOffset + f.BitSize + 7) / 8 // up to 9 bytes
	if len(data) < size {
		return append(dst, "null"...)
	}
	v := load(data[:min(size, 8)]) >> f.BitOffset
	if size == 9 {
		v |= uint64(data[8]) << (64 - f.BitOffset)
	}
	return f.Type.appendInteger(dst, v&(math.MaxUint64>>(64-f.BitSize)), f.BitSize)
}

// appendInteger appends v, of which the low width bits count, as t means it.
func (t *Type) appendInteger(dst []byte, v uint64, width int) []byte {
	signed := int64(v<<(64-width)) >> (64 - width)
	switch t.Kind {
	case Bool:
		if v <= 1 {
			return strconv.AppendBool(dst, v == 1)
		}
	case Enum:
		mask := uint64(math.MaxUint64) >> (64 - width)
		for i := range t.Values {
			if uint64(t.Values[i].Value)&mask == v && inRange(t.Values[i].Value, width, t.Signed) {
				return appendString(dst, t.Values[i].Name)
			}
		}
	}
	if t.Kind == Int || t.Signed {
		return strconv.AppendInt(dst, signed, 10)
	}
	return strconv.AppendUint(dst, v, 10)
}

// inRange keeps a constant that a narrow bitfield cannot hold from matching
// by its low bits.
func inRange(c int64, width int, signed bool) bool {
	if width == 64 {
		return true
	}
	if signed {
		return c>>(width-1) == 0 || c>>(width-1) == -1
	}
	return uint64(c)>>width == 0
}

func appendInt128(dst []byte, lo, hi uint64, signed bool) []byte {
	if signed && int64(hi) < 0 {
		dst = append(dst, '-')
		var carry uint64
		lo, carry = bits.Add64(^lo, 1, 0)
		hi = ^hi + carry
	}
	if hi == 0 {
		return strconv.AppendUint(dst, lo, 10)
	}
	const chunk = 1e19 // the largest power of ten in 64 bits: three digits groups at most
	q1, r := hi/chunk, hi%chunk
	q0, low := bits.Div64(r, lo, chunk)
	if q1 == 0 && q0 < chunk {
		dst = strconv.AppendUint(dst, q0, 10)
	} else {
		top, mid := bits.Div64(q1, q0, chunk)
		dst = strconv.AppendUint(dst, top, 10)
		dst = appendPadded(dst, mid)
	}
	return appendPadded(dst, low)
}

// appendPadded appends 19 digits.
func appendPadded(dst []byte, v uint64) []byte {
	for p := uint64(1e18); p > 0; p /= 10 {
		dst = append(dst, '0'+byte(v/p%10))
	}
	return dst
}
