// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Field is a number that every row of a source has; of a map that is per CPU,
// the sum over the CPUs.
type Field struct {
	Name      string // its path: "value.bytes"
	value     bool
	offset    int
	bitOffset int
	bits      int // 0: no bitfield
	typ       *schema.Type
	cpus      int
}

// numbersOf are the numbers among the columns of a source's table, by column.
func (s *Cells) numbersOf(src *ringside.Source) []*Field {
	list := make([]*Field, len(s.columns))
	for i, c := range s.columns {
		f := &Field{Name: c.name, value: c.value, offset: c.offset, typ: c.typ}
		if c.bits {
			only := c.typ.Fields[0]
			f.offset, f.bitOffset, f.bits, f.typ = c.offset+only.Offset, only.BitOffset, only.BitSize, only.Type
		}
		if f.is(src) {
			list[i] = f
		}
	}
	return list
}

// is tells whether f is a number that can be added and compared.
func (f *Field) is(src *ringside.Source) bool {
	if f.value {
		f.cpus = src.CPUs
	}
	return f.typ != nil && isNumber(f.typ) && f.typ.Size <= 8
}

// FieldOf finds a number by its path, as in ringside.ColumnOf, or by what stands
// behind "value." or "key." in it.
func FieldOf(src *ringside.Source, path string) (*Field, error) {
	var s schema.Schema
	if src.Schema != nil {
		s = *src.Schema
	}
	for _, side := range []struct {
		name string
		typ  *schema.Type
	}{{"value", s.Value}, {"key", s.Key}} {
		for _, rest := range []string{strings.TrimPrefix(path, side.name+"."), strings.TrimPrefix(path, side.name)} {
			f := &Field{Name: join(side.name, rest), value: side.name == "value", typ: side.typ}
			if f.descend(rest) && f.is(src) {
				return f, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: no number called %q; it has %s", Visible(src.Name), path, numberNames(src))
}

func join(side, rest string) string {
	if rest == "" || rest[0] == '[' {
		return side + rest
	}
	return side + "." + rest
}

func numberNames(src *ringside.Source) string {
	cells := CellsOf(src)
	var names []string
	for i, f := range cells.numbers {
		if f != nil {
			names = append(names, f.Name)
		} else if c := cells.columns[i]; c.typ != nil && c.typ.Kind == schema.Array && c.typ.Count > 0 && isNumber(c.typ.Elem) {
			names = append(names, fmt.Sprintf("%s[0] to [%d]", c.name, c.typ.Count-1))
		}
	}
	if len(names) == 0 {
		return "none (without types, rows are bytes)"
	}
	return strings.Join(names, ", ")
}

// descend follows a path: names with dots between them, and [i] behind arrays.
func (f *Field) descend(path string) bool {
	for path != "" && f.typ != nil && f.bits == 0 {
		if path[0] == '[' {
			text, rest, ok := strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(text)
			if !ok || err != nil || f.typ.Kind != schema.Array || i < 0 || i >= f.typ.Count {
				return false
			}
			f.offset, f.typ, path = f.offset+i*f.typ.Elem.Size, f.typ.Elem, strings.TrimPrefix(rest, ".")
			continue
		}
		name, end := path, len(path)
		if at := strings.IndexAny(path, ".["); at >= 0 {
			name, end = path[:at], at
		}
		if !f.member(f.typ, f.offset, name) {
			return false
		}
		path = strings.TrimPrefix(path[end:], ".")
	}
	return path == ""
}

// member goes to a member of t, which may be one of an anonymous member's.
func (f *Field) member(t *schema.Type, offset int, name string) bool {
	for i := range t.Fields {
		m := &t.Fields[i]
		if m.Name == "" && f.member(m.Type, offset+m.Offset, name) {
			return true
		}
		if m.Name == name {
			f.offset, f.bitOffset, f.bits, f.typ = offset+m.Offset, m.BitOffset, m.BitSize, m.Type
			return true
		}
	}
	return false
}

// Of is the number in a row: its 64 bits as they are, sums modulo 2^64. Order and
// Float say what they mean.
func (f *Field) Of(key, value []byte) uint64 {
	switch {
	case !f.value:
		return f.load(key)
	case f.cpus == 0:
		return f.load(value)
	}
	stride := len(value) / f.cpus
	var ints uint64
	var floats float64
	for i := range f.cpus {
		v := f.load(value[i*stride : (i+1)*stride])
		ints, floats = ints+v, floats+math.Float64frombits(v)
	}
	if f.typ.Kind == schema.Float {
		return math.Float64bits(floats)
	}
	return ints
}

// load reads one value, with its sign; a float as a double.
func (f *Field) load(data []byte) uint64 {
	size, width := f.typ.Size, f.typ.Size*8
	if f.bits > 0 {
		size, width = (f.bitOffset+f.bits+7)/8, f.bits
	}
	if f.offset+size > len(data) {
		return 0
	}
	var v uint64
	for i, b := range data[f.offset : f.offset+size] {
		if by := 8*i - f.bitOffset; by >= 0 {
			v |= uint64(b) << by
		} else {
			v |= uint64(b) >> -by
		}
	}
	v &= math.MaxUint64 >> (64 - width)
	switch {
	case f.typ.Kind == schema.Float && f.typ.Size == 4:
		return math.Float64bits(float64(math.Float32frombits(uint32(v))))
	case f.typ.Kind == schema.Int:
		return uint64(int64(v<<(64-width)) >> (64 - width))
	}
	return v
}

// Order maps what Of returns to numbers that sort alike.
func (f *Field) Order(v uint64) uint64 {
	const sign = 1 << 63
	switch {
	case f.typ.Kind == schema.Int, f.typ.Kind == schema.Float && v&sign == 0:
		return v ^ sign
	case f.typ.Kind == schema.Float:
		return ^v
	}
	return v
}

// Append appends what Of returned.
func (f *Field) Append(dst []byte, v uint64) []byte {
	switch f.typ.Kind {
	case schema.Int:
		return strconv.AppendInt(dst, int64(v), 10)
	case schema.Float:
		return strconv.AppendFloat(dst, math.Float64frombits(v), 'g', -1, 64)
	}
	return strconv.AppendUint(dst, v, 10)
}

// Change is how much a number has grown. An unsigned one is a counter: where it
// went down it began again, and where it was not (ok) it began at zero.
func (f *Field) Change(now, before uint64, ok bool) float64 {
	switch f.typ.Kind {
	case schema.Float:
		if !ok {
			before = 0
		}
		return math.Float64frombits(now) - math.Float64frombits(before)
	case schema.Int:
		if !ok {
			before = 0
		}
		return float64(int64(now - before))
	}
	if !ok || now < before {
		return float64(now)
	}
	return float64(now - before)
}
