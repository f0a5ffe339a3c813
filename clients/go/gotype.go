// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"reflect"
	"strings"
)

// goField is a part of a Go type and its place in the whole.
type goField struct {
	path   string // "Stats.Bytes"
	typ    reflect.Type
	offset int
}

func (g goField) size() int { return int(g.typ.Size()) }
func (g goField) end() int  { return g.offset + g.size() }

// String is "Stats.Bytes uint64", or the type if g is all of it.
func (g goField) String() string {
	if g.path == typeName(g.typ) {
		return g.path
	}
	return g.path + " " + g.typ.String()
}

// name is the last part of the path.
func (g goField) name() string { return g.path[strings.LastIndexByte(g.path, '.')+1:] }

// whole is the type itself.
func whole(t reflect.Type) goField { return goField{path: typeName(t), typ: t} }

func typeName(t reflect.Type) string {
	switch {
	case t.Name() != "":
		return t.Name()
	case t.Kind() == reflect.Struct:
		return "struct{…}"
	}
	return t.String()
}

func (g goField) field(f reflect.StructField) goField {
	return goField{path: g.path + "." + f.Name, typ: f.Type, offset: g.offset + int(f.Offset)}
}

func (g goField) elem(i int) goField {
	e := g.typ.Elem()
	return goField{path: fmt.Sprintf("%s[%d]", g.path, i), typ: e, offset: g.offset + i*int(e.Size())}
}

// isBytes reports whether t is raw bytes, which fit anything of their size.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8
}

// checkPlain refuses Go types that bytes of another process cannot be: those
// that hold pointers, which the garbage collector would follow, and those whose
// size depends on the machine.
func checkPlain(g goField) (reason, remedy string, bad goField) {
	switch k := g.typ.Kind(); k {
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "", "", g
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return "the size of " + k.String() + " depends on the machine", "use a type of fixed size, such as " + strings.TrimSuffix(k.String(), "ptr") + "64", g
	case reflect.Array:
		if g.typ.Len() == 0 {
			return "", "", g
		}
		return checkPlain(g.elem(0))
	case reflect.Struct:
		for f := range fields(g) {
			if reason, remedy, bad = checkPlain(f); reason != "" {
				return reason, remedy, bad
			}
		}
		return "", "", g
	default:
		return k.String() + " holds a Go pointer, rows are plain bytes", "use a fixed-size array of bytes, or a uint64 for an address in the kernel", g
	}
}

// fields walks all fields of a struct, blank ones included.
func fields(g goField) func(yield func(goField) bool) {
	return func(yield func(goField) bool) {
		for i := range g.typ.NumField() {
			if !yield(g.field(g.typ.Field(i))) {
				return
			}
		}
	}
}
