// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Number is what a column can be read as.
type Number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Column reads one number of every row, wherever it lies: in a packed struct, in
// a bitfield, out of alignment. Where a Go struct can say the same, [Rows] is
// faster.
type Column[T Number] struct{ view }

// ColumnOf finds a number by its C path: "key", "value.bytes",
// "value.ports[1].hits". Members of anonymous structs are named as if they were
// their parent's. The value of a map that is per CPU is an array by CPU:
// "value[0].bytes". T must hold every number that C's type can.
func ColumnOf[T Number](s *Subscription, source, path string) (*Column[T], error) {
	v, err := s.addView(source, func(src *Source) (fit, error) {
		c, key, err := src.locate(path)
		if err != nil {
			return fit{}, err
		}
		n, err := numberIn[T](src, c)
		n.key = key
		return fit{ok: err == nil, field: n}, err
	})
	if err != nil {
		return nil, err
	}
	return &Column[T]{v}, nil
}

// In is the column in one batch. It is empty if the batch is of another source
// or kind, or if the source has no such number any more. It is valid as long as
// the batch.
func (c *Column[T]) In(b *Batch) Values[T] {
	f := c.fit(b)
	if !f.ok {
		return Values[T]{}
	}
	data, stride := b.column(f.field.key)
	return Values[T]{data: data[min(f.field.offset, len(data)):], stride: stride, rows: b.Rows, at: f.field}
}

// column is where a batch's keys or values begin, and how far one is from the next.
func (b *Batch) column(key bool) (data []byte, stride int) {
	at, stride := b.valuesAt, int(b.valueStride)
	if key {
		at, stride = b.keysAt, int(b.keyStride)
	}
	return b.payload[min(int(at), len(b.payload)):], stride
}

// Values are the numbers of one column of one batch.
type Values[T Number] struct {
	data   []byte
	stride int
	rows   int
	at     numberAt
}

// Len is the number of rows.
func (v Values[T]) Len() int { return v.rows }

// At is row i's number, 0 <= i < Len().
func (v Values[T]) At(i int) T {
	if uint(i) >= uint(v.rows) {
		panic(outOfRange(i, uint32(v.rows)))
	}
	u := v.at.bits(v.data[i*v.stride:])
	switch v.at.kind {
	case signedBits:
		return T(int64(u))
	case float32Bits:
		return T(math.Float32frombits(uint32(u)))
	case float64Bits:
		return T(math.Float64frombits(u))
	}
	return T(u)
}

// numberAt is a number's place in a key or value, and how to read it.
type numberAt struct {
	key    bool
	offset int
	size   int  // bytes that hold it
	shift  uint // bits below it
	width  uint // bits of it; 0: all
	kind   bitKind
}

type bitKind uint8

const (
	unsignedBits bitKind = iota
	signedBits
	float32Bits
	float64Bits
)

// bits reads the number at the front of b, extended to 64 bits.
func (n *numberAt) bits(b []byte) uint64 {
	le := binary.LittleEndian
	if n.width > 0 {
		return n.bitfield(b)
	}
	signed := n.kind == signedBits
	switch n.size {
	case 1:
		if signed {
			return uint64(int8(b[0]))
		}
		return uint64(b[0])
	case 2:
		if signed {
			return uint64(int16(le.Uint16(b)))
		}
		return uint64(le.Uint16(b))
	case 4:
		if signed {
			return uint64(int32(le.Uint32(b)))
		}
		return uint64(le.Uint32(b))
	}
	return le.Uint64(b)
}

func (n *numberAt) bitfield(b []byte) uint64 {
	var u uint64
	for i := range n.size { // nine bytes at most, see packed bitfields
		if at := i*8 - int(n.shift); at >= 0 {
			u |= uint64(b[i]) << at
		} else {
			u |= uint64(b[i]) >> -at
		}
	}
	u <<= 64 - n.width
	if n.kind == signedBits {
		return uint64(int64(u) >> (64 - n.width))
	}
	return u >> (64 - n.width)
}

// ByteColumn reads one field of every row as bytes: text, addresses, whatever is
// no number.
type ByteColumn struct {
	view
}

// BytesOf finds a field of any type by its C path, as [ColumnOf] does.
func BytesOf(s *Subscription, source, path string) (*ByteColumn, error) {
	v, err := s.addView(source, func(src *Source) (fit, error) {
		c, key, err := src.locate(path)
		if err == nil && c.bitSize > 0 {
			err = src.pathError(path, c, fmt.Sprintf("it is a bitfield of %d bits", c.bitSize), "use ColumnOf")
		}
		return fit{ok: err == nil, field: numberAt{key: key, offset: c.offset, size: c.size()}}, err
	})
	if err != nil {
		return nil, err
	}
	return &ByteColumn{v}, nil
}

// In is the column in one batch, as [Column.In] is.
func (c *ByteColumn) In(b *Batch) ByteValues {
	f := c.fit(b)
	if !f.ok {
		return ByteValues{}
	}
	data, stride := b.column(f.field.key)
	return ByteValues{data: data[min(f.field.offset, len(data)):], stride: stride, rows: b.Rows, size: f.field.size}
}

// ByteValues are the fields of one column of one batch.
type ByteValues struct {
	data               []byte
	stride, rows, size int
}

// Len is the number of rows.
func (v ByteValues) Len() int { return v.rows }

// At is row i's field, 0 <= i < Len(). The bytes must not be written.
func (v ByteValues) At(i int) []byte {
	if uint(i) >= uint(v.rows) {
		panic(outOfRange(i, uint32(v.rows)))
	}
	return v.data[i*v.stride:][:v.size:v.size]
}
