// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"context"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Feed is a source whose every row proves itself: the value's words follow from
// its first, which is the row's number, and the key is its low half. The programs
// that read it have the same.
type Feed struct {
	ring     *shm.Publisher
	producer *shm.Producer
	Scan     uint64 // the newest
	Rows     uint64 // published by Publish
}

// AddFeed makes a source of a ring.
func AddFeed(tb testing.TB, p *shm.Publisher, flags shm.SourceFlags) *Feed {
	tb.Helper()
	f, err := NewFeed(p, flags)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// NewFeed is AddFeed outside of a test.
func NewFeed(p *shm.Publisher, flags shm.SourceFlags) (*Feed, error) {
	number := func(size int, name string) *schema.Type {
		return &schema.Type{Kind: schema.Uint, Name: name, Size: size}
	}
	value := &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: 32}
	for i, name := range []string{"row", "packets", "bytes", "errors"} {
		value.Fields = append(value.Fields, schema.Field{Name: name, Offset: i * 8, Type: number(8, "__u64")})
	}
	text := (&schema.Schema{Key: number(4, "__u32"), Value: value}).Encode()
	r, err := p.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 32, MapValueSize: 32, MaxEntries: 1 << 16, Flags: flags, Schema: text})
	return &Feed{ring: p, producer: r}, err
}

// WholeScan marks a frame that is a scan.
const WholeScan = shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe

// Publish commits one frame of the next rows, which is a whole scan.
func (f *Feed) Publish(tb testing.TB, rows int) {
	tb.Helper()
	if err := f.Send(rows); err != nil {
		tb.Fatal(err)
	}
}

// PublishEach publishes frames of so many rows.
func (f *Feed) PublishEach(tb testing.TB, frames, rows int) {
	tb.Helper()
	for range frames {
		f.Publish(tb, rows)
	}
}

// Send is Publish outside of a test.
func (f *Feed) Send(rows int) error {
	numbers := make([]uint64, rows)
	for i := range numbers {
		numbers[i] = f.Rows + uint64(i)
	}
	f.Scan++
	f.Rows += uint64(rows)
	return f.frame(shm.KindRows, WholeScan, numbers)
}

// SendUntil sends frames of fewer rows than most until done is closed.
func (f *Feed) SendUntil(done <-chan struct{}, most int) error {
	for {
		select {
		case <-done:
			return nil
		default:
			if err := f.Send(rand.IntN(most)); err != nil {
				return err
			}
		}
	}
}

// Frame commits one frame of the rows of these numbers.
func (f *Feed) Frame(tb testing.TB, kind shm.Kind, flags shm.Flags, numbers ...uint64) {
	tb.Helper()
	if err := f.frame(kind, flags, numbers); err != nil {
		tb.Fatal(err)
	}
}

func (f *Feed) frame(kind shm.Kind, flags shm.Flags, numbers []uint64) error {
	rows := len(numbers)
	valuesAt := (rows*4 + 7) &^ 7
	size := valuesAt + rows*32
	b, err := f.producer.Claim(context.Background(), size, size)
	if err != nil {
		return err
	}
	clear(b[rows*4 : valuesAt])
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
		KeyStride: 4, ValuesOffset: uint32(valuesAt), ValueStride: 32, Scan: f.Scan, TimeNS: monotonic.Now(),
	})
	f.ring.Beat()
	return nil
}
