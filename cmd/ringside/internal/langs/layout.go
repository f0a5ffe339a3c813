// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"slices"
	"sort"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// Rows is what is known about a map's rows. A nil type is bytes.
type Rows struct {
	Name               string // of the map
	Key, Value         *schema.Type
	KeySize, ValueSize int // of one value
	CPUs               int // values a row; 0: the map is not per CPU
}

// side is the key or the value; bytes where nothing is known.
type side struct {
	name string // of its type, with the map's before it
	typ  *schema.Type
}

// sides leaves out the key of records that have none.
func (r *Rows) sides() []side {
	var all []side
	for _, s := range []struct {
		name string
		typ  *schema.Type
		size int
	}{{"key", r.Key, r.KeySize}, {"value", r.Value, r.ValueSize}} {
		if s.typ == nil {
			s.typ = &schema.Type{Kind: schema.Bytes, Size: s.size}
		}
		if s.typ.Size > 0 {
			all = append(all, side{snake(r.Name) + "_" + s.name, s.typ})
		}
	}
	return all
}

// part is one stretch of bytes of a struct. All of them, in order, are all of it.
type part struct {
	name         string
	offset, size int
	typ          *schema.Type   // nil: padding or bitfields
	bits         []schema.Field // offsets count from the start of the struct
}

func (p *part) padding() bool { return p.typ == nil && p.bits == nil }

// parts divides a struct. Anonymous structs are divided in their place; bitfields
// that lie side by side are one part. A field that lies on an earlier one is left
// out: C has no such struct, but a schema may claim one.
func parts(t *schema.Type) []part {
	var all []part
	for _, f := range fieldsOf(t, 0) {
		end := 0
		if len(all) > 0 {
			end = all[len(all)-1].offset + all[len(all)-1].size
		}
		if f.BitSize > 0 {
			all = addBits(all, f, end)
			continue
		}
		if f.Offset < end || f.Type.Size == 0 {
			continue
		}
		all = addPadding(all, end, f.Offset)
		all = append(all, part{name: f.Name, offset: f.Offset, size: f.Type.Size, typ: f.Type})
	}
	end := 0
	if len(all) > 0 {
		end = all[len(all)-1].offset + all[len(all)-1].size
	}
	return addPadding(all, end, t.Size)
}

// fieldsOf is every field by its place in the whole, anonymous structs opened.
func fieldsOf(t *schema.Type, base int) []schema.Field {
	var all []schema.Field
	for _, f := range t.Fields {
		f.Offset += base
		if f.Name == "" && f.Type.Kind == schema.Struct {
			all = append(all, fieldsOf(f.Type, f.Offset)...)
		} else {
			all = append(all, f)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return firstBit(all[i]) < firstBit(all[j]) })
	return all
}

func addPadding(all []part, from, to int) []part {
	if from < to {
		all = append(all, part{offset: from, size: to - from})
	}
	return all
}

func addBits(all []part, f schema.Field, end int) []part {
	to := f.Offset + (f.BitOffset+f.BitSize+7)/8
	if n := len(all) - 1; n >= 0 && all[n].bits != nil && f.Offset <= end {
		last := all[n].bits[len(all[n].bits)-1]
		if firstBit(f) >= firstBit(last)+last.BitSize {
			all[n].bits = append(all[n].bits, f)
			all[n].size = max(to, end) - all[n].offset
		}
		return all
	}
	if f.Offset < end {
		return all
	}
	all = addPadding(all, end, f.Offset)
	return append(all, part{offset: f.Offset, size: to - f.Offset, bits: []schema.Field{f}})
}

func firstBit(f schema.Field) int { return f.Offset*8 + f.BitOffset }

// scalar tells whether t is a number that the languages have.
func scalar(t *schema.Type) bool {
	switch t.Kind {
	case schema.Array, schema.Struct, schema.Union, schema.Bytes:
		return false
	}
	return t.Size <= 8
}

// signed tells whether a scalar other than a float has a sign.
func signed(t *schema.Type) bool {
	return t.Kind == schema.Int || (t.Kind == schema.Enum || t.Kind == schema.Char) && t.Signed
}

// bitType is the declared type of a bitfield, which has at most 64 bits.
func bitType(t *schema.Type) *schema.Type {
	if t.Size > wordSize {
		return &schema.Type{Kind: t.Kind, Size: wordSize}
	}
	return t
}

// inner is a number inside a part that is kept as bytes.
type inner struct {
	name string // of the number; with the part's before it, unless that has none
	at   int    // bytes from the start of the part
	bit  int    // of that byte; with bits: a bitfield
	bits int
	typ  *schema.Type
}

// inners lists the numbers of a part that is kept as bytes: bitfields, the
// members of a union, a number out of alignment.
func (p *part) inners() []inner {
	var all []inner
	for _, f := range p.bits {
		all = append(all, inner{name: f.Name, at: f.Offset - p.offset, bit: f.BitOffset, bits: f.BitSize, typ: bitType(f.Type)})
	}
	switch {
	case p.typ == nil:
	case scalar(p.typ):
		all = append(all, inner{name: p.name, typ: p.typ})
	case p.typ.Kind == schema.Union:
		for _, f := range fieldsOf(p.typ, 0) {
			if f.BitSize == 0 && scalar(f.Type) && f.Name != "" {
				all = append(all, inner{name: joined(p.name, f.Name), at: f.Offset, typ: f.Type})
			}
		}
	}
	return slices.DeleteFunc(all, func(i inner) bool { return !identifier(i.name) })
}
