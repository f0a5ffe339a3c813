// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// Python prints numpy dtypes, which lay out anything: fields lie where they are
// said to, and the members of a union on each other. Bitfields are read from the
// bytes that hold them.
func Python(r *Rows) string {
	p := python{file: newFile(r)}
	for _, s := range r.sides() {
		t, name := s.typ, p.scope.take(s.name)
		if compound(t) {
			p.structure(t, name)
		} else {
			format := p.format(t, name) // which may define other types first
			p.body.line("\n# %s\n%s = numpy.dtype(%s)", describe(t), name, format)
		}
	}
	var out text
	out.head(r, "#", "a row's value is an array of these, one for each CPU.")
	out.line("import numpy")
	return out.String() + p.body.String()
}

type python struct{ file }

func compound(t *schema.Type) bool {
	return (t.Kind == schema.Struct || t.Kind == schema.Union) && t.Size > 0
}

// format is the expression for t.
func (p *python) format(t *schema.Type, name string) string {
	switch {
	case compound(t):
		return p.once(t, 0, name, func(name string) { p.structure(t, name) })
	case t.Kind == schema.Array && t.Size > 0 && t.Elem.Kind == schema.Char:
		return fmt.Sprintf("'S%d'", t.Size)
	case t.Kind == schema.Array && t.Size > 0:
		return fmt.Sprintf("(%s, (%d,))", p.format(t.Elem, name), t.Count)
	case !scalar(t):
		return fmt.Sprintf("'V%d'", t.Size)
	case t.Kind == schema.Float:
		return fmt.Sprintf("'<f%d'", t.Size)
	case t.Kind == schema.Bool && t.Size == 1:
		return "'?'"
	case t.Kind == schema.Char:
		return "'S1'"
	case signed(t):
		return fmt.Sprintf("'<i%d'", t.Size)
	}
	return fmt.Sprintf("'<u%d'", t.Size)
}

// structure defines a struct or union.
func (p *python) structure(t *schema.Type, name string) {
	all := pythonParts(t)
	scope, taken := membersOf(all), names{}
	var list, formats, offsets []string
	var remarks text
	for _, f := range all {
		field := taken.take(f.name)
		switch {
		case f.padding() || f.typ != nil && (!identifier(field) || f.size == 0):
			continue
		case f.typ == nil:
			field = scope.free(fmt.Sprintf("at%d", f.offset))
			formats = append(formats, bytesFormat(f.size))
			for _, i := range f.inners() {
				remarks.line("# %s: %d bits from bit %d of %s", i.name, i.bits, i.at*8+i.bit, field)
			}
		default:
			formats = append(formats, p.format(f.typ, typeName(f.typ, snake(p.rows.Name), name, f.name)))
		}
		list = append(list, "'"+field+"'")
		offsets = append(offsets, fmt.Sprint(f.offset))
	}
	p.body.line("\n# %s\n%s%s = numpy.dtype({", describe(t), remarks.String(), name)
	p.body.line("    'names': [%s],\n    'formats': [%s],", strings.Join(list, ", "), strings.Join(formats, ", "))
	p.body.line("    'offsets': [%s],\n    'itemsize': %d,\n})", strings.Join(offsets, ", "), t.Size)
}

// pythonParts are the parts that have names, those of anonymous unions too.
func pythonParts(t *schema.Type) []part {
	if t.Kind == schema.Struct {
		var all []part
		for _, p := range parts(t) {
			if p.name != "" || p.typ == nil || p.typ.Kind != schema.Union {
				all = append(all, p)
				continue
			}
			for _, member := range pythonParts(p.typ) {
				member.offset += p.offset
				all = append(all, member)
			}
		}
		return all
	}
	var all []part
	for _, f := range t.Fields {
		alone := &schema.Type{Kind: schema.Struct, Size: f.Offset + f.Type.Size, Fields: []schema.Field{f}}
		if f.BitSize > 0 {
			alone.Size = f.Offset + (f.BitOffset+f.BitSize+7)/8
		}
		all = append(all, pythonParts(alone)...)
	}
	return all
}

// bytesFormat is a number where there is one of that size.
func bytesFormat(size int) string {
	switch size {
	case 1, 2, 4, 8:
		return fmt.Sprintf("'<u%d'", size)
	}
	return fmt.Sprintf("'V%d'", size)
}
