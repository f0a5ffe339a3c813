// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// packedEvent is what Go cannot write as a struct: fields out of alignment,
// bitfields, an anonymous union.
func packedEvent() *schema.Type {
	flags := structOf("", 4, bitField("a", 0, 3, u32), bitField("b", 3, 13, s32), bitField("on", 16, 1, cBool), bitField("c", 17, 15, u32))
	address := unionOf("", 4, field("v4", 0, u32), field("octets", 0, arrayOf(4, u8)))
	return structOf("struct event", 63,
		field("kind", 0, u8), field("bytes", 1, u64), field("delta", 9, s32), field("load", 13, cDouble), field("part", 21, cFloat),
		schema.Field{Offset: 25, Type: flags}, schema.Field{Offset: 29, Type: address},
		field("ports", 33, arrayOf(3, structOf("struct port", 4, field("number", 0, u16), field("hits", 2, u16)))),
		field("comm", 45, arrayOf(8, cChar)), field("state", 53, negative), field("small", 57, s8), bitField("wide", 58*8+4, 36, u64))
}

func eventBytes() []byte {
	le := binary.LittleEndian
	b := []byte{9}
	b = le.AppendUint64(b, 1<<40+7)
	b = le.AppendUint32(b, ^uint32(41)) // -42
	b = le.AppendUint64(b, math.Float64bits(2.5))
	b = le.AppendUint32(b, math.Float32bits(-0.5))
	minus5 := uint32(0x1FFF - 4) // -5 in 13 bits
	b = le.AppendUint32(b, 6|minus5<<3|1<<16|0x7ABC<<17)
	b = append(b, 10, 0, 0, 1)
	for i := range uint16(3) {
		b = le.AppendUint16(le.AppendUint16(b, 80+i), 1000+i)
	}
	b = append(b, "nginx\x00\x00\x00"...)
	b = le.AppendUint32(b, ^uint32(0)) // -1
	b = append(b, 0x80)
	return append(b, 0x50|0xF, 0x11, 0x22, 0x33, 0x44) // 36 bits above four
}

// columnSub has one batch of two rows: a zero one and an event.
func columnSub(t *testing.T) (*Subscription, *Batch) {
	s := open(t, socketPath(t), 64<<10)
	info := shm.SourceInfo{Name: "events", KeySize: 4, ValueSize: 63, MapValueSize: 63, Schema: (&schema.Schema{Key: u32, Value: packedEvent()}).Encode()}
	f := addFeed(t, s.ring, info)
	sub := s.attach(t, Options{Start: StartOldest})
	event := eventBytes()
	if len(event) != 63 {
		t.Fatal(len(event))
	}
	f.raw(t, 4, 63, make([]byte, 67), append([]byte{1, 2, 3, 4}, event...))
	return sub, next(t, sub, KindRows)
}

func expectColumn[T Number](t *testing.T, sub *Subscription, b *Batch, path string, want T) {
	t.Helper()
	c, err := ColumnOf[T](sub, "events", path)
	if err != nil {
		t.Error(err)
		return
	}
	if v := c.In(b); v.Len() != 2 || v.At(0) != 0 || v.At(1) != want {
		t.Errorf("%s: %d rows, %v and %v, expected 0 and %v", path, v.Len(), v.At(0), v.At(1), want)
	}
}

func TestColumns(t *testing.T) {
	sub, b := columnSub(t)
	expectColumn[uint32](t, sub, b, "key", 0x04030201)
	expectColumn[uint8](t, sub, b, "value.kind", 9)
	expectColumn[uint64](t, sub, b, "value.bytes", 1<<40+7)
	expectColumn[int32](t, sub, b, "value.delta", -42)
	expectColumn[int64](t, sub, b, "value.delta", -42)
	expectColumn[float64](t, sub, b, "value.load", 2.5)
	expectColumn[float32](t, sub, b, "value.part", -0.5)
	expectColumn[float64](t, sub, b, "value.part", -0.5)
	expectColumn[uint8](t, sub, b, "value.a", 6)
	expectColumn[int16](t, sub, b, "value.b", -5)
	expectColumn[uint8](t, sub, b, "value.on", 1)
	expectColumn[int64](t, sub, b, "value.c", 0x7ABC)
	expectColumn[uint32](t, sub, b, "value.v4", 10|1<<24)
	expectColumn[uint8](t, sub, b, "value.octets[3]", 1)
	expectColumn[uint16](t, sub, b, "value.ports[2].hits", 1002)
	expectColumn[int64](t, sub, b, "value.ports[0].number", 80)
	expectColumn[uint8](t, sub, b, "value.comm[1]", 'g')
	expectColumn[int32](t, sub, b, "value.state", -1)
	expectColumn[int8](t, sub, b, "value.small", -128)
	expectColumn[int16](t, sub, b, "value.small", -128)
	expectColumn[uint64](t, sub, b, "value.wide", 0x443322115)
	c, err := BytesOf(sub, "events", "value.comm")
	if err != nil {
		t.Fatal(err)
	}
	if v := c.In(b); v.Len() != 2 || string(v.At(1)) != "nginx\x00\x00\x00" || cap(v.At(1)) != 8 {
		t.Errorf("%d %q", v.Len(), v.At(1))
	}
	expectPanic(t, "row 2 of a batch of 2", func() { c.In(b).At(2) })
	if v := c.In(sub.note.remark(KindGone, Loss{})); v.Len() != 0 {
		t.Error("bytes of no rows")
	}
}

func TestColumnsSayWhyNot(t *testing.T) {
	sub, _ := columnSub(t)
	for path, want := range map[string]string{
		"":                  `begin it with "key" or "value"`,
		"bytes":             `begin it with "key" or "value"`,
		"value.byte":        `it has no member "byte"; it has kind, bytes, delta, load, part, a, b, on, c, v4, octets, ports`,
		"value.":            `it has no member ""`,
		"value.ports[3]":    "it has 3 elements",
		"value.ports[x]":    `"[x]" is no index`,
		"value.ports[1":     "is no index",
		"value.kind[0]":     "it is no array",
		"value.kind.x":      `it has no member "x"; it has none`,
		"value.ports":       "it is no number but array; use BytesOf",
		"value":             "it is no number but struct",
		"value.bytes":       "int32 does not hold every such number; use ColumnOf[uint64]",
		"value.load":        "use ColumnOf[float64]",
		"key":               "use ColumnOf[uint32]",
		"value.ports[0][1]": "it is no array",
	} {
		_, err := ColumnOf[int32](sub, "events", path)
		if !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nlacks %q", path, err, want)
		}
	}
	if _, err := ColumnOf[uint64](sub, "events", "value.delta"); err == nil || !strings.Contains(err.Error(), "use ColumnOf[int32]") {
		t.Error(err)
	}
	if _, err := ColumnOf[int8](sub, "events", "value.b"); err == nil {
		t.Error("13 bits in 8")
	}
	if _, err := ColumnOf[uint32](sub, "nothing", "key"); !errors.Is(err, ErrNoSource) {
		t.Error(err)
	}
	if _, err := BytesOf(sub, "events", "value.a"); err == nil || !strings.Contains(err.Error(), "bitfield of 3 bits; use ColumnOf") {
		t.Error(err)
	}
}

func TestColumnsWithoutTypes(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, shm.SourceInfo{Name: "raw", KeySize: 4, ValueSize: 6})
	sub := s.attach(t, Options{Start: StartOldest})
	keys, err := ColumnOf[int32](sub, "raw", "key")
	if err != nil {
		t.Fatal(err)
	}
	values, err := BytesOf(sub, "raw", "value")
	if err != nil {
		t.Fatal(err)
	}
	f.raw(t, 4, 6, []byte("\xfe\xff\xff\xffvalues"))
	b := next(t, sub, KindRows)
	if keys.In(b).At(0) != -2 || string(values.In(b).At(0)) != "values" {
		t.Errorf("%d %q", keys.In(b).At(0), values.In(b).At(0))
	}
	if _, err := ColumnOf[uint64](sub, "raw", "value"); err == nil || !strings.Contains(err.Error(), "6 bytes of unknown type") {
		t.Error(err)
	}
	if _, err := ColumnOf[uint8](sub, "raw", "value.x"); err == nil || !strings.Contains(err.Error(), `only "value" as a whole`) {
		t.Error(err)
	}
}
