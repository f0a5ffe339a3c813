// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// C prints structs for C11, which C++ takes too: as their author declared them,
// but that padding is spelled out, and packed where nothing else gives the same
// offsets. Those and the sizes are asserted.
func C(r *Rows) string {
	c := cee{file: newFile(r)}
	for _, s := range r.sides() {
		t, name := s.typ, c.scope.take(s.name)
		if t.Kind == schema.Struct && t.Size > 0 {
			c.structure(t, name)
			c.body.line("typedef struct %s %s;", name, name)
			c.members(t, name)
		} else {
			decl := c.declare(t, name, name, "", names{}) // which may define structs first
			c.body.line("\ntypedef %s; // %s", decl, describe(t))
		}
	}
	var out text
	out.head(r, "//", "each of a row's values is laid out like this.")
	out.line("#pragma once\n\n#include <assert.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>")
	return out.String() + c.body.String()
}

type cee struct{ file }

// structure defines a struct.
func (c *cee) structure(t *schema.Type, name string) {
	all := parts(t)
	scope, asserts := membersOf(all), text{}
	taken := names{}
	_, packed := cLayout(t)
	var lines text
	for _, p := range all {
		field := ""
		switch {
		case p.bits != nil:
			cBits(&lines, &p, packed, taken)
			continue
		case p.typ != nil && p.name == "" && p.typ.Kind == schema.Union:
			lines.line("\t%s;", c.union(p.typ, name, "\t", taken))
			continue
		case p.typ != nil && identifier(p.name):
			field = taken.take(reserve(p.name, cKeywords))
		}
		if field == "" {
			lines.line("\tuint8_t %s[%d]; // %s", scope.free(fmt.Sprintf("_at%d", p.offset)), p.size, p.remark())
			continue
		}
		lines.line("\t%s; // %s", c.declare(p.typ, field, name, "\t", taken), p.remark())
		asserts.line("static_assert(offsetof(struct %s, %s) == %d, %q);", name, field, p.offset, name+"."+field)
	}
	attribute := ""
	if packed {
		attribute = " __attribute__((packed))"
	}
	c.body.line("\n// %s\nstruct %s {\n%s}%s;", describe(t), name, lines.String(), attribute)
	c.body.line("static_assert(sizeof(struct %s) == %d, %q);\n%s", name, t.Size, name, strings.TrimSuffix(asserts.String(), "\n"))
}

// members lists what ringside_check_key and ringside_check_value hold against the
// map, for programs that include ringside.h before.
func (c *cee) members(t *schema.Type, name string) {
	var lines text
	taken := names{}
	for _, p := range parts(t) {
		if p.typ == nil || !identifier(p.name) {
			continue
		}
		if field := taken.take(reserve(p.name, cKeywords)); field != "" {
			lines.line("\t{%q, offsetof(struct %s, %s), %d},", p.name, name, field, p.size)
		}
	}
	if lines.Len() > 0 {
		c.body.line("#ifdef RINGSIDE_MEMBER\nstatic const struct ringside_member %s[] = {\n%s};\n#endif", c.scope.free(name+"_members"), lines.String())
	}
}

// declare is the declaration of name as a t.
func (c *cee) declare(t *schema.Type, name, parent, indent string, scope names) string {
	switch {
	case scalar(t):
		return cNumber(t) + " " + name
	case t.Kind == schema.Array && t.Count > 0 && t.Elem.Size > 0:
		return c.declare(t.Elem, fmt.Sprintf("%s[%d]", name, t.Count), parent, indent, scope)
	case t.Kind == schema.Struct && t.Size > 0:
		field, _, _ := strings.Cut(name, "[")
		nested := typeName(t, snake(c.rows.Name), parent, field)
		return "struct " + c.once(t, 0, nested, func(name string) { c.structure(t, name) }) + " " + name
	case t.Kind == schema.Union && t.Size > 0:
		return c.union(t, parent, indent, names{}) + " " + name
	}
	return fmt.Sprintf("uint8_t %s[%d]", name, t.Size)
}

// union is a union where it stands; one without a name shares its struct's scope.
func (c *cee) union(t *schema.Type, parent, indent string, scope names) string {
	var b text
	for _, f := range t.Fields {
		name := ""
		if identifier(f.Name) && f.BitSize == 0 && f.Offset == 0 && f.Type.Size > 0 {
			name = scope.take(reserve(f.Name, cKeywords))
		}
		if name != "" {
			b.line("%s\t%s; // %s", indent, c.declare(f.Type, name, parent, indent+"\t", names{}), describe(f.Type))
		}
	}
	_, packed := cLayout(t)
	if packed || b.Len() == 0 {
		b.line("%s\tuint8_t %s[%d];", indent, scope.free("_bytes"), t.Size)
	}
	attribute := ""
	if packed {
		attribute = "__attribute__((packed)) "
	}
	return fmt.Sprintf("union %s{\n%s%s}", attribute, b.String(), indent)
}

// cBits declares bitfields. Packed ones follow each other bit by bit, so that
// gaps have to be said.
func cBits(to *text, p *part, packed bool, scope names) {
	at := p.offset * 8
	for _, f := range p.bits {
		if gap := firstBit(f) - at; packed && gap > 0 {
			to.line("\tuint32_t : %d;", gap)
		}
		at = firstBit(f) + f.BitSize
		name := ""
		if identifier(f.Name) {
			name = scope.take(reserve(f.Name, cKeywords)) + " "
		}
		t := bitType(f.Type)
		if packed && t.Size < 4 { // GCC once packed small types otherwise, and says so
			t = &schema.Type{Kind: t.Kind, Signed: t.Signed, Size: 4}
		}
		// ISO C knows bitfields of int alone.
		to.line("\t__extension__ %s %s: %d;", cNumber(t), name, f.BitSize)
	}
}

// cNumber is the C type of a scalar.
func cNumber(t *schema.Type) string {
	switch {
	case t.Kind == schema.Float && t.Size == 4:
		return "float"
	case t.Kind == schema.Float:
		return "double"
	case t.Kind == schema.Bool && t.Size == 1:
		return "bool"
	case t.Kind == schema.Char && t.Size == 1:
		return "char"
	case signed(t):
		return fmt.Sprintf("int%d_t", t.Size*8)
	}
	return fmt.Sprintf("uint%d_t", t.Size*8)
}

var cKeywords = strings.Fields("alignas alignof and asm auto bool break case catch char class const constexpr continue default " +
	"delete do double else enum explicit export extern false float for friend goto if inline int long mutable namespace new " +
	"not nullptr operator or private protected public register restrict return short signed sizeof static static_assert struct " +
	"switch template this throw true try typedef typeid typename typeof union unsigned using virtual void volatile while xor")
