// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"reflect"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// A Go type fits a source if every field of it that has a name agrees with
// something that C says is at the same place, with the same size and kind.
// Names decide nothing, with one exception: a Go field that is called like a C
// field must not lie on another one, or two counters that were swapped would go
// unnoticed.
//
//   - A blank field (_) is padding: it may cover anything.
//   - An array of bytes is raw: it fits anything of its size.
//   - Enums, booleans and kernel pointers may be integers of their size.
//   - A union is any of its members, or raw bytes; several Go fields may each
//     follow a member of their own.
//   - Bitfields cannot be Go fields. An unsigned integer may cover a run of them.
//   - C's nesting need not be repeated: a Go field may name a member of a member.
//   - What C has and Go does not name is not read. That keeps a reader working
//     when its map's owner puts a new field into what was padding.

// matcher compares one side, key or value, of a source with a Go type.
type matcher struct {
	source string
	side   string // "key" or "value"
}

// match returns nil if goType describes size bytes laid out as t, which is nil
// where there is no type information.
func (m *matcher) match(goType reflect.Type, t *schema.Type, size int) error {
	g := whole(goType)
	if reason, remedy, bad := checkPlain(g); reason != "" {
		return &LayoutError{Source: m.source, Go: bad.String(), GoOffset: bad.offset, C: m.side, COffset: -1, Reason: reason, Remedy: remedy}
	}
	c := place{path: m.side, typ: t}
	if t != nil {
		if err := m.cover(g, c); err != nil {
			return err
		}
	}
	if g.size() != size {
		return m.sizesDiffer(g, c, size)
	}
	return nil
}

// cover holds the Go field g against the C type c, which is somewhere around it.
func (m *matcher) cover(g goField, c place) error {
	inside := c.offset <= g.offset && g.end() <= c.end()
	switch {
	case inside && (isBytes(g.typ) || g.size() == 0):
		return nil
	case inside:
		c = c.narrow(g.offset, g.end())
	case g.typ.Kind() != reflect.Struct: // a struct's fields tell better
		return m.noPlace(g, c)
	}
	switch {
	case c.typ.Kind == schema.Bytes:
		return nil // C does not say what it is
	case g.typ.Kind() == reflect.Struct:
		return m.coverStruct(g, c)
	case c.typ.Kind == schema.Union:
		return m.coverUnion(g, c)
	case g.typ.Kind() == reflect.Array:
		return m.coverArray(g, c)
	}
	return m.coverScalar(g, c)
}

func (m *matcher) coverStruct(g goField, c place) error {
	for f := range fields(g) {
		if f.name() == "_" {
			continue
		}
		if err := m.cover(f, c); err != nil {
			return err
		}
		if other, ok := c.namesake(f.name()); ok && !other.overlaps(f) {
			return m.swapped(f, other)
		}
	}
	return nil
}

// coverUnion is content with any member. If none fits, the first that has g's
// size tells why.
func (m *matcher) coverUnion(g goField, c place) error {
	var why error
	for i := range c.typ.Fields {
		member := c.member(i)
		if g.offset < member.offset || g.end() > member.end() {
			continue
		}
		err := m.cover(g, member)
		if err == nil {
			return nil
		}
		if why == nil || member.typ.Size == g.size() {
			why = err
		}
	}
	if why == nil {
		return m.noPlace(g, c)
	}
	return why
}

// coverArray compares one element where C has the same array, else each.
func (m *matcher) coverArray(g goField, c place) error {
	n := g.typ.Len()
	if c.typ.Kind == schema.Array && c.offset == g.offset && c.typ.Count == n && c.typ.Size == g.size() {
		n = min(n, 1)
	}
	for i := range n {
		if err := m.cover(g.elem(i), c); err != nil {
			if c.typ.Kind == schema.Array && g.typ.Len() > 1 && g.typ.Elem().Kind() != reflect.Struct {
				return m.kindsDiffer(g, c)
			}
			return err
		}
	}
	return nil
}

func (m *matcher) coverScalar(g goField, c place) error {
	if c.offset == g.offset && c.typ.Size == g.size() && c.bitSize == 0 && c.isScalar() {
		if scalarFits(g.typ.Kind(), c.typ) {
			return nil
		}
		return m.kindsDiffer(g, c)
	}
	if c.typ.Kind == schema.Struct && c.onlyBits(g.offset, g.end()) {
		if isUnsigned(g.typ.Kind()) {
			return nil
		}
		return m.bitsNeedUnsigned(g, c)
	}
	return m.noPlace(g, c)
}

// scalarFits compares meanings; sizes are already equal.
func scalarFits(k reflect.Kind, t *schema.Type) bool {
	signed := k == reflect.Int8 || k == reflect.Int16 || k == reflect.Int32 || k == reflect.Int64
	unsigned := isUnsigned(k)
	switch t.Kind {
	case schema.Int:
		return signed
	case schema.Uint, schema.Pointer:
		return unsigned
	case schema.Char:
		return signed || unsigned // C leaves the sign of char to the machine
	case schema.Bool:
		return unsigned || k == reflect.Bool
	case schema.Enum:
		return signed || unsigned && !t.Signed
	case schema.Float:
		return k == reflect.Float32 || k == reflect.Float64
	}
	return false
}

func isUnsigned(k reflect.Kind) bool {
	return k == reflect.Uint8 || k == reflect.Uint16 || k == reflect.Uint32 || k == reflect.Uint64
}
