// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// pair is a Go type and the C type it is held against.
type pair struct {
	name string
	goes reflect.Type
	c    *schema.Type
	// want are parts of the error's text; none: it fits.
	want []string
}

func of[T any](name string, c *schema.Type, want ...string) pair {
	return pair{name, reflect.TypeFor[T](), c, want}
}

func runPairs(t *testing.T, pairs []pair) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			s := schema.Schema{Version: schema.Version, Value: p.c}
			if err := s.Check(); err != nil {
				t.Fatal(err) // the test's own C type is impossible
			}
			m := matcher{source: "flows", side: sideValue}
			err := m.match(p.goes, p.c, p.c.Size)
			if (err != nil) != (len(p.want) > 0) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			var layout *LayoutError
			if !errors.Is(err, ErrLayout) || !errors.As(err, &layout) || layout.Remedy == "" {
				t.Errorf("not a LayoutError with a remedy: %#v", err)
			}
			for _, want := range p.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
		})
	}
}

func TestScalars(t *testing.T) {
	runPairs(t, []pair{
		of[uint8]("u8", u8), of[uint16]("u16", u16), of[uint32]("u32", u32), of[uint64]("u64", u64),
		of[int8]("s8", s8), of[int32]("s32", s32), of[int64]("s64", s64),
		of[float32]("float", cFloat), of[float64]("double", cDouble),
		of[bool]("bool", cBool), of[uint8]("bool as u8", cBool),
		of[uint64]("pointer", cPointer),
		of[uint8]("char as byte", cChar), of[int8]("char as int8", cChar),
		of[uint32]("enum", state), of[int32]("enum, signed in Go", state), of[int32]("negative enum", negative),
		of[[16]byte]("128 bits, raw", u128), of[[8]byte]("u64, raw", u64),
		of[struct{ N uint32 }]("wrapped in Go", u32),
		of[uint32]("wrapped in C", structOf("struct in_addr", 4, field("s_addr", 0, u32))),

		of[int32]("sign", u32, "int32 (offset 0)", "value (__u32) (offset 0)", "C is unsigned", "use uint32"),
		of[uint64]("unsigned for signed", s64, "C is signed", "use int64"),
		of[uint32]("unsigned for negative enum", negative, "C is signed", "use int32"),
		of[uint32]("too small", u64, "Go has 4 bytes, C has 8", "use uint64"),
		of[uint64]("too large", u32, "Go has 8 bytes, C has 4", "use uint32"),
		of[float32]("float for int", u32, "C has kind uint", "use uint32"),
		of[uint32]("int for float", cFloat, "C has kind float", "use float32"),
		of[bool]("bool for u8", u8, "use uint8"),
		of[int64]("signed pointer", cPointer, "C has kind pointer", "use uint64"),
		of[[2]uint64]("128 bits in two words", u128, "use [16]byte"),
	})
}

var (
	padded   = structOf("struct padded", 16, field("a", 0, u32), field("b", 8, u64))
	counters = structOf("struct counters", 16, field("rx_bytes", 0, u64), field("tx_bytes", 8, u64))
)

func TestStructs(t *testing.T) {
	type inner struct {
		A uint32
		B uint16
	}
	cInner := structOf("struct inner", 8, field("a", 0, u32), field("b", 4, u16))
	cOuter := structOf("struct outer", 24, field("in", 0, cInner), field("more", 8, arrayOf(2, cInner)))
	anonymous := structOf("struct v", 16, schema.Field{Offset: 0, Type: structOf("", 8, field("a", 0, u32), field("b", 4, u32))}, field("c", 8, u64))
	runPairs(t, []pair{
		of[flow]("plain", flowSchema().Value),
		of[struct {
			In   inner
			More [2]inner
		}]("nested", cOuter),
		of[struct {
			A    uint32
			B    uint16
			_    uint16
			More [2]inner
		}]("nested in C, flat in Go", cOuter),
		of[struct {
			In   inner
			Rest [16]byte
		}]("raw rest", cOuter),
		of[struct {
			A uint32
			B uint64
		}]("both pad alike", padded),
		of[struct {
			A uint32
			_ uint32
			B uint64
		}]("explicit padding", padded),
		of[struct {
			_ [8]byte
			B uint64
		}]("skipped field", padded),
		of[struct {
			A, B uint32
			C    uint64
		}]("anonymous in C", anonymous),
		of[struct {
			inner2
			C uint64
		}]("embedded in Go", anonymous),
		of[[2]uint64]("array for like fields", counters),
		of[struct{ RxBytes, TxBytes uint64 }]("names agree", counters),
		of[struct{ In, Out uint64 }]("other names", counters),
		of[struct{ Both [16]uint8 }]("raw whole", counters),
	})
}

func TestStructsThatDoNotFit(t *testing.T) {
	runPairs(t, []pair{
		of[struct{ TxBytes, RxBytes uint64 }]("swapped", counters,
			".TxBytes uint64 (offset 0)", "value.tx_bytes (__u64) (offset 8)", "lies elsewhere", "order of fields"),
		of[struct {
			A, B uint32
			_    uint64
		}]("named like one, lying on padding", padded, ".B uint32 (offset 4)", "value.b (__u64) (offset 8)", "put a field `_ [4]byte` before it"),
		of[struct {
			A, X uint32
			_    uint64
		}]("on padding", padded, ".X uint32 (offset 4)", "only padding", "name the Go field _"),
		of[struct {
			A uint32
		}]("too short", padded, "Go has 4 bytes, a value of the map has 16", "append a field `_ [12]byte`"),
		of[struct{ A, B, C uint64 }]("too long", counters, ".C uint64 (offset 16)", "ends at byte 24, C ends at 16"),
		of[struct {
			A uint64
			B uint64
		}]("straddles", structOf("struct s", 16, field("x", 0, u32), field("y", 4, u32), field("z", 8, u64)), "Go has 8 bytes, C has 4", "value.x"),
	})
}

type inner2 struct{ A, B uint32 }

func TestPackedStructsPointToColumns(t *testing.T) {
	packed := structOf("struct event", 20, field("id", 0, u32), field("bytes", 4, u64), field("time", 12, u64))
	type event struct {
		ID          uint32
		Bytes, Time uint64
	}
	tail := structOf("struct tail", 12, field("bytes", 0, u64), field("id", 8, u32))
	runPairs(t, []pair{
		of[event]("20 bytes in C, 24 in Go", packed,
			"event.Bytes uint64 (offset 8)", "value.bytes (__u64) (offset 4)", "packed", `ColumnOf[uint64](sub, "flows", "value.bytes")`),
		of[struct {
			ID   uint32
			Rest [16]byte
		}]("raw rest", packed),
		of[struct {
			Bytes uint64
			ID    uint32
		}]("packed at its end", tail, "Go has 16 bytes", "12", "packed"),
		of[struct{ Events [2]event }]("in an array", structOf("struct s", 40, field("events", 0, arrayOf(2, packed))), "Events", "packed", "BytesOf"),
		of[struct {
			ID   uint32
			Name uint64
		}]("without a namesake", structOf("struct s", 12, field("a", 0, u32), field("b", 4, u64)), "Name uint64 (offset 8)", "value.b", "packed"),
	})
}

func TestArrays(t *testing.T) {
	comm := arrayOf(16, cChar)
	runPairs(t, []pair{
		of[[16]byte]("text", comm), of[[16]int8]("text as int8", comm),
		of[[4]uint32]("numbers", arrayOf(4, u32)), of[[2][3]uint16]("two dimensions", arrayOf(2, arrayOf(3, u16))),
		of[[16]byte]("numbers, raw", arrayOf(4, u32)), of[[1]uint64]("one", arrayOf(1, u64)),
		of[struct {
			A uint32
			_ uint32
		}]("flexible", structOf("struct s", 8, field("a", 0, u32), field("b", 8, arrayOf(0, u64)))),

		of[[4]int32]("sign", arrayOf(4, u32), "[4]int32", "value (array)", "use [4]uint32"),
		of[[8]uint16]("other elements", arrayOf(4, u32), "use [4]uint32"),
		of[[16]int8]("int8 for u8", arrayOf(16, u8), "use [16]uint8"),
		of[[4]uint32]("numbers for text", comm, "use [16]byte"),
		of[struct {
			Ports [3]uint32
			_     uint32
		}]("too few", structOf("struct s", 16, field("ports", 0, arrayOf(4, u32)))),
		of[struct{ Ports [4]uint32 }]("too many", structOf("struct s", 16, field("ports", 0, arrayOf(2, u32)), field("x", 8, u64)),
			"Ports[2] uint32 (offset 8)", "value.x"),
	})
}

func TestUnions(t *testing.T) {
	address := unionOf("union address", 16, field("v4", 0, u32), field("v6", 0, arrayOf(16, u8)), field("words", 0, arrayOf(2, u64)))
	inside := structOf("struct s", 24, field("address", 0, address), field("bytes", 16, u64))
	anonymous := structOf("struct s", 24, schema.Field{Offset: 0, Type: address}, field("bytes", 16, u64))
	runPairs(t, []pair{
		of[[16]byte]("raw", address), of[[2]uint64]("a member", address),
		of[struct {
			V4 uint32
			_  [12]byte
		}]("a small member and padding", address),
		of[struct {
			Address [2]uint64
			Bytes   uint64
		}]("in a struct", inside),
		of[struct {
			V4    uint32
			_     [12]byte
			Bytes uint64
		}]("anonymous", anonymous),
		of[struct {
			V4    uint32
			Rest  [12]byte
			Bytes uint64
		}]("several members", anonymous),

		of[struct {
			Address [2]int64
			Bytes   uint64
		}]("no member", inside, "Address [2]int64", "value.address.words", "use [2]uint64"),
		of[struct {
			V4    float32
			_     [12]byte
			Bytes uint64
		}]("wrong kind", inside, "V4 float32", "value.address.v4"),
	})
}

func TestBitfields(t *testing.T) {
	bits := structOf("struct bits", 8, bitField("ack", 0, 1, u32), bitField("seq", 1, 31, u32), field("port", 4, u32))
	split := structOf("struct split", 4, bitField("a", 0, 4, u32), bitField("b", 4, 12, u32), field("c", 2, u16))
	runPairs(t, []pair{
		of[struct{ Flags, Port uint32 }]("covered", bits), of[[8]byte]("raw", bits),
		of[struct {
			_    uint32
			Port uint32
		}]("skipped", bits),
		of[struct{ AB, C uint16 }]("smaller unit", split),
		of[struct {
			AB [2]byte
			C  uint16
		}]("raw unit", split),

		of[struct {
			Flags int32
			Port  uint32
		}]("signed", bits, "Flags int32", "value.ack", "unsigned integer", `ColumnOf[uint32](sub, "flows", "value.ack")`),
		of[struct {
			Flags uint16
			_     uint16
			Port  uint32
		}]("cut", bits, "Flags uint16", "bitfields", "ColumnOf"),
		of[struct{ Flags uint32 }]("with a neighbour", split, "Flags uint32", "bitfields"),
	})
}

func TestGoTypesMustBePlain(t *testing.T) {
	c := structOf("struct s", 8, field("a", 0, u64))
	runPairs(t, []pair{
		of[struct{ P *uint64 }]("pointer", c, ".P *uint64", "holds a Go pointer"),
		of[struct{ S string }]("string", c, ".S string", "fixed-size array"),
		of[struct{ S []byte }]("slice", c, "holds a Go pointer"),
		of[struct{ M map[int]int }]("map", c, "holds a Go pointer"),
		of[struct{ F func() }]("func", c, "holds a Go pointer"),
		of[struct{ I any }]("interface", c, "holds a Go pointer"),
		of[struct{ A [2]struct{ P *int } }]("deep", c, ".A[0].P *int"),
		of[struct{ _ *int }]("blank", c, "holds a Go pointer"),
		of[int]("int", c, "depends on the machine", "int64"),
		of[uint]("uint", c, "depends on the machine"),
		of[struct{ P uintptr }]("uintptr", c, "depends on the machine", "uint64"),
		of[complex64]("complex", c, "complex64"),
	})
}

func TestWithoutTypesSizesAreCompared(t *testing.T) {
	m := matcher{source: "flows", side: sideKey}
	if err := m.match(reflect.TypeFor[flowKey](), nil, 4); err != nil {
		t.Error(err)
	}
	err := m.match(reflect.TypeFor[flowKey](), nil, 8)
	if err == nil || !strings.Contains(err.Error(), "Go has 4 bytes, a key of the map has 8") || !strings.Contains(err.Error(), "only sizes were compared") {
		t.Error(err)
	}
}

// FuzzLayout: whatever a schema says, holding types and paths against it ends,
// and no error is without a text.
func FuzzLayout(f *testing.F) {
	f.Add(flowSchema().Encode(), "value.bytes")
	f.Add((&schema.Schema{Key: u128, Value: packedEvent()}).Encode(), "value.ports[2].hits")
	f.Add((&schema.Schema{Key: arrayOf(0, u64), Value: structOf("", 0)}).Encode(), "key[0]")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		s, err := schema.Decode(text)
		if err != nil {
			t.Skip()
		}
		src := &Source{Name: "fuzz", Schema: s, CPUs: len(path) % 3}
		for side, typ := range map[string]*schema.Type{sideKey: s.Key, sideValue: s.Value} {
			if typ == nil {
				continue
			}
			for _, g := range []reflect.Type{
				reflect.TypeFor[flow](), reflect.TypeFor[[2]struct{ A, B uint16 }](), reflect.TypeFor[[4][2]int8](), reflect.TypeFor[[64]byte](),
				reflect.TypeFor[struct {
					Ports [3]struct{ Number, Hits uint16 }
					Flags uint32
				}](),
			} {
				m := matcher{source: "fuzz", side: side}
				if err := m.match(g, typ, typ.Size); err != nil && err.Error() == "" {
					t.Error("an error without a text")
				}
			}
		}
		src.KeySize, src.ValueSize, src.slotValueSize = 4, 12, 4
		c, _, err := src.locate(path)
		if err == nil {
			_, _ = numberIn[uint32](src, c)
		}
	})
}

func TestOpaqueBytesFitAnything(t *testing.T) {
	opaque := structOf("struct s", 16, field("lock", 0, &schema.Type{Kind: schema.Bytes, Name: "struct bpf_timer", Size: 8}), field("n", 8, u64))
	runPairs(t, []pair{
		of[struct{ Lock, N uint64 }]("a number", opaque),
		of[struct {
			Lock struct{ A, B uint32 }
			N    uint64
		}]("a struct", opaque),
	})
}
