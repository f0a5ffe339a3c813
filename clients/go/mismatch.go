// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"reflect"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// This file says what is wrong with a layout, and what to do about it.

func (m *matcher) mismatch(g goField, c place, reason, remedy string) error {
	return &LayoutError{
		Source: m.source, Go: g.String(), GoOffset: g.offset,
		C: describe(c), COffset: c.offset, Reason: reason, Remedy: remedy,
	}
}

// describe names a place with its C type: "value.bytes (__u64)".
func describe(c place) string {
	name := c.typ.Name
	if name == "" {
		name = string(c.typ.Kind)
	}
	return fmt.Sprintf("%s (%s)", c.path, name)
}

// noPlace: at g's bytes C has no single thing of that size.
func (m *matcher) noPlace(g goField, c place) error {
	other, ok := c.namesake(g.name())
	if !ok {
		other, ok = c.at(g)
	}
	switch {
	case !c.isCompound():
		return m.kindsDiffer(g, c)
	case ok && other.offset != g.offset:
		return m.moved(g, c, other)
	case ok && other.bitSize > 0:
		return m.mismatch(g, other, "C has bitfields there, which end elsewhere",
			"cover all of them by one unsigned integer or array of bytes, and read each with "+m.column(other))
	case ok:
		return m.kindsDiffer(g, other)
	case g.end() > c.end():
		return m.mismatch(g, c, fmt.Sprintf("the Go field ends at byte %d, C ends at %d", g.end(), c.end()), m.remedyFor(c, c, "remove it"))
	}
	return m.mismatch(g, c, "C has only padding there", "name the Go field _")
}

// moved: what g means to be lies elsewhere in C.
func (m *matcher) moved(g goField, parent, c place) error {
	remedy := fmt.Sprintf("%d bytes too many come before it in Go", g.offset-c.offset)
	if c.offset > g.offset {
		remedy = fmt.Sprintf("put a field `_ [%d]byte` before it", c.offset-g.offset)
	}
	return m.mismatch(g, c, "they begin at different places", m.remedyFor(parent, c, remedy))
}

// remedyFor is the remedy, unless the struct around it is one that Go cannot express.
func (m *matcher) remedyFor(parent, c place, otherwise string) string {
	if parent.packed() {
		return "the C struct is packed, which no Go struct can be: read it with " + m.column(c)
	}
	return otherwise
}

// swapped: g lies on another field than the one it is called after.
func (m *matcher) swapped(g goField, c place) error {
	return m.mismatch(g, c, "the C field of this name lies elsewhere", "follow C's order of fields, or choose another name")
}

func (m *matcher) kindsDiffer(g goField, c place) error {
	want := goName(c.typ)
	var reason string
	switch {
	case c.typ.Size != g.size():
		reason = fmt.Sprintf("Go has %d bytes, C has %d", g.size(), c.typ.Size)
	case c.typ.Kind == schema.Uint && !isUnsigned(g.typ.Kind()) && isInteger(g.typ.Kind()):
		reason = "C is unsigned"
	case c.typ.Kind == schema.Int && isUnsigned(g.typ.Kind()), c.typ.Kind == schema.Enum && isUnsigned(g.typ.Kind()):
		reason = "C is signed"
	default:
		reason = fmt.Sprintf("C has kind %s", c.typ.Kind)
	}
	return m.mismatch(g, c, reason, m.remedyFor(c, c, "use "+want))
}

func (m *matcher) bitsNeedUnsigned(g goField, c place) error {
	other, _ := c.at(g)
	return m.mismatch(g, other, "C has bitfields there", "cover them by an unsigned integer, and read each with "+m.column(other))
}

// sizesDiffer: every field fits, or nothing is known of the fields.
func (m *matcher) sizesDiffer(g goField, c place, size int) error {
	reason := fmt.Sprintf("Go has %d bytes, a %s of the map has %d", g.size(), m.side, size)
	remedy := fmt.Sprintf("the map carries no type information, so only sizes were compared: use a type of %d bytes", size)
	e := &LayoutError{Source: m.source, Go: g.String(), C: m.side, COffset: -1, Reason: reason}
	if c.typ != nil {
		e.C, e.COffset = describe(c), 0
		remedy = fmt.Sprintf("the Go struct is padded at its end, to a multiple of %d", g.typ.Align())
		if g.size() < size {
			remedy = fmt.Sprintf("append a field `_ [%d]byte`", size-g.size())
		}
		remedy = m.remedyFor(c, c, remedy)
	}
	e.Remedy = remedy
	return e
}

// column is the call that reads c whatever its place.
func (m *matcher) column(c place) string {
	if c.isScalar() && c.typ.Size <= 8 {
		return fmt.Sprintf("ColumnOf[%s](sub, %q, %q)", numberFor(c.typ), m.source, c.path)
	}
	if c.isCompound() {
		return fmt.Sprintf("ColumnOf(sub, %q, %q), a field at a time", m.source, c.path+".…")
	}
	return fmt.Sprintf("BytesOf(sub, %q, %q)", m.source, c.path)
}

// goName is the Go type that fits t.
func goName(t *schema.Type) string {
	switch {
	case t.Kind == schema.Array && t.Elem.Kind != schema.Char:
		return fmt.Sprintf("[%d]%s", t.Count, goName(t.Elem))
	case t.Kind == schema.Bool && t.Size == 1:
		return "bool"
	case t.Size <= 8 && t.Size > 0 && (place{typ: t}).isScalar():
		return numberFor(t)
	case t.Kind == schema.Struct:
		return fmt.Sprintf("a struct like C's or [%d]byte", t.Size)
	case t.Kind == schema.Union:
		return fmt.Sprintf("one of the union's members or [%d]byte", t.Size)
	}
	return fmt.Sprintf("[%d]byte", t.Size)
}

// numberFor is the Go number of t's size and sign.
func numberFor(t *schema.Type) string {
	switch t.Kind {
	case schema.Float:
		return fmt.Sprintf("float%d", t.Size*8)
	case schema.Int:
		return fmt.Sprintf("int%d", t.Size*8)
	case schema.Char, schema.Enum:
		if t.Signed {
			return fmt.Sprintf("int%d", t.Size*8)
		}
	}
	return fmt.Sprintf("uint%d", t.Size*8)
}

func isInteger(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }
