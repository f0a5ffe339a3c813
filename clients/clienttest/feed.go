// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"context"
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Feed is a source whose every row proves itself: the value's words follow from
// its first, which is the row's number, and the key is its low half. The programs
// that read it have the same.
type Feed struct {
	producer *shm.Producer
	Scan     uint64 // the newest
	Rows     uint64 // published by Publish
}

// AddFeed makes a source of a ring.
func AddFeed(tb testing.TB, p *shm.Publisher, flags shm.SourceFlags) *Feed {
	tb.Helper()
	word := func(size int) *schema.Type { return &schema.Type{Kind: schema.Uint, Size: size} }
	s := schema.Schema{Key: word(4), Value: &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: 32, Fields: []schema.Field{
		{Name: "row", Type: word(8)}, {Name: "packets", Offset: 8, Type: word(8)},
		{Name: "bytes", Offset: 16, Type: word(8)}, {Name: "errors", Offset: 24, Type: word(8)},
	}}}
	r, err := p.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 32, MapValueSize: 32, MaxEntries: 1 << 16, Flags: flags, Schema: s.Encode()})
	if err != nil {
		tb.Fatal(err)
	}
	return &Feed{producer: r}
}

// WholeScan marks a frame that is a scan.
const WholeScan = shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe

// Publish commits one frame of the next rows, which is a whole scan.
func (f *Feed) Publish(tb testing.TB, rows int) {
	tb.Helper()
	numbers := make([]uint64, rows)
	for i := range numbers {
		numbers[i] = f.Rows + uint64(i)
	}
	f.Scan++
	f.Rows += uint64(rows)
	f.Frame(tb, shm.KindRows, WholeScan, numbers...)
}

// Frame commits one frame of the rows of these numbers.
func (f *Feed) Frame(tb testing.TB, kind shm.Kind, flags shm.Flags, numbers ...uint64) {
	tb.Helper()
	rows := len(numbers)
	valuesAt := (rows*4 + 7) &^ 7
	size := valuesAt + rows*32
	b, err := f.producer.Claim(context.Background(), size, size)
	if err != nil {
		tb.Fatal(err)
	}
	clear(b)
	le := binary.LittleEndian
	for i, n := range numbers {
		le.PutUint32(b[i*4:], uint32(n))
		le.PutUint64(b[valuesAt+i*32:], n)
		for word := 1; word < 4; word++ {
			le.PutUint64(b[valuesAt+i*32+word*8:], bits.RotateLeft64(n*0x9E3779B97F4A7C15+uint64(word), word*7))
		}
	}
	f.producer.Commit(shm.Content{
		Kind: kind, Flags: flags, Rows: uint32(rows), Bytes: size,
		KeyStride: 4, ValuesOffset: uint32(valuesAt), ValueStride: 32, Scan: f.Scan, TimeNS: shm.Monotonic(),
	})
}
