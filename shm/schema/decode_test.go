// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func full() *Schema {
	return &Schema{Version: Version, Key: scalar(Uint, 4), Value: &Type{
		Kind: Struct, Name: "struct flow", Size: 40, Fields: []Field{
			{Name: "comm", Type: textType}, {Name: "state", Offset: 8, Type: enumType},
			{Name: "flag", Offset: 12, BitOffset: 3, BitSize: 2, Type: scalar(Uint, 4)},
			{Offset: 16, Type: &Type{Kind: Union, Size: 8, Fields: []Field{{Name: "p", Type: scalar(Pointer, 8)}, {Name: "d", Type: scalar(Float, 8)}}}},
			{Name: "rest", Offset: 24, Type: arrayOf(scalar(Bytes, 8), 2)},
		},
	}}
}

func TestEncodeDecode(t *testing.T) {
	for _, s := range []*Schema{full(), {Version: Version}, {Version: Version, Key: scalar(Bytes, 0)}} {
		b := s.Encode()
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("got %+v, want %+v", got, s)
		}
		if !bytes.Equal(got.Encode(), b) {
			t.Error("equal schemas, different bytes")
		}
	}
	// What a newer writer adds is ignored.
	if _, err := Decode([]byte(`{"version":1,"key":{"kind":"uint","size":4,"unit":"ns"},"more":true}`)); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := `{"kind":"uint","size":0}`
	for range MaxDepth + 1 {
		deep = `{"kind":"struct","size":0,"fields":[{"name":"a","offset":0,"type":` + deep + `}]}`
	}
	wide := arrayOf(arrayOf(scalar(Uint, 2), 1<<12), 1<<12)
	many := &Type{Kind: Enum, Size: 4, Values: make([]EnumValue, MaxNodes)}
	encode := func(v *Type) string { b, _ := json.Marshal(v); return string(b) }
	for _, tc := range []struct{ name, value, says string }{
		{"no JSON", `{`, "unexpected"},
		{"unknown kind", `{"kind":"quux","size":4}`, `"quux" of 4`},
		{"no kind", `{"size":4}`, `"" of 4`},
		{"odd integer", `{"kind":"uint","size":3}`, `"uint" of 3`},
		{"negative size", `{"kind":"bytes","size":-1}`, "-1 bytes"},
		{"huge", `{"kind":"bytes","size":999999999999}`, "999999999999 bytes"},
		{"size overflow", `{"kind":"bytes","size":99999999999999999999}`, "cannot unmarshal"},
		{"array of nothing", `{"kind":"array","size":4,"count":1}`, "array of nothing"},
		{"array arithmetic", `{"kind":"array","size":4,"count":3,"elem":{"kind":"uint","size":2}}`, "3 times 2"},
		{"negative count", `{"kind":"array","size":0,"count":-1,"elem":{"kind":"uint","size":2}}`, "-1 elements"},
		{"endless nothing", `{"kind":"array","size":0,"count":268435456,"elem":{"kind":"struct","size":0}}`, "without size"},
		{"too much to print", encode(wide), "cells"},
		{"too many parts", encode(many), "more than"},
		{"too deep", deep, "deeper"},
		{"field without type", `{"kind":"struct","size":4,"fields":[{"name":"a","offset":0}]}`, "no type"},
		{"field outside", `{"kind":"struct","size":4,"fields":[{"name":"a","offset":2,"type":{"kind":"uint","size":4}}]}`, "bytes 2 to 6 of 4"},
		{"field before", `{"kind":"struct","size":4,"fields":[{"name":"a","offset":-4,"type":{"kind":"uint","size":4}}]}`, "offset -4"},
		{"bits outside", `{"kind":"struct","size":1,"fields":[{"name":"a","offset":0,"bit_offset":5,"bit_size":4,"type":{"kind":"uint","size":4}}]}`, "bits 5 to 9 of 8"},
		{"bits beyond a byte", `{"kind":"struct","size":8,"fields":[{"name":"a","offset":0,"bit_offset":8,"bit_size":4,"type":{"kind":"uint","size":4}}]}`, "bits 8+4"},
		{"bits of a float", `{"kind":"struct","size":8,"fields":[{"name":"a","offset":0,"bit_size":4,"type":{"kind":"float","size":4}}]}`, `kind "float"`},
		{"bits too many for the type", `{"kind":"struct","size":8,"fields":[{"name":"a","offset":0,"bit_size":9,"type":{"kind":"uint","size":1}}]}`, "9 bits of 1"},
		{"bit offset alone", `{"kind":"struct","size":8,"fields":[{"name":"a","offset":0,"bit_offset":1,"type":{"kind":"uint","size":1}}]}`, "without bits"},
		{"fields in a scalar", `{"kind":"uint","size":4,"fields":[{"name":"a","offset":0,"type":{"kind":"uint","size":4}}]}`, "uint with fields"},
		{"elements in a struct", `{"kind":"struct","size":4,"elem":{"kind":"uint","size":4}}`, "with elements"},
		{"values in a struct", `{"kind":"struct","size":4,"values":[{"name":"a","value":1}]}`, "with named values"},
		{"long name", `{"kind":"uint","size":4,"name":"` + strings.Repeat("x", MaxNameLen+1) + `"}`, "name of"},
	} {
		_, err := Decode([]byte(`{"version":1,"value":` + tc.value + `}`))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
	if _, err := Decode([]byte(`{"version":2}`)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("other version: %v", err)
	}
	if _, err := Decode(make([]byte, MaxBytes+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("oversized: %v", err)
	}
}

// FuzzDecode: no schema and no data make Decode or Append panic, or produce
// anything but JSON; what is accepted survives another round.
func FuzzDecode(f *testing.F) {
	f.Add(full().Encode(), []byte("0123456789012345678901234567890123456789"))
	f.Add((&Schema{Version: Version}).Encode(), []byte{})
	f.Add([]byte(`{"version":1,"value":{"kind":"array","size":8,"count":2,"elem":{"kind":"int","size":4}}}`), []byte{1})
	f.Add([]byte(`{"version":1,"key":{"kind":"uint","size":16},"value":{"kind":"struct","size":9,"fields":[{"offset":0,"bit_offset":7,"bit_size":64,"name":"f","type":{"kind":"int","size":8}}]}}`), bytes.Repeat([]byte{0xA5}, 16))
	f.Fuzz(func(t *testing.T, schema, data []byte) {
		s, err := Decode(schema)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("not an ErrInvalid: %v", err)
			}
			return
		}
		again, err := Decode(s.Encode())
		if err != nil || !reflect.DeepEqual(again.Encode(), s.Encode()) {
			t.Fatalf("second round: %v", err)
		}
		for _, side := range []*Type{s.Key, s.Value} {
			out := side.Append(nil, data)
			if !json.Valid(out) {
				t.Fatalf("no JSON: %q", out)
			}
			if out = AppendPerCPU(nil, side, data, 3); !json.Valid(out) {
				t.Fatalf("no JSON: %q", out)
			}
		}
	})
}
