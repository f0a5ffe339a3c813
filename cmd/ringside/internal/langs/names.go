// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// identifier tells whether name may be one in any of the languages.
func identifier(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return strings.Trim(name, "_") != ""
}

// snake makes an identifier of a map's name, or of a C type's.
func snake(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return '_'
	}, name)
	if !identifier(name) {
		name = "map_" + name
	}
	return name
}

// camel is an exported name: rx_bytes is RxBytes.
func camel(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}

func joined(a, b string) string { return strings.TrimPrefix(a+"_"+b, "_") }

// names hands out names of one scope, each once.
type names map[string]bool

// take returns name, or "" if that is taken.
func (n names) take(name string) string {
	if n[name] {
		return ""
	}
	n[name] = true
	return name
}

// free returns name, or something like it that is not taken.
func (n names) free(name string) string {
	for n[name] {
		name += "x"
	}
	n[name] = true
	return name
}

// membersOf are the names that a struct's own fields will want.
func membersOf(all []part) names {
	n := names{}
	for _, p := range all {
		n[p.name] = true
		for _, i := range p.inners() {
			n[i.name] = true
		}
	}
	return n
}

// reserve lets a word that a language keeps for itself be a name.
func reserve(name string, words []string) string {
	if slices.Contains(words, name) {
		return name + "_"
	}
	return name
}

// typeName is what the language-independent name of a nested struct is: that of C
// behind the map's, else that of where it was found.
func typeName(t *schema.Type, mapName, parent, field string) string {
	_, name, _ := strings.Cut(t.Name, " ")
	if !identifier(name) {
		return joined(parent, field)
	}
	return joined(mapName, name)
}

// describe is a C type in a comment. Comments must end where they should.
func describe(t *schema.Type) string {
	switch {
	case t.Kind == schema.Array:
		return fmt.Sprintf("%s[%d]", describe(t.Elem), t.Count)
	case t.Name == "":
		return string(t.Kind)
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '*' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return '?'
	}, t.Name[:min(len(t.Name), 64)]) + constants(t)
}

// constants are the names of an enum's values, as many as fit a line.
func constants(t *schema.Type) string {
	const most = 8
	text := ""
	for i, v := range t.Values {
		if i == most {
			return text + " …"
		}
		if identifier(v.Name) {
			text += fmt.Sprintf(" %s=%d", v.Name, v.Value)
		}
	}
	return text
}

// remark describes a part.
func (p *part) remark() string {
	switch {
	case p.bits != nil:
		text := "bits:"
		for _, f := range p.bits {
			if identifier(f.Name) {
				text += fmt.Sprintf(" %s:%d", f.Name, f.BitSize)
			}
		}
		return text
	case p.typ == nil:
		return "padding"
	}
	return describe(p.typ)
}
