// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"
	"unicode"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// maxColumns is how many columns a key or a value may take before it is shown
// as one JSON cell instead.
const maxColumns = 32

// column is one cell of every row: a scalar or an array, somewhere in the key
// or the value.
type column struct {
	name   string // by its path, as for ringside.ColumnOf: "value.bytes"
	value  bool   // of the value, not of the key
	offset int
	typ    *schema.Type
	bits   bool // typ is a struct around a single bitfield without a name
	number bool // aligned to the right
	cpus   int  // the cell is a list by CPU
}

// columnsOf flattens the rows of a source.
func columnsOf(src *ringside.Source) []column {
	var s schema.Schema
	if src.Schema != nil {
		s = *src.Schema
	}
	var columns []column
	if !src.Events {
		columns = flatten("key", s.Key)
	}
	for _, c := range flatten("value", s.Value) {
		c.value, c.cpus = true, src.CPUs
		c.number = c.number && src.CPUs == 0
		columns = append(columns, c)
	}
	return columns
}

// flatten makes columns of one side.
func flatten(name string, t *schema.Type) []column {
	if columns := appendColumns(nil, name, 0, t); len(columns) <= maxColumns {
		return columns
	}
	return []column{{name: name, typ: t}}
}

func appendColumns(to []column, name string, offset int, t *schema.Type) []column {
	if t == nil || t.Kind != schema.Struct && t.Kind != schema.Union || len(t.Fields) == 0 {
		return append(to, column{name: name, offset: offset, typ: t, number: isNumber(t)})
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		path := name
		if f.Name != "" {
			path += "." + Visible(f.Name)
		}
		switch {
		case len(to) > maxColumns: // it will be one cell
		case f.BitSize > 0:
			// A struct prints its bitfields; a bitfield alone cannot be printed.
			only := schema.Field{Offset: f.Offset, BitOffset: f.BitOffset, BitSize: f.BitSize, Type: f.Type}
			around := &schema.Type{Kind: schema.Struct, Size: t.Size, Fields: []schema.Field{only}}
			to = append(to, column{name: path, offset: offset, typ: around, bits: true, number: isNumber(f.Type)})
		default:
			to = appendColumns(to, path, offset+f.Offset, f.Type)
		}
	}
	return to
}

func isNumber(t *schema.Type) bool {
	if t == nil {
		return false
	}
	switch t.Kind {
	case schema.Int, schema.Uint, schema.Float, schema.Pointer:
		return true
	}
	return false
}

// append appends the cell of a row whose key or value is data.
func (c *column) append(dst, data []byte) []byte {
	if c.cpus == 0 {
		return c.cell(dst, data)
	}
	dst = append(dst, '[')
	stride := len(data) / c.cpus
	for i := range c.cpus {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.cell(dst, data[i*stride:(i+1)*stride])
	}
	return append(dst, ']')
}

// cell appends one value. JSON is a good cell once it has no quotes around it:
// what is in them is escaped, so that nothing in it can command a terminal.
func (c *column) cell(dst, data []byte) []byte {
	from := len(dst)
	dst = c.typ.Append(dst, data[min(c.offset, len(data)):])
	head, tail := 0, 0
	switch {
	case c.bits:
		head, tail = len(`{"":`), len(`}`)
	case len(dst) > from && dst[from] == '"':
		head, tail = 1, 1
	}
	copy(dst[from:], dst[from+head:len(dst)-tail])
	return dst[:len(dst)-head-tail]
}

// Visible replaces what could command a terminal in a name made by others.
func Visible(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, name)
}
