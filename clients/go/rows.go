// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"fmt"
	"reflect"
)

// Rows shows the rows of a source as Go values in place: K is the key's type, V
// the value's. A step costs about as much as following two pointers.
//
// K and V are compared with the map's own types when Rows is made and whenever
// the source is replaced, never for a row. They must be plain: numbers, booleans,
// arrays and structs of them, no pointers. A struct that C packs cannot be
// written in Go; see [ColumnOf].
//
// Rows is safe for concurrent use on one batch.
type Rows[K, V any] struct {
	rowView
}

// RowsOf makes the typed view of the source of that name. The error is a
// [*LayoutError] where K or V does not describe its rows, and [ErrNoSource]
// where there is none. Of a map without type information only the sizes can be
// compared.
func RowsOf[K, V any](s *Subscription, source string) (*Rows[K, V], error) {
	k, v := reflect.TypeFor[K](), reflect.TypeFor[V]()
	made, err := s.addView(source, func(src *Source) (fit, error) {
		if src.CPUs > 0 {
			return fit{}, &LayoutError{
				Source: src.Name, Go: whole(v).String(), C: sideValue, COffset: -1,
				Reason: fmt.Sprintf("the map is per CPU, a row has %d values", src.CPUs),
				Remedy: fmt.Sprintf("use PerCPURowsOf[%s, %s]", whole(k).path, whole(v).path),
			}
		}
		return rowsFit(src, k, v)
	})
	if err != nil {
		return nil, err
	}
	return &Rows[K, V]{rowViewOf(made, k, v)}, nil
}

func rowsFit(src *Source, k, v reflect.Type) (fit, error) {
	if err := src.requireRows(whole(v).String()); err != nil {
		return fit{}, err
	}
	for _, s := range []struct {
		name   string
		goType reflect.Type
	}{{sideKey, k}, {sideValue, v}} {
		m := matcher{source: src.Name, side: s.name}
		t, size := src.side(s.name)
		if err := m.match(s.goType, t, size); err != nil {
			return fit{}, err
		}
	}
	return fit{ok: true}, nil
}

// rowView is a view of whole rows, and what Go asks of their addresses.
type rowView struct {
	view
	keyAlign, valueAlign uintptr
}

func rowViewOf(v view, key, value reflect.Type) rowView {
	return rowView{v, uintptr(key.Align()), uintptr(value.Align())}
}

// PerCPURows is [Rows] for maps that keep a value for each CPU.
type PerCPURows[K, V any] struct {
	rowView
}

// PerCPURowsOf is [RowsOf] for a map that is per CPU; V is one CPU's value.
func PerCPURowsOf[K, V any](s *Subscription, source string) (*PerCPURows[K, V], error) {
	k, v := reflect.TypeFor[K](), reflect.TypeFor[V]()
	made, err := s.addView(source, func(src *Source) (fit, error) {
		if src.CPUs == 0 {
			return fit{}, &LayoutError{
				Source: src.Name, Go: whole(v).String(), C: sideValue, COffset: -1,
				Reason: "the map is not per CPU",
				Remedy: fmt.Sprintf("use RowsOf[%s, %s]", whole(k).path, whole(v).path),
			}
		}
		return rowsFit(src, k, v)
	})
	if err != nil {
		return nil, err
	}
	return &PerCPURows[K, V]{rowViewOf(made, k, v)}, nil
}
