// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// place is a part of a C type: what it is and where it lies in the whole key or
// value.
type place struct {
	path      string // "value.ports[1]"
	offset    int    // bytes from the start of the whole
	typ       *schema.Type
	bitOffset int // with bitSize: a bitfield
	bitSize   int
	bytes     int // where typ is nil
}

// size is how many bytes hold it.
func (c place) size() int {
	if c.typ == nil {
		return c.bytes
	}
	return c.end() - c.offset
}

// end is the first byte behind the place.
func (c place) end() int {
	if c.bitSize > 0 {
		return c.offset + (c.bitOffset+c.bitSize+7)/8
	}
	return c.offset + c.typ.Size
}

func (c place) overlaps(g goField) bool { return c.offset < g.end() && g.offset < c.end() }

func (c place) isScalar() bool {
	switch c.typ.Kind {
	case schema.Array, schema.Struct, schema.Union, schema.Bytes:
		return false
	}
	return true
}

func (c place) isCompound() bool { return c.typ.Kind == schema.Struct || c.typ.Kind == schema.Union }

// member is field i of a struct or union. An anonymous one adds nothing to the
// path: its members are named as if they were c's, as in C.
func (c place) member(i int) place {
	f := &c.typ.Fields[i]
	path := c.path
	if f.Name != "" {
		path += "." + f.Name
	}
	return place{path: path, offset: c.offset + f.Offset, typ: f.Type, bitOffset: f.BitOffset, bitSize: f.BitSize}
}

func (c place) elem(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", c.path, i), offset: c.offset + i*c.typ.Elem.Size, typ: c.typ.Elem}
}

// narrow descends to the smallest part that holds all bytes in [from, to), which
// lie in c. It stops at a union, whose members are a matter of choice.
func (c place) narrow(from, to int) place {
	for {
		next, ok := c.holding(from, to)
		if !ok {
			return c
		}
		c = next
	}
}

func (c place) holding(from, to int) (place, bool) {
	switch c.typ.Kind {
	case schema.Struct:
		for i := range c.typ.Fields {
			f := c.member(i)
			if f.bitSize == 0 && f.offset <= from && to <= f.end() {
				return f, true
			}
		}
	case schema.Array:
		size := c.typ.Elem.Size
		if size == 0 {
			return c, false
		}
		i := (from - c.offset) / size
		if e := c.elem(i); i < c.typ.Count && to <= e.end() {
			return e, true
		}
	}
	return c, false
}

// members walks the named members of c, those of anonymous members included.
func (c place) members(yield func(name string, m place) bool) bool {
	if !c.isCompound() {
		return true
	}
	for i := range c.typ.Fields {
		name, m := c.typ.Fields[i].Name, c.member(i)
		if name == "" && m.isCompound() {
			if !m.members(yield) {
				return false
			}
		} else if !yield(name, m) {
			return false
		}
	}
	return true
}

// find looks a member up by its C name.
func (c place) find(name string) (found place, ok bool) {
	c.members(func(n string, m place) bool {
		if n == name {
			found, ok = m, true
		}
		return !ok
	})
	return found, ok
}

// namesake looks a member up by a Go name: RxBytes is rx_bytes.
func (c place) namesake(goName string) (found place, ok bool) {
	goName = plainName(goName)
	c.members(func(n string, m place) bool {
		if plainName(n) == goName {
			found, ok = m, true
		}
		return !ok
	})
	return found, ok
}

func plainName(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// at is the first member that shares a byte with g.
func (c place) at(g goField) (found place, ok bool) {
	c.members(func(_ string, m place) bool {
		if m.overlaps(g) {
			found, ok = m, true
		}
		return !ok
	})
	return found, ok
}

// onlyBits reports whether there are bitfields in [from, to), all of each, and
// nothing else.
func (c place) onlyBits(from, to int) bool {
	some, others := false, false
	c.members(func(_ string, m place) bool {
		if m.offset >= to || m.end() <= from {
			return true
		}
		some = true
		others = others || m.bitSize == 0 || m.offset < from || m.end() > to
		return true
	})
	return some && !others
}

// packed reports whether C lays c out more tightly than Go could.
func (c place) packed() bool {
	switch c.typ.Kind {
	case schema.Array:
		return c.elem(0).packed()
	case schema.Struct:
	default:
		return false
	}
	align := 1
	for i := range c.typ.Fields {
		f := &c.typ.Fields[i]
		a := alignment(f.Type)
		align = max(align, a)
		if f.BitSize == 0 && (f.Offset%a != 0 || c.member(i).packed()) {
			return true
		}
	}
	return c.typ.Size%align != 0
}

// alignment is what C gives a type that is not packed.
func alignment(t *schema.Type) int {
	switch t.Kind {
	case schema.Array:
		return alignment(t.Elem)
	case schema.Struct, schema.Union:
		align := 1
		for i := range t.Fields {
			align = max(align, alignment(t.Fields[i].Type))
		}
		return align
	case schema.Bytes:
		return 1
	}
	return t.Size
}
