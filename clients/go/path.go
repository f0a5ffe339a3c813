// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// locate follows a C path into the source's key or value. The place's type is
// nil where there is no type information; then the path is all of the side.
func (src *Source) locate(path string) (c place, key bool, err error) {
	if err := src.requireRows(fmt.Sprintf("path %q", path)); err != nil {
		return c, false, err
	}
	side, rest := path, ""
	if i := strings.IndexAny(path, ".["); i >= 0 {
		side, rest = path[:i], path[i:]
	}
	if side != sideKey && side != sideValue {
		return c, false, src.pathError(path, c, "no path", `begin it with "key" or "value"`)
	}
	t, size := src.side(side)
	c = place{path: side, typ: t, bytes: size}
	if side == sideValue && src.CPUs > 0 {
		if c, rest, err = src.slot(c, path, rest); err != nil {
			return c, false, err
		}
	}
	for rest != "" {
		if c.typ == nil {
			return c, false, src.pathError(path, c, "the map carries no type information",
				fmt.Sprintf("only %q as a whole can be read", c.path))
		}
		if c, rest, err = src.descend(c, path, rest); err != nil {
			return c, false, err
		}
	}
	return c, side == sideKey, nil
}

// slot takes the index of a CPU off the path.
func (src *Source) slot(c place, path, rest string) (place, string, error) {
	cpu, rest, ok := cutIndex(rest)
	if !ok || cpu >= src.CPUs {
		return c, rest, src.pathError(path, c, fmt.Sprintf("the map is per CPU, a row has %d values", src.CPUs),
			fmt.Sprintf(`say which CPU: "value[0]…" to "value[%d]…"`, src.CPUs-1))
	}
	c.path = fmt.Sprintf("%s[%d]", c.path, cpu)
	c.offset = cpu * (src.ValueSize / src.CPUs)
	return c, rest, nil
}

// descend takes one step of the path.
func (src *Source) descend(c place, path, rest string) (place, string, error) {
	if rest[0] == '[' {
		i, after, ok := cutIndex(rest)
		switch {
		case !ok:
			return c, "", src.pathError(path, c, fmt.Sprintf("%q is no index", rest), "write a number in brackets")
		case c.typ.Kind != schema.Array:
			return c, "", src.pathError(path, c, "it is no array", "leave the index out")
		case i >= c.typ.Count:
			return c, "", src.pathError(path, c, fmt.Sprintf("it has %d elements", c.typ.Count), "")
		}
		return c.elem(i), after, nil
	}
	name := rest[1:]
	if end := strings.IndexAny(name, ".["); end >= 0 {
		name = name[:end]
	}
	m, ok := c.find(name)
	if !ok {
		return c, "", src.pathError(path, c, fmt.Sprintf("it has no member %q", name), src.choices(c))
	}
	return m, rest[1+len(name):], nil
}

func (src *Source) choices(c place) string {
	var names []string
	c.members(func(name string, _ place) bool {
		names = append(names, name)
		return true
	})
	if len(names) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(names, ", ")
}

// cutIndex takes "[3]" off the front of s.
func cutIndex(s string) (i int, after string, ok bool) {
	inside, after, found := strings.Cut(strings.TrimPrefix(s, "["), "]")
	n, err := strconv.ParseUint(inside, 10, 31)
	return int(n), after, found && err == nil && strings.HasPrefix(s, "[")
}

func (src *Source) pathError(path string, c place, reason, remedy string) error {
	e := &LayoutError{Source: src.Name, Go: fmt.Sprintf("path %q", path), GoOffset: -1, C: c.path, COffset: -1, Reason: reason, Remedy: remedy}
	if c.typ != nil {
		e.C, e.COffset = describe(c), c.offset
	}
	return e
}

// numberIn is how to read the number at c as a T, or why that cannot be.
func numberIn[T Number](src *Source, c place) (numberAt, error) {
	goType := reflect.TypeFor[T]()
	n := numberAt{offset: c.offset, size: c.size()}
	fail := func(reason, remedy string) (numberAt, error) {
		e := &LayoutError{Source: src.Name, Go: fmt.Sprintf("ColumnOf[%s]", goType), GoOffset: -1, C: c.path, COffset: c.offset, Reason: reason, Remedy: remedy}
		if c.typ != nil {
			e.C = describe(c)
		}
		return numberAt{}, e
	}
	signed := goType.Kind() >= reflect.Int8 && goType.Kind() <= reflect.Int64
	float := !signed && !isUnsigned(goType.Kind())
	bits := int(goType.Size()) * 8
	if c.typ == nil { // only the size is known: T says what it means
		if n.size*8 != bits {
			return fail(fmt.Sprintf("it has %d bytes of unknown type", n.size), "use a type of that size, or BytesOf")
		}
		n.kind = kindOfBits(signed, float, n.size)
		return n, nil
	}
	if !c.isScalar() || n.size > 9 {
		return fail(fmt.Sprintf("it is no number but %s", c.typ.Kind), "use BytesOf, or the path of a number in it")
	}
	have := n.size * 8
	if c.bitSize > 0 {
		n.width, n.shift, have = uint(c.bitSize), uint(c.bitOffset), c.bitSize
	}
	cSigned := c.typ.Kind == schema.Int || c.typ.Signed
	cFloat := c.typ.Kind == schema.Float
	// An unsigned number needs a bit more in a signed type; an enum's constants
	// are few, and Go programs write them as int32.
	need := have
	if signed && !cSigned && c.typ.Kind != schema.Enum && c.typ.Kind != schema.Char {
		need++
	}
	switch {
	case cFloat != float, cSigned && !signed && c.typ.Kind != schema.Char, need > bits:
		return fail(fmt.Sprintf("%s does not hold every such number", goType), "use ColumnOf["+numberFor(c.typ)+"]")
	}
	n.kind = kindOfBits(cSigned, cFloat, n.size)
	return n, nil
}

func kindOfBits(signed, float bool, size int) bitKind {
	switch {
	case float && size == 4:
		return float32Bits
	case float:
		return float64Bits
	case signed:
		return signedBits
	}
	return unsignedBits
}
