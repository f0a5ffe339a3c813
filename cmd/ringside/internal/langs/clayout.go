// SPDX-License-Identifier: Apache-2.0

package langs

import "github.com/ringside-bpf/ringside/shm/schema"

// cLayout is the alignment that C gives to t as it is printed, and whether a
// struct or union has to be packed so that its members come to lie where they do.
func cLayout(t *schema.Type) (align int, packed bool) {
	switch {
	case scalar(t):
		return t.Size, false
	case t.Kind == schema.Array && t.Size > 0:
		align, _ = cLayout(t.Elem)
		return align, false
	case t.Kind == schema.Struct && t.Size > 0:
		align, packed = cStruct(t)
	case t.Kind == schema.Union && t.Size > 0:
		align, packed = cUnion(t)
	default:
		return 1, false
	}
	if packed {
		align = 1
	}
	return align, packed
}

// cStruct follows the rules of the platform ABIs of Linux, which agree in all
// that is needed here: a bitfield begins at the next bit unless it would cross
// the border of a unit of its declared type, then at that border.
func cStruct(t *schema.Type) (align int, packed bool) {
	align = 1
	for _, p := range parts(t) {
		at := p.offset * 8
		for _, f := range p.bits {
			size := bitType(f.Type).Size
			align = max(align, size)
			if unit := size * 8; at%unit+f.BitSize > unit {
				at += unit - at%unit
			}
			packed = packed || at != firstBit(f)
			at += f.BitSize
		}
		if p.typ != nil {
			own, _ := cLayout(p.typ)
			align = max(align, own)
			packed = packed || p.offset%own != 0
		}
	}
	return align, packed || t.Size%align != 0
}

func cUnion(t *schema.Type) (align int, packed bool) {
	align, size := 1, 0
	for _, f := range t.Fields {
		own, _ := cLayout(f.Type)
		align, size = max(align, own), max(size, f.Type.Size)
		packed = packed || f.BitSize > 0 || f.Offset > 0 || !identifier(f.Name)
	}
	return align, packed || t.Size%align != 0 || (size+align-1)/align*align != t.Size
}
