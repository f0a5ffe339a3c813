// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
)

func scalar(k Kind, size int) *Type { return &Type{Kind: k, Size: size} }

func arrayOf(elem *Type, n int) *Type {
	return &Type{Kind: Array, Size: n * elem.Size, Elem: elem, Count: n}
}

var (
	textType = arrayOf(scalar(Char, 1), 8)
	enumType = &Type{Kind: Enum, Size: 4, Signed: true, Values: []EnumValue{{"NONE", 0}, {"NEG", -1}, {"BIG", 1 << 30}}}
	u64Enum  = &Type{Kind: Enum, Size: 8, Values: []EnumValue{{"TOP", -1}}}
)

func TestAppend(t *testing.T) {
	pair := &Type{Kind: Struct, Name: "struct pair", Size: 8, Fields: []Field{
		{Name: "a", Type: scalar(Uint, 4)}, {Name: "b", Offset: 4, Type: scalar(Int, 2)},
	}}
	nested := &Type{Kind: Struct, Size: 16, Fields: []Field{
		{Name: "p", Type: pair},
		{Offset: 8, Type: &Type{Kind: Union, Size: 8, Fields: []Field{
			{Name: "u", Type: scalar(Uint, 8)}, {Type: &Type{Kind: Struct, Size: 2, Fields: []Field{{Name: "lo", Type: scalar(Uint, 1)}}}},
		}}},
	}}
	for _, tc := range []struct {
		name string
		typ  *Type
		data string
		want string
	}{
		{"nil is hex", nil, "\x00\xAB", `"00ab"`},
		{"nil, empty", nil, "", `""`},
		{"u8", scalar(Uint, 1), "\xff", `255`},
		{"s8", scalar(Int, 1), "\xff", `-1`},
		{"u16", scalar(Uint, 2), "\x01\x02", `513`},
		{"u64", scalar(Uint, 8), "\xff\xff\xff\xff\xff\xff\xff\xff", `18446744073709551615`},
		{"s64", scalar(Int, 8), "\x00\x00\x00\x00\x00\x00\x00\x80", `-9223372036854775808`},
		{"pointer", scalar(Pointer, 8), "\x00\x10\x00\x00\x00\x00\xff\xff", `18446462598732845056`},
		{"bool", scalar(Bool, 1), "\x01", `true`},
		{"bool, false", scalar(Bool, 1), "\x00", `false`},
		{"bool, neither", scalar(Bool, 1), "\x07", `7`},
		{"one char", scalar(Char, 1), "A", `65`},
		{"text", textType, "tcpd\x00gar\x00", `"tcpd"`},
		{"text, empty", textType, "\x00\x00\x00\x00\x00\x00\x00\x00", `""`},
		{"text, quoted", textType, "a\"\\b\x00\x00\x00\x00", `"a\"\\b"`},
		{"text, UTF-8", textType, "gr\xc3\xbc\xc3\x9f\x00\x00", `"grüß"`},
		{"text without NUL", textType, "abcdefgh", `"6162636465666768"`},
		{"text with escape", textType, "a\x1b[0m\x00\x00\x00", `"611b5b306d000000"`},
		{"text, broken UTF-8", textType, "a\xc3\x00\x00\x00\x00\x00\x00", `"61c3000000000000"`},
		{"octets", arrayOf(scalar(Uint, 1), 4), "\x0a\x00\x00\x01", `"0a000001"`},
		{"numbers", arrayOf(scalar(Uint, 2), 2), "\x01\x00\x02\x00", `[1,2]`},
		{"names", arrayOf(arrayOf(scalar(Char, 1), 2), 2), "a\x00b\x00", `["a","b"]`},
		{"empty array", arrayOf(scalar(Uint, 4), 0), "", `[]`},
		{"bytes", scalar(Bytes, 3), "\x01\x02\x03\x04", `"010203"`},
		{"enum", enumType, "\x00\x00\x00\x40", `"BIG"`},
		{"enum, negative", enumType, "\xff\xff\xff\xff", `"NEG"`},
		{"enum, unnamed", enumType, "\xfe\xff\xff\xff", `-2`},
		{"enum, 64 bits", u64Enum, "\xff\xff\xff\xff\xff\xff\xff\xff", `"TOP"`},
		{"enum, 64 bits unnamed", u64Enum, "\xfe\xff\xff\xff\xff\xff\xff\xff", `18446744073709551614`},
		{"float", scalar(Float, 4), "\x00\x00\x80\x3e", `0.25`},
		{"double", scalar(Float, 8), string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e300))), `1e+300`},
		{"NaN", scalar(Float, 4), "\x00\x00\xc0\x7f", `"NaN"`},
		{"infinity", scalar(Float, 8), string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.Inf(-1)))), `"-Inf"`},
		{"struct", pair, "\x01\x00\x00\x00\xff\xff\x00\x00", `{"a":1,"b":-1}`},
		{"anonymous members", nested, "\x01\x00\x00\x00\x02\x00\x00\x00\x05\x01\x00\x00\x00\x00\x00\x00", `{"p":{"a":1,"b":2},"u":261,"lo":5}`},
		{"short: nothing", nested, "", `{"p":{"a":null,"b":null},"u":null,"lo":null}`},
		{"short: in the middle", pair, "\x01\x00\x00\x00\x02", `{"a":1,"b":null}`},
		{"short: array", arrayOf(scalar(Uint, 2), 3), "\x01\x00\x02", `[1,null,null]`},
		{"short: text", textType, "ab", `"6162"`},
		{"long", scalar(Uint, 1), "\x01\x02", `1`},
	} {
		got := string(tc.typ.Append([]byte("x"), []byte(tc.data)))
		if got != "x"+tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got[1:], tc.want)
		}
		if !json.Valid([]byte(got[1:])) {
			t.Errorf("%s: %s is no JSON", tc.name, got[1:])
		}
	}
}

// Every position and width of a bitfield, against big integers.
func TestAppendBitfields(t *testing.T) {
	data := []byte{0x5a, 0xc3, 0x96, 0x0f, 0xe1, 0x7d, 0x28, 0xb4, 0x69}
	all := new(big.Int)
	for i, c := range data {
		all.Or(all, new(big.Int).Lsh(big.NewInt(int64(c)), uint(8*i)))
	}
	for off := range 8 {
		for size := 1; size <= 64; size++ {
			v := new(big.Int).Rsh(all, uint(off))
			v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(size)), big.NewInt(1)))
			for _, kind := range []Kind{Uint, Int} {
				want := new(big.Int).Set(v)
				if kind == Int && v.Bit(size-1) == 1 {
					want.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(size)))
				}
				st := &Type{Kind: Struct, Size: 9, Fields: []Field{{Name: "f", BitOffset: off, BitSize: size, Type: scalar(kind, 8)}}}
				if got := string(st.Append(nil, data)); got != `{"f":`+want.String()+`}` {
					t.Fatalf("%s, %d bits at %d: %s, want %s", kind, size, off, got, want)
				}
			}
		}
	}
	st := &Type{Kind: Struct, Size: 4, Fields: []Field{
		{Name: "e", BitSize: 2, Type: enumType}, {Name: "on", BitOffset: 2, BitSize: 1, Type: scalar(Bool, 1)},
	}}
	if got := string(st.Append(nil, []byte{0b111, 0, 0, 0})); got != `{"e":"NEG","on":true}` {
		t.Error(got)
	}
	if got := string(st.Append(nil, nil)); got != `{"e":null,"on":null}` {
		t.Error(got)
	}
}

func TestAppend128(t *testing.T) {
	for _, text := range []string{
		"0", "1", "18446744073709551615", "18446744073709551616", "10000000000000000000", "99999999999999999999",
		"100000000000000000000000000000000000000", "170141183460469231731687303715884105727", "340282366920938463463374607431768211455",
	} {
		v, _ := new(big.Int).SetString(text, 10)
		le := make([]byte, 16)
		for i, c := range v.FillBytes(make([]byte, 16)) {
			le[15-i] = c
		}
		if got := string(scalar(Uint, 16).Append(nil, le)); got != text {
			t.Errorf("%s, want %s", got, text)
		}
		signed := new(big.Int).Set(v)
		if v.Bit(127) == 1 {
			signed.Sub(v, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		if got := string(scalar(Int, 16).Append(nil, le)); got != signed.String() {
			t.Errorf("%s, want %s", got, signed)
		}
	}
}

func TestAppendPerCPU(t *testing.T) {
	data := []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00")
	if got := string(AppendPerCPU(nil, scalar(Uint, 4), data, 2)); got != "[1,2]" {
		t.Error(got)
	}
	if got := string(AppendPerCPU(nil, nil, data, 2)); got != `["0100000000000000","0200000000000000"]` {
		t.Error(got)
	}
	if got := string(AppendPerCPU(nil, scalar(Uint, 4), nil, 2)); got != "[null,null]" {
		t.Error(got)
	}
	if got := string(AppendPerCPU(nil, nil, data, 0)); got != "[]" {
		t.Error(got)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	st := &Type{Kind: Struct, Size: 24, Fields: []Field{
		{Name: "comm", Type: textType}, {Name: "state", Offset: 8, Type: enumType}, {Name: "n", Offset: 16, Type: scalar(Uint, 8)},
	}}
	data, dst := []byte("tcpd\x00\x00\x00\x00"+strings.Repeat("\x00", 16)), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { dst = st.Append(dst[:0], data) }); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}
