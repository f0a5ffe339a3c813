// SPDX-License-Identifier: Apache-2.0

package langs

import (
	"flag"
	"go/format"
	"os"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/shm/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func number(kind schema.Kind, name string, size int) *schema.Type {
	return &schema.Type{Kind: kind, Name: name, Size: size}
}

var (
	u8   = number(schema.Uint, "__u8", 1)
	u16  = number(schema.Uint, "__u16", 2)
	u32  = number(schema.Uint, "__u32", 4)
	u64  = number(schema.Uint, "__u64", 8)
	s16  = number(schema.Int, "__s16", 2)
	s32  = number(schema.Int, "__s32", 4)
	u128 = number(schema.Uint, "unsigned __int128", 16)
	f64  = number(schema.Float, "double", 8)
	yes  = number(schema.Bool, "_Bool", 1)
	char = number(schema.Char, "char", 1)
	ptr  = number(schema.Pointer, "void *", 8)
)

func array(n int, t *schema.Type) *schema.Type {
	return &schema.Type{Kind: schema.Array, Size: n * t.Size, Elem: t, Count: n}
}

func compoundOf(kind schema.Kind, name string, size int, fields ...schema.Field) *schema.Type {
	return &schema.Type{Kind: kind, Name: name, Size: size, Fields: fields}
}

func field(name string, offset int, t *schema.Type) schema.Field {
	return schema.Field{Name: name, Offset: offset, Type: t}
}

func bits(name string, bit, n int, t *schema.Type) schema.Field {
	return schema.Field{Name: name, Offset: bit / 8, BitOffset: bit % 8, BitSize: n, Type: t}
}

// The rows of two maps: what C lays out naturally, and what it packs.
func natural() *Rows {
	state := &schema.Type{Kind: schema.Enum, Name: "enum state", Size: 4, Values: []schema.EnumValue{{Name: "CLOSED"}, {Name: "OPEN", Value: 1}}}
	point := compoundOf(schema.Struct, "", 8, field("x", 0, s32), field("y", 4, s32))
	addr := compoundOf(schema.Union, "union addr", 16, field("v4", 0, u32), field("v6", 0, array(4, u32)))
	value := compoundOf(schema.Struct, "struct flow", 120,
		field("bytes", 0, u64), field("point", 8, point), field("hist", 16, array(3, u32)), field("comm", 28, array(8, char)),
		field("state", 36, state), bits("fin", 320, 1, u32), bits("window", 321, 11, u32), bits("delta", 332, 5, s32),
		field("addr", 44, addr),
		schema.Field{Offset: 60, Type: compoundOf(schema.Union, "", 4, field("spi", 0, u32), field("ports", 0, array(2, u16)))},
		schema.Field{Offset: 64, Type: compoundOf(schema.Struct, "", 8, field("rtt_us", 0, u32), field("is_up", 4, yes))},
		field("ratio", 72, f64), field("sk", 80, ptr), field("type", 88, u8), field("wide", 96, u128), field("mac", 112, array(6, u8)),
	)
	key := compoundOf(schema.Struct, "struct key", 8, field("id", 0, u32), field("port", 4, u16), field("proto", 6, u8))
	return &Rows{Name: "flows", Key: key, Value: value, KeySize: 8, ValueSize: 120}
}

func packed() *Rows {
	inner := compoundOf(schema.Struct, "struct inner", 12, field("at", 0, u64), field("n", 8, s32))
	value := compoundOf(schema.Struct, "struct event", 41,
		field("kind", 0, u8), field("id", 1, u32), field("delta", 5, s16), field("ratio", 7, f64), field("up", 15, yes),
		field("first", 16, inner), bits("low", 28*8+3, 5, u8), bits("high", 29*8, 12, u16), bits("sign", 30*8+4, 4, s32),
		field("pair", 31, array(2, compoundOf(schema.Struct, "", 4, field("a", 0, u32)))), field("tail", 39, array(2, u8)),
	)
	return &Rows{Name: "events.v2", Key: u32, Value: value, KeySize: 4, ValueSize: 41, CPUs: 2}
}

func bare() *Rows { return &Rows{Name: "raw", KeySize: 6, ValueSize: 1} }

var printers = map[string]func(*Rows) string{"go": Go, "h": C, "rs": Rust, "py": Python}

func TestGolden(t *testing.T) {
	for name, rows := range map[string]*Rows{"natural": natural(), "packed": packed(), "bare": bare()} {
		if err := (&schema.Schema{Version: schema.Version, Key: rows.Key, Value: rows.Value}).Check(); err != nil {
			t.Fatal(err)
		}
		for ext, print := range printers {
			got := print(rows)
			file := filepath.Join("testdata", name+"."+ext+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
	}
}

func TestGoIsFormatted(t *testing.T) {
	for _, rows := range []*Rows{natural(), packed(), bare()} {
		got := Go(rows)
		want, err := format.Source([]byte(got))
		if err != nil || got != string(want) {
			t.Errorf("%v; got\n%s\ngofmt makes it\n%s", err, got, want)
		}
	}
}
