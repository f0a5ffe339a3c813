// SPDX-License-Identifier: Apache-2.0

package ringside

import "github.com/ringside-bpf/ringside/shm/schema"

// C types as BTF describes them, for tests.

var (
	u8       = number(schema.Uint, "__u8", 1)
	u16      = number(schema.Uint, "__u16", 2)
	u32      = number(schema.Uint, "__u32", 4)
	u64      = number(schema.Uint, "__u64", 8)
	s8       = number(schema.Int, "__s8", 1)
	s32      = number(schema.Int, "__s32", 4)
	s64      = number(schema.Int, "__s64", 8)
	u128     = number(schema.Uint, "unsigned __int128", 16)
	cBool    = number(schema.Bool, "_Bool", 1)
	cChar    = number(schema.Char, "char", 1)
	cFloat   = number(schema.Float, "float", 4)
	cDouble  = number(schema.Float, "double", 8)
	cPointer = number(schema.Pointer, "void *", 8)
	state    = &schema.Type{Kind: schema.Enum, Name: "enum state", Size: 4, Values: []schema.EnumValue{{Name: "IDLE"}, {Name: "BUSY", Value: 1}}}
	negative = &schema.Type{Kind: schema.Enum, Name: "enum result", Size: 4, Signed: true, Values: []schema.EnumValue{{Name: "FAILED", Value: -1}}}
)

func number(kind schema.Kind, name string, size int) *schema.Type {
	return &schema.Type{Kind: kind, Name: name, Size: size}
}

func structOf(name string, size int, fields ...schema.Field) *schema.Type {
	return &schema.Type{Kind: schema.Struct, Name: name, Size: size, Fields: fields}
}

func unionOf(name string, size int, fields ...schema.Field) *schema.Type {
	return &schema.Type{Kind: schema.Union, Name: name, Size: size, Fields: fields}
}

func field(name string, offset int, t *schema.Type) schema.Field {
	return schema.Field{Name: name, Offset: offset, Type: t}
}

func bitField(name string, bit, bits int, t *schema.Type) schema.Field {
	return schema.Field{Name: name, Offset: bit / 8, BitOffset: bit % 8, BitSize: bits, Type: t}
}

func arrayOf(n int, t *schema.Type) *schema.Type {
	return &schema.Type{Kind: schema.Array, Size: n * t.Size, Elem: t, Count: n}
}
