// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"

	"github.com/ringside-bpf/ringside/bpf/scan"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// PerCPU is what a source gives of a map that has a value for every CPU.
type PerCPU string

const (
	// All gives every possible CPU's value, each on 8 bytes, in order.
	All PerCPU = "all"
	// Sum adds the values up. Every integer in the value becomes one of 8 bytes,
	// signed as before, in the same order; padding is left out. So no sum of 1, 2
	// or 4 byte integers can overflow, and one of 8 wraps as the counters do. A
	// value with anything in it but integers, or of unknown type, cannot be
	// summed.
	Sum PerCPU = "sum"
)

// summation says how values are added up and what comes out.
type summation struct {
	ints  []scan.Int
	value *schema.Type
}

// newSummation plans the sums of a value of type t.
func newSummation(t *schema.Type) (*summation, error) {
	if t == nil {
		return nil, errors.New("the type of its value is not known")
	}
	s := new(summation)
	value, err := s.widen(t, 0, t.Name)
	if err != nil {
		return nil, err
	}
	if len(s.ints) == 0 {
		return nil, errors.New("its value has no field")
	}
	if t.Size > scan.MaxSumBytes {
		return nil, fmt.Errorf("its value has %d bytes, at most %d can be added up", t.Size, scan.MaxSumBytes)
	}
	s.value = value
	return s, nil
}

// widen adds a part of the value that lies at an offset, and returns its type
// as it will be: where the integers before it end.
func (s *summation) widen(t *schema.Type, offset int, name string) (*schema.Type, error) {
	begin := 8 * len(s.ints)
	out := &schema.Type{Kind: t.Kind, Name: t.Name}
	switch {
	case (t.Kind == schema.Int || t.Kind == schema.Uint) && t.Size <= 8:
		if len(s.ints) == scan.MaxSums {
			return nil, fmt.Errorf("its value has more than %d integers", scan.MaxSums)
		}
		s.ints = append(s.ints, scan.Int{Offset: offset, Size: t.Size, Signed: t.Kind == schema.Int})
		if t.Size < 8 {
			out.Name = wideNames[t.Kind]
		}
	case t.Kind == schema.Struct:
		for _, f := range t.Fields {
			if f.BitSize > 0 {
				return nil, fmt.Errorf("%s is a bitfield", member(name, f.Name))
			}
			at := 8 * len(s.ints)
			wide, err := s.widen(f.Type, offset+f.Offset, member(name, f.Name))
			if err != nil {
				return nil, err
			}
			out.Fields = append(out.Fields, schema.Field{Name: f.Name, Offset: at - begin, Type: wide})
		}
	case t.Kind == schema.Array:
		out.Count = t.Count
		for i := range t.Count {
			wide, err := s.widen(t.Elem, offset+i*t.Elem.Size, fmt.Sprintf("%s[%d]", name, i))
			if err != nil {
				return nil, err
			}
			out.Elem = wide
		}
	default:
		return nil, fmt.Errorf("%s is a %s of %d bytes, not an integer that can be added up", name, t.Kind, t.Size)
	}
	out.Size = 8*len(s.ints) - begin
	return out, nil
}

var wideNames = map[schema.Kind]string{schema.Int: "__s64", schema.Uint: "__u64"}

func member(of, name string) string {
	if name == "" {
		return of
	}
	return of + "." + name
}

// sumUp replaces the description of rows by that of sums, or says why that
// cannot be.
func (s *Source) sumUp() error {
	i := &s.info
	if !lookupType(i.Type).perCPU {
		return fmt.Errorf("%s: %w: percpu: sum, but a %s map has one value a key", i.Pin, ErrUnsupported, i.TypeName)
	}
	var value *schema.Type
	if i.Schema != nil {
		value = i.Schema.Value
	}
	plan, err := newSummation(value)
	if err != nil {
		if value == nil && i.SchemaReason != "" {
			err = fmt.Errorf("%w: %s", err, i.SchemaReason)
		}
		return fmt.Errorf("%s: %w: percpu: sum: %w", i.Pin, ErrUnsupported, err)
	}
	s.sum = plan.ints
	i.Schema = &schema.Schema{Version: schema.Version, Key: i.Schema.Key, Value: plan.value}
	i.ValueSize = plan.value.Size
	i.SummedCPUs, i.CPUs = i.CPUs, 0
	return nil
}
