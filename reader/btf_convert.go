// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// converter turns BTF, a graph of types, into a schema, a tree that stands
// alone. A type used twice appears twice, so the tree's size is bounded here.
type converter struct{ nodes int }

func (c *converter) convert(t btf.Type, depth int) (*schema.Type, error) {
	if c.nodes++; c.nodes > schema.MaxNodes {
		return nil, fmt.Errorf("its type has more than %d parts", schema.MaxNodes)
	}
	if depth > schema.MaxDepth {
		return nil, fmt.Errorf("its type nests deeper than %d", schema.MaxDepth)
	}
	name := typeName(t)
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return convertInt(t, name), nil
	case *btf.Float:
		return orBytes(schema.Float, name, int(t.Size), t.Size == 4 || t.Size == 8), nil
	case *btf.Pointer:
		return &schema.Type{Kind: schema.Pointer, Name: name, Size: 8}, nil
	case *btf.Enum:
		return c.convertEnum(t, name), nil
	case *btf.Array:
		return c.convertArray(t, name, depth)
	case *btf.Struct:
		fields, err := c.convertMembers(t.Members, depth)
		return &schema.Type{Kind: schema.Struct, Name: name, Size: int(t.Size), Fields: fields}, err
	case *btf.Union:
		fields, err := c.convertMembers(t.Members, depth)
		return &schema.Type{Kind: schema.Union, Name: name, Size: int(t.Size), Fields: fields}, err
	case *btf.Datasec:
		return c.convertSection(t, depth)
	default:
		size, err := btf.Sizeof(t)
		if err != nil {
			return nil, fmt.Errorf("type %v: %w", t, err)
		}
		return &schema.Type{Kind: schema.Bytes, Name: name, Size: size}, nil
	}
}

// typeName is the type's name in C, the outermost typedef if there is one.
func typeName(t btf.Type) string {
	for {
		switch q := t.(type) {
		case *btf.Const:
			t = q.Type
		case *btf.Volatile:
			t = q.Type
		case *btf.Restrict:
			t = q.Type
		case *btf.TypeTag:
			t = q.Type
		case *btf.Pointer:
			if target := typeName(q.Target); target != "" {
				return target + " *"
			}
			return "void *"
		case *btf.Struct:
			return prefixed("struct ", q.Name)
		case *btf.Union:
			return prefixed("union ", q.Name)
		case *btf.Enum:
			return prefixed("enum ", q.Name)
		default:
			return t.TypeName()
		}
	}
}

func prefixed(keyword, name string) string {
	if name == "" {
		return ""
	}
	return keyword + name
}

func orBytes(kind schema.Kind, name string, size int, ok bool) *schema.Type {
	if !ok {
		kind = schema.Bytes
	}
	return &schema.Type{Kind: kind, Name: name, Size: size}
}

func convertInt(t *btf.Int, name string) *schema.Type {
	size := int(t.Size)
	power := size > 0 && size <= 16 && size&(size-1) == 0
	switch {
	case t.Encoding == btf.Bool:
		return orBytes(schema.Bool, name, size, power && size <= 8)
	case size == 1 && (t.Encoding == btf.Char || t.Name == "char"):
		// Compilers mark plain char as a signed integer; only its name tells.
		return &schema.Type{Kind: schema.Char, Name: name, Size: 1, Signed: t.Encoding == btf.Signed}
	case t.Encoding == btf.Signed:
		return orBytes(schema.Int, name, size, power)
	}
	return orBytes(schema.Uint, name, size, power)
}

func (c *converter) convertEnum(t *btf.Enum, name string) *schema.Type {
	out := orBytes(schema.Enum, name, int(t.Size), t.Size == 1 || t.Size == 2 || t.Size == 4 || t.Size == 8)
	if c.nodes += len(t.Values); out.Kind == schema.Bytes {
		return out
	}
	out.Signed = t.Signed
	out.Values = make([]schema.EnumValue, len(t.Values))
	unused := 64 - 8*t.Size
	for i, v := range t.Values {
		// Only the type's own bits count; what is above depends on who wrote it.
		n := int64(v.Value << unused >> unused)
		if t.Signed {
			n = int64(v.Value<<unused) >> unused
		}
		out.Values[i] = schema.EnumValue{Name: v.Name, Value: n}
	}
	return out
}

func (c *converter) convertArray(t *btf.Array, name string, depth int) (*schema.Type, error) {
	elem, err := c.convert(t.Type, depth+1)
	if err != nil {
		return nil, err
	}
	if elem.Size == 0 {
		return &schema.Type{Kind: schema.Bytes, Name: name}, nil
	}
	if int(t.Nelems) > schema.MaxTypeSize/elem.Size {
		return nil, fmt.Errorf("an array of %d times %d bytes", t.Nelems, elem.Size)
	}
	n := int(t.Nelems)
	return &schema.Type{Kind: schema.Array, Name: name, Size: n * elem.Size, Elem: elem, Count: n}, nil
}

func (c *converter) convertMembers(members []btf.Member, depth int) ([]schema.Field, error) {
	fields := make([]schema.Field, 0, len(members))
	for _, m := range members {
		t, err := c.convert(m.Type, depth+1)
		if err != nil {
			return nil, err
		}
		c.nodes++
		f := schema.Field{Name: m.Name, Offset: int(m.Offset / 8), Type: t}
		if m.BitfieldSize > 0 {
			f.BitOffset, f.BitSize = int(m.Offset%8), int(m.BitfieldSize)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// convertSection describes the global variables of a program (".bss", ".data"),
// which loaders keep in a one-entry array.
func (c *converter) convertSection(t *btf.Datasec, depth int) (*schema.Type, error) {
	out := &schema.Type{Kind: schema.Struct, Name: t.Name, Size: int(t.Size)}
	for _, v := range t.Vars {
		variable, ok := v.Type.(*btf.Var)
		if !ok {
			continue
		}
		field, err := c.convert(variable.Type, depth+1)
		if err != nil {
			return nil, err
		}
		c.nodes++
		out.Fields = append(out.Fields, schema.Field{Name: variable.Name, Offset: int(v.Offset), Type: field})
	}
	return out, nil
}
