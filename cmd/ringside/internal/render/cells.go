// SPDX-License-Identifier: Apache-2.0

package render

import (
	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Cells is how one row of a source looks: its cells as text, and the numbers
// among them.
type Cells struct {
	src     *ringside.Source
	columns []column
	numbers []*Field // by column; nil: no number
}

// CellsOf are the cells of a source.
func CellsOf(src *ringside.Source) *Cells {
	s := &Cells{src: src, columns: columnsOf(src)}
	s.numbers = s.numbersOf(src)
	return s
}

// Len is how many cells a row has.
func (s *Cells) Len() int { return len(s.columns) }

// Name is the head of a column.
func (s *Cells) Name(i int) string { return s.columns[i].name }

// Number is the number in column i, nil if it has none.
func (s *Cells) Number(i int) *Field { return s.numbers[i] }

// Value tells whether a column is the value's.
func (s *Cells) Value(i int) bool { return s.columns[i].value }

// Append appends cell i of a row. A number of a map that is per CPU is the sum.
func (s *Cells) Append(dst []byte, i int, key, value []byte) []byte {
	if f := s.numbers[i]; f != nil && f.cpus > 0 {
		return f.Append(dst, f.Of(key, value))
	}
	if s.columns[i].value {
		return s.columns[i].append(dst, value)
	}
	return s.columns[i].append(dst, key)
}

// AppendJSON appends key and value as tail -o jsonl has them.
func (s *Cells) AppendJSON(dst, key, value []byte) []byte {
	var types schema.Schema
	if s.src.Schema != nil {
		types = *s.src.Schema
	}
	dst = types.Key.Append(append(dst, `"key":`...), key)
	dst = append(dst, `,"value":`...)
	if s.src.CPUs > 0 {
		return schema.AppendPerCPU(dst, types.Value, value, s.src.CPUs)
	}
	return types.Value.Append(dst, value)
}
