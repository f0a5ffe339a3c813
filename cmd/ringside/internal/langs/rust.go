// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// Rust prints structs for the client's row!, which lays them out as C does: booleans
// are bytes, enums numbers, and unions bytes with functions that read them.
func Rust(r *Rows) string {
	c := rust{file: newFile(r)}
	for _, s := range r.sides() {
		t, name := s.typ, c.scope.take(camel(s.name))
		if t.Kind == schema.Struct && t.Size > 0 {
			c.structure(t, name)
		} else {
			rustType, _ := c.typ(t, name)
			c.body.line("\n/// %s\npub type %s = %s;", describe(t), name, rustType)
		}
	}
	var out text
	out.head(r, "//", "each of a row's values is laid out like this.")
	return out.String() + c.body.String()
}

type rust struct{ file }

// typ is the Rust type for t, and its alignment.
func (c *rust) typ(t *schema.Type, name string) (string, int) {
	switch {
	case scalar(t):
		return rustNumber(t), t.Size
	case t.Kind == schema.Array && t.Size > 0:
		elem, align := c.typ(t.Elem, name)
		return fmt.Sprintf("[%s; %d]", elem, t.Count), align
	case t.Kind == schema.Struct && t.Size > 0:
		made := c.once(t, 0, camel(name), func(name string) { c.structure(t, name) })
		align, _ := rustLayout(t)
		return made, align
	}
	return fmt.Sprintf("[u8; %d]", t.Size), 1
}

// rustLayout is the alignment of a struct as it is printed, and whether it is
// packed: where its own fields would be moved or its size rounded up.
func rustLayout(t *schema.Type) (align int, packed bool) {
	switch {
	case scalar(t):
		return t.Size, false
	case t.Kind == schema.Array && t.Size > 0:
		align, _ = rustLayout(t.Elem)
		return align, false
	case t.Kind != schema.Struct || t.Size == 0:
		return 1, false
	}
	align = 1
	for _, p := range parts(t) {
		if p.typ != nil && identifier(p.name) {
			own, _ := rustLayout(p.typ)
			align = max(align, own)
			packed = packed || p.offset%own != 0
		}
	}
	if packed || t.Size%align != 0 {
		return 1, true
	}
	return align, false
}

// rustHashes tells whether a struct can be the key of a client's Table: floats have
// no Eq.
func rustHashes(t *schema.Type) bool {
	switch t.Kind {
	case schema.Float:
		return false
	case schema.Array:
		return rustHashes(t.Elem)
	case schema.Struct:
		return !slices.ContainsFunc(parts(t), func(p part) bool { return p.typ != nil && !rustHashes(p.typ) })
	}
	return true
}

func (c *rust) structure(t *schema.Type, name string) {
	all := parts(t)
	scope, taken := membersOf(all), names{}
	var lines, methods text
	for _, p := range all {
		field, public, rustType := "", "pub ", fmt.Sprintf("[u8; %d]", p.size)
		if p.typ != nil && identifier(p.name) {
			if field = taken.take(rustField(p.name)); field != "" {
				rustType, _ = c.typ(p.typ, typeName(p.typ, snake(c.rows.Name), name, p.name))
			}
		}
		if field == "" {
			field, public = scope.free(fmt.Sprintf("_at%d", p.offset)), ""
		}
		if p.typ == nil || !scalar(p.typ) {
			c.accessors(&methods, field, p.inners(), taken)
		}
		lines.line("        /// %s\n        %s%s: %s,", p.remark(), public, field, rustType)
	}
	packed := ""
	if _, tight := rustLayout(t); tight {
		packed = "packed "
	}
	derive := ""
	if rustHashes(t) {
		derive = "\n    #[derive(Eq, Hash)]"
	}
	c.body.line("\nringside::row! {\n    /// %s\n    #[allow(non_snake_case)]%s\n    pub %sstruct %s {\n%s    }\n}", describe(t), derive, packed, name, lines.String())
	c.body.line("\nconst _: () = assert!(<%s as ringside::Plain>::SIZE == %d);", name, t.Size)
	if methods.Len() > 0 {
		c.body.line("\n#[allow(non_snake_case)]\nimpl %s {\n%s}", name, methods.String())
	}
}

// accessors write the functions that read numbers in a field of bytes.
func (c *rust) accessors(to *text, field string, all []inner, scope names) {
	for _, i := range all {
		method, rustType := scope.take(rustField(i.name)), rustNumber(i.typ)
		if method == "" {
			continue
		}
		to.line("    pub fn %s(&self) -> %s {\n        %s\n    }", method, rustType, rustRead("self."+field, rustType, i))
	}
}

// rustRead is the body of a function that returns a number in the bytes called
// field. Bits go up to the highest and down again: see goBits.
func rustRead(field, rustType string, i inner) string {
	if i.bits == 0 {
		var bytes []string
		for n := range i.typ.Size {
			bytes = append(bytes, fmt.Sprintf("%s[%d]", field, i.at+n))
		}
		return fmt.Sprintf("%s::from_le_bytes([%s])", rustType, strings.Join(bytes, ", "))
	}
	to := "u64"
	if signed(i.typ) {
		to = "i64"
	}
	word := shifted("u64::from("+field+"[%d])", i)
	return fmt.Sprintf("let bits: u64 = %s;\n        ((bits << %d) as %s >> %d) as %s", word, 64-i.bits, to, 64-i.bits, rustType)
}

// rustNumber is the Rust type of a scalar.
func rustNumber(t *schema.Type) string {
	switch {
	case t.Kind == schema.Float:
		return fmt.Sprintf("f%d", t.Size*8)
	case t.Kind == schema.Char:
		return "u8" // as text is in Rust
	case signed(t):
		return fmt.Sprintf("i%d", t.Size*8)
	}
	return fmt.Sprintf("u%d", t.Size*8)
}

func rustField(name string) string { return reserve(name, rustKeywords) }

var rustKeywords = strings.Fields("Self abstract as async await become box break const continue crate do dyn else enum extern false " +
	"final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait " +
	"true try type typeof unsafe unsized use virtual where while yield")
