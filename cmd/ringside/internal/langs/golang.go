// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// Go prints types that RowsOf and PerCPURowsOf of the Go client accept.
//
// No Go struct is packed: a struct whose place or size breaks the alignment of
// its fields keeps those as bytes. The same C struct may so become two Go types.
func Go(r *Rows) string {
	g := golang{file: newFile(r)}
	for _, s := range r.sides() {
		t, name := s.typ, g.scope.take(camel(s.name))
		if t.Kind == schema.Struct && t.Size > 0 {
			g.structure(t, name, wordSize)
		} else {
			goType, _ := g.typ(t, wordSize, name)
			g.body.line("\n// %s: %s.\ntype %s = %s", name, describe(t), name, goType)
		}
	}
	var out text
	out.head(r, "//", "use PerCPURowsOf, the value is that of one CPU.")
	out.line("package main")
	switch {
	case g.math:
		out.line("\nimport (\n\t\"encoding/binary\"\n\t\"math\"\n)")
	case g.binary:
		out.line("\nimport \"encoding/binary\"")
	}
	return out.String() + g.body.String()
}

const wordSize = 8

type golang struct {
	file
	binary, math bool
}

// typ is the Go type for t where addresses are multiples of align, and the
// alignment that it has itself.
func (g *golang) typ(t *schema.Type, align int, name string) (string, int) {
	switch {
	case scalar(t) && t.Size <= align:
		return goNumber(t), t.Size
	case t.Kind == schema.Struct && t.Size > 0:
		return g.structType(t, align, name)
	case t.Kind == schema.Array && t.Size > 0 && t.Elem.Kind != schema.Char:
		elem, own := g.typ(t.Elem, min(align, lowestBit(t.Elem.Size)), name)
		if !scalar(t.Elem) || own == t.Elem.Size {
			return fmt.Sprintf("[%d]%s", t.Count, elem), own
		}
	}
	return fmt.Sprintf("[%d]byte", t.Size), 1
}

func lowestBit(n int) int { return n & -n }

// structType is the name of the Go type of t, which it makes if need be.
func (g *golang) structType(t *schema.Type, align int, name string) (string, int) {
	align = g.alignment(t, align)
	return g.once(t, align, camel(name), func(name string) { g.structure(t, name, align) }), align
}

// alignment is what a struct gets that is made for a place of this alignment.
func (g *golang) alignment(t *schema.Type, most int) int {
	most, own := min(most, lowestBit(t.Size)), 1
	for _, p := range parts(t) {
		if p.typ != nil && identifier(p.name) {
			own = max(own, g.aligned(p.typ, min(most, lowestBit(p.offset|wordSize))))
		}
	}
	return own
}

// aligned is the alignment that typ gives t.
func (g *golang) aligned(t *schema.Type, most int) int {
	switch {
	case scalar(t) && t.Size <= most:
		return t.Size
	case t.Kind == schema.Struct && t.Size > 0:
		return g.alignment(t, most)
	case t.Kind == schema.Array && t.Size > 0:
		return g.aligned(t.Elem, min(most, lowestBit(t.Elem.Size)))
	}
	return 1
}

// structure defines a struct for places of this alignment.
func (g *golang) structure(t *schema.Type, name string, align int) {
	align = min(align, lowestBit(t.Size))
	all := parts(t)
	scope, fresh := names{}, names{}
	for n := range membersOf(all) {
		fresh[plain(n)] = true
	}
	var rows [][]string
	var methods text
	for _, p := range all {
		field, goType, readers := g.field(&p, align, name, scope, fresh)
		g.accessors(&methods, name, field, readers, scope)
		rows = append(rows, []string{field, goType, fmt.Sprintf("// %d: %s", p.offset, p.remark())})
	}
	g.body.line("\n// %s: %s, %d bytes.\ntype %s struct {", name, describe(t), t.Size, name)
	g.body.table("\t", " ", rows)
	g.body.line("}")
	g.body.WriteString(methods.String())
}

// field is how a part is written, with the numbers that methods read from it.
func (g *golang) field(p *part, align int, parent string, scope, fresh names) (name, goType string, readers []inner) {
	goType = fmt.Sprintf("[%d]byte", p.size)
	exported := ""
	if p.typ != nil && identifier(p.name) {
		exported = scope.take(goField(p.name))
	}
	if exported != "" {
		own := 0
		goType, own = g.typ(p.typ, min(align, lowestBit(p.offset|wordSize)), typeName(p.typ, snake(g.rows.Name), parent, p.name))
		switch {
		case !scalar(p.typ):
			return exported, goType, p.inners()
		case own == p.size:
			return exported, goType, nil
		}
		delete(scope, exported) // it is the method's name
		return unexported(exported), goType, p.inners()
	}
	if readers = p.inners(); len(readers) == 0 {
		return "_", goType, nil
	}
	return fresh.free(fmt.Sprintf("at%d", p.offset)), goType, readers
}

// accessors write the methods that read numbers in a field of bytes.
func (g *golang) accessors(to *text, structName, field string, all []inner, scope names) {
	for _, i := range all {
		method := scope.take(goField(i.name))
		if method == "" || method == field {
			continue
		}
		to.line("\nfunc (v *%s) %s() %s {\n%s\n}", structName, method, goNumber(i.typ), g.read("v."+field, i))
	}
}

// read is the body of a function that returns a number in the bytes called field.
func (g *golang) read(field string, i inner) string {
	goType := goNumber(i.typ)
	switch size := i.typ.Size; {
	case i.bits > 0:
		return goBits(field, goType, i)
	case i.typ.Kind == schema.Float:
		g.math, g.binary = true, true
		return fmt.Sprintf("\treturn math.Float%dfrombits(binary.LittleEndian.Uint%d(%s[%d:]))", size*8, size*8, field, i.at)
	case goType == "bool":
		return fmt.Sprintf("\treturn %s[%d] != 0", field, i.at)
	case size == 1:
		return fmt.Sprintf("\treturn %s(%s[%d])", goType, field, i.at)
	default:
		g.binary = true
		word := fmt.Sprintf("binary.LittleEndian.Uint%d(%s[%d:])", size*8, field, i.at)
		if signed(i.typ) {
			word = fmt.Sprintf("%s(%s)", goType, word)
		}
		return "\treturn " + word
	}
}

// goBits moves the bits up to the highest and down again, which leaves the others
// behind and extends the sign.
func goBits(field, goType string, i inner) string {
	word := shifted("uint64("+field+"[%d])", i)
	result := fmt.Sprintf("%s(bits << %d >> %d)", goType, 64-i.bits, 64-i.bits)
	switch {
	case goType == "bool":
		result = "bits&1 != 0"
	case signed(i.typ):
		result = fmt.Sprintf("%s(int64(bits<<%d) >> %d)", goType, 64-i.bits, 64-i.bits)
	}
	return fmt.Sprintf("\tbits := %s\n\treturn %s", word, result)
}

// shifted puts the bytes of a bitfield together, its lowest bit first.
func shifted(at string, i inner) string {
	var terms []string
	alone := " " // where gofmt wants it
	if i.bit+i.bits > 8 {
		alone = ""
	}
	for n := 0; 8*n < i.bit+i.bits; n++ {
		term := fmt.Sprintf(at, i.at+n)
		switch by := 8*n - i.bit; {
		case by > 0:
			term += fmt.Sprintf("%s<<%s%d", alone, alone, by)
		case by < 0:
			term += fmt.Sprintf("%s>>%s%d", alone, alone, -by)
		}
		terms = append(terms, term)
	}
	return strings.Join(terms, " | ")
}

// goNumber is the Go type of a scalar.
func goNumber(t *schema.Type) string {
	switch {
	case t.Kind == schema.Float:
		return fmt.Sprintf("float%d", t.Size*8)
	case t.Kind == schema.Bool && t.Size == 1:
		return "bool"
	case signed(t):
		return fmt.Sprintf("int%d", t.Size*8)
	}
	return fmt.Sprintf("uint%d", t.Size*8)
}

// goField is the exported name of a C field, or "": some have none.
func goField(name string) string {
	name = camel(name)
	if name[0] >= '0' && name[0] <= '9' {
		return ""
	}
	return name
}

var goKeywords = strings.Fields("break case chan const continue default defer else fallthrough for func go goto if import " +
	"interface map package range return select struct switch type var")

// unexported is the name of the bytes that a method of the exported name reads.
func unexported(exported string) string {
	return reserve(strings.ToLower(exported[:1])+exported[1:], goKeywords)
}

// plain is how the Go client compares names.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
