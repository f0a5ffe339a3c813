// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder walks the YAML tree itself, where yaml.Unmarshal would stop at the
// first error, forget the line of every value, and read "on" as a boolean.
type decoder struct {
	problems
	file string
}

// field reads one value of a mapping.
type field struct {
	name string
	read func(n *yaml.Node, path string)
}

// at names a place in the file.
func (d *decoder) at(n *yaml.Node, path string) string {
	return fmt.Sprintf("%s:%d: %s", d.file, n.Line, path)
}

// bad notes a problem with a value; err says what is allowed.
func (d *decoder) bad(n *yaml.Node, path string, err error) { d.add(d.at(n, path), "", "%v", err) }

// resolve follows an alias. The fields are of fixed depth, so that an alias of
// an alias of an alias cannot multiply.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// mapping reads a mapping whose keys are all known, each given once.
func (d *decoder) mapping(n *yaml.Node, path string, fields ...field) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		d.bad(n, path, fmt.Errorf("must be a mapping of %s", names(fields)))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		inner := join(path, key.Value)
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		switch {
		case at < 0:
			d.bad(key, inner, fmt.Errorf("unknown field; here are known: %s", names(fields)))
		case seen[key.Value]:
			d.bad(key, inner, errors.New("given twice; keep one"))
		default:
			fields[at].read(value, inner)
		}
		seen[key.Value] = true
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func names(fields []field) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return strings.Join(list, ", ")
}

// sequence reads each item of a list.
func (d *decoder) sequence(n *yaml.Node, path string, item func(n *yaml.Node, path string)) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		d.bad(n, path, errors.New("must be a list, such as [a, b]"))
		return
	}
	for i, c := range n.Content {
		item(c, fmt.Sprintf("%s[%d]", path, i))
	}
}

// scalar is the text of a plain value.
func (d *decoder) scalar(n *yaml.Node, path string) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.bad(n, path, errors.New("must be a single value"))
		return "", false
	}
	return n.Value, true
}

// value reads a scalar through a parser of its text.
func value[T any](d *decoder, name string, into *T, parse func(string) (T, error)) field {
	return field{name, func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path)
		if !ok {
			return
		}
		v, err := parse(s)
		if err != nil {
			d.bad(n, path, err)
			return
		}
		*into = v
	}}
}

// list reads a list of scalars through a parser of their text.
func list[T any](d *decoder, name string, into *[]T, parse func(string) (T, error)) field {
	return field{name, func(n *yaml.Node, path string) {
		d.sequence(n, path, func(n *yaml.Node, path string) {
			var v T
			before := len(d.list)
			value(d, "", &v, parse).read(n, path)
			if len(d.list) == before {
				*into = append(*into, v)
			}
		})
	}}
}

// items reads a list of mappings.
func (d *decoder) items(name string, item func(n *yaml.Node, path string)) field {
	return field{name, func(n *yaml.Node, path string) { d.sequence(n, path, item) }}
}

// group reads a mapping inside a mapping.
func (d *decoder) group(name string, fields ...field) field {
	return field{name, func(n *yaml.Node, path string) { d.mapping(n, path, fields...) }}
}
