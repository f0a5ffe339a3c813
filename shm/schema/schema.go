// SPDX-License-Identifier: Apache-2.0

package schema

import "encoding/json"

// Version of the JSON form. A reader of this package refuses any other.
const Version = 1

// Kind is what the bytes of a type mean.
type Kind string

// The kinds. Sizes are in bytes.
const (
	Int     Kind = "int"     // signed; 1, 2, 4, 8 or 16
	Uint    Kind = "uint"    // unsigned; 1, 2, 4, 8 or 16
	Bool    Kind = "bool"    // 1, 2, 4 or 8; a bitfield too
	Char    Kind = "char"    // 1; an array of them is text
	Float   Kind = "float"   // 4 or 8
	Enum    Kind = "enum"    // 1, 2, 4 or 8
	Pointer Kind = "pointer" // 8; an address in the kernel, never to be followed
	Array   Kind = "array"   // Count times Elem, without gaps
	Struct  Kind = "struct"
	Union   Kind = "union"
	Bytes   Kind = "bytes" // anything else: opaque
)

// Schema describes the rows of one map. A nil side is raw bytes.
type Schema struct {
	Version int   `json:"version"`
	Key     *Type `json:"key,omitempty"`
	Value   *Type `json:"value,omitempty"`
}

// Type is one node of the tree. Name is the C name as its author wrote it
// ("__u32", "struct flow"), for display only.
type Type struct {
	Kind   Kind        `json:"kind"`
	Name   string      `json:"name,omitempty"`
	Size   int         `json:"size"`
	Signed bool        `json:"signed,omitempty"` // enum and char
	Fields []Field     `json:"fields,omitempty"` // struct and union
	Elem   *Type       `json:"elem,omitempty"`   // array
	Count  int         `json:"count,omitempty"`  // array
	Values []EnumValue `json:"values,omitempty"` // enum
}

// Field is one member of a struct or union.
type Field struct {
	Name      string `json:"name,omitempty"` // empty: anonymous
	Offset    int    `json:"offset"`
	BitOffset int    `json:"bit_offset,omitempty"` // 0..7
	BitSize   int    `json:"bit_size,omitempty"`   // 0: not a bitfield
	Type      *Type  `json:"type"`
}

// EnumValue names one constant. Value holds its 64 bits as a signed number, so
// that only unsigned constants above 2^63 look unlike their source; compare
// the low Size bytes.
type EnumValue struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// Encode returns the JSON form. Equal schemas encode to equal bytes, so that a
// heap can keep one copy.
func (s *Schema) Encode() []byte {
	out := *s
	out.Version = Version
	b, err := json.Marshal(&out)
	if err != nil {
		// Strings, integers and a tree: nothing json can refuse, and a cycle
		// cannot come from Decode or from BTF conversion, both bounded in depth.
		panic("schema: encode: " + err.Error())
	}
	return b
}
