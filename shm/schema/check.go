// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"errors"
	"fmt"
)

// Bounds on what a schema may be. BTF of real maps stays far below them; they
// keep a hostile or broken one from costing memory or time.
const (
	MaxDepth    = 32      // types inside types
	MaxNodes    = 1 << 14 // types, fields and enum constants together
	MaxBytes    = 1 << 20 // the JSON form
	MaxTypeSize = 1 << 28 // bytes of one type
	MaxNameLen  = 1 << 10
	MaxCells    = 1 << 22 // scalars (and opaque bytes) that printing one side visits
)

// ErrInvalid is wrapped by everything that Check and Decode object to.
var ErrInvalid = errors.New("invalid schema")

// Check reports the first rule the schema breaks.
func (s *Schema) Check() error {
	if s.Version != Version {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrInvalid, s.Version, Version)
	}
	c := checker{}
	for _, side := range []struct {
		name string
		t    *Type
	}{{"key", s.Key}, {"value", s.Value}} {
		if side.t == nil {
			continue
		}
		if _, err := c.check(side.t, 0); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, side.name, err)
		}
	}
	return nil
}

type checker struct{ nodes int }

// check returns how many cells printing a value of t visits.
func (c *checker) check(t *Type, depth int) (int, error) {
	if err := c.checkNode(t, depth); err != nil {
		return 0, err
	}
	switch t.Kind {
	case Array:
		return c.checkArray(t, depth)
	case Struct, Union:
		return c.checkFields(t, depth)
	case Bytes:
		return bounded(t.Size)
	case Enum:
		if err := c.count(len(t.Values)); err != nil {
			return 0, err
		}
		for i := range t.Values {
			if len(t.Values[i].Name) > MaxNameLen {
				return 0, fmt.Errorf("name of %d bytes", len(t.Values[i].Name))
			}
		}
	}
	return 1, nil
}

// checkNode holds what is true of every type, and each kind's size.
func (c *checker) checkNode(t *Type, depth int) error {
	switch {
	case depth > MaxDepth:
		return fmt.Errorf("types nest deeper than %d", MaxDepth)
	case t.Size < 0 || t.Size > MaxTypeSize:
		return fmt.Errorf("%s of %d bytes", t.Kind, t.Size)
	case len(t.Name) > MaxNameLen:
		return fmt.Errorf("name of %d bytes", len(t.Name))
	case t.Elem != nil && t.Kind != Array, t.Count != 0 && t.Kind != Array:
		return fmt.Errorf("%s with elements", t.Kind)
	case len(t.Fields) > 0 && t.Kind != Struct && t.Kind != Union:
		return fmt.Errorf("%s with fields", t.Kind)
	case len(t.Values) > 0 && t.Kind != Enum:
		return fmt.Errorf("%s with named values", t.Kind)
	case !sizeFits(t.Kind, t.Size):
		return fmt.Errorf("%q of %d bytes", t.Kind, t.Size)
	}
	return c.count(1)
}

func (c *checker) count(n int) error {
	if c.nodes += n; c.nodes > MaxNodes {
		return fmt.Errorf("more than %d types, fields and constants", MaxNodes)
	}
	return nil
}

func (c *checker) checkArray(t *Type, depth int) (int, error) {
	switch {
	case t.Elem == nil:
		return 0, errors.New("array of nothing")
	case t.Count < 0 || t.Count > MaxTypeSize:
		return 0, fmt.Errorf("array of %d elements", t.Count)
	}
	cells, err := c.check(t.Elem, depth+1)
	switch {
	case err != nil:
		return 0, err
	case t.Count > 0 && t.Elem.Size == 0:
		return 0, fmt.Errorf("array of %d elements without size", t.Count)
	case t.Elem.Size*t.Count != t.Size: // both below 2^28
		return 0, fmt.Errorf("array of %d times %d bytes has %d", t.Count, t.Elem.Size, t.Size)
	}
	return bounded(cells * t.Count) // both below 2^28
}

func (c *checker) checkFields(t *Type, depth int) (int, error) {
	cells := 1
	for i := range t.Fields {
		f := &t.Fields[i]
		if err := c.checkField(t, f); err != nil {
			return 0, fmt.Errorf("field %q: %w", f.Name, err)
		}
		n, err := c.check(f.Type, depth+1)
		if err != nil {
			return 0, fmt.Errorf("field %q: %w", f.Name, err)
		}
		if f.Offset+f.Type.Size > t.Size && f.BitSize == 0 {
			return 0, fmt.Errorf("field %q: bytes %d to %d of %d", f.Name, f.Offset, f.Offset+f.Type.Size, t.Size)
		}
		if f.BitSize > f.Type.Size*8 {
			return 0, fmt.Errorf("field %q: %d bits of %d bytes", f.Name, f.BitSize, f.Type.Size)
		}
		if cells, err = bounded(cells + n); err != nil {
			return 0, err
		}
	}
	return cells, nil
}

func (c *checker) checkField(t *Type, f *Field) error {
	switch {
	case f.Type == nil:
		return errors.New("no type")
	case len(f.Name) > MaxNameLen:
		return fmt.Errorf("name of %d bytes", len(f.Name))
	case f.Offset < 0 || f.Offset > t.Size:
		return fmt.Errorf("offset %d of %d", f.Offset, t.Size)
	case f.BitOffset < 0 || f.BitOffset > 7 || f.BitSize < 0 || f.BitSize > 64:
		return fmt.Errorf("bits %d+%d", f.BitOffset, f.BitSize)
	case f.BitSize == 0 && f.BitOffset != 0:
		return errors.New("bit offset without bits")
	case f.BitSize > 0 && !isInteger(f.Type.Kind):
		return fmt.Errorf("bitfield of kind %q", f.Type.Kind)
	case f.Offset*8+f.BitOffset+f.BitSize > t.Size*8:
		return fmt.Errorf("bits %d to %d of %d", f.Offset*8+f.BitOffset, f.Offset*8+f.BitOffset+f.BitSize, t.Size*8)
	}
	return c.count(1)
}

func bounded(cells int) (int, error) {
	if cells > MaxCells {
		return 0, fmt.Errorf("printing one value would visit more than %d cells", MaxCells)
	}
	return cells, nil
}

func isInteger(k Kind) bool {
	switch k {
	case Int, Uint, Bool, Char, Enum:
		return true
	}
	return false
}

// sizeFits holds the sizes listed with the kinds; an unknown kind has none.
func sizeFits(k Kind, size int) bool {
	switch k {
	case Int, Uint:
		return size == 1 || size == 2 || size == 4 || size == 8 || size == 16
	case Bool, Enum:
		return size == 1 || size == 2 || size == 4 || size == 8
	case Char:
		return size == 1
	case Float:
		return size == 4 || size == 8
	case Pointer:
		return size == 8
	case Array, Struct, Union, Bytes:
		return true
	}
	return false
}
