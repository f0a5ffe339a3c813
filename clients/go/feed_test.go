// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// Every row of these tests proves itself: the value's words follow from its
// first, which is the row's number, and the key is its low half.

type flowKey struct{ ID uint32 }

type flow struct{ Row, Packets, Bytes, Errors uint64 }

func makeFlow(row uint64) flow {
	w := func(i int) uint64 { return bits.RotateLeft64(row*0x9E3779B97F4A7C15+uint64(i), i*7) }
	return flow{row, w(1), w(2), w(3)}
}

var errTorn = errors.New("torn row")

func checkFlow(k *flowKey, v *flow) error {
	if *v != makeFlow(v.Row) || k.ID != uint32(v.Row) {
		return fmt.Errorf("%w: key %d with %+v", errTorn, k.ID, *v)
	}
	return nil
}

func flowSchema() *schema.Schema {
	return &schema.Schema{
		Key:   structOf("struct flow_key", 4, field("id", 0, u32)),
		Value: structOf("struct flow", 32, field("row", 0, u64), field("packets", 8, u64), field("bytes", 16, u64), field("errors", 24, u64)),
	}
}

func flowInfo(name string) shm.SourceInfo {
	return shm.SourceInfo{Name: name, KeySize: 4, ValueSize: 32, MapValueSize: 32, Schema: flowSchema().Encode()}
}

// feed publishes scans of flows as one engine does: a column of keys, a column
// of values.
type feed struct {
	producer *shm.Producer
	scan     uint64
	rows     uint64
}

func addFeed(t testing.TB, p *shm.Publisher, info shm.SourceInfo) *feed {
	t.Helper()
	r, err := p.AddSource(info)
	if err != nil {
		t.Fatal(err)
	}
	return &feed{producer: r}
}

// publish commits one frame that is a whole scan.
func (f *feed) publish(ctx context.Context, rows int) error {
	valuesAt := (rows*4 + 7) &^ 7
	size := valuesAt + rows*32
	b, err := f.producer.Claim(ctx, size, size)
	if err != nil {
		return err
	}
	clear(b[rows*4 : valuesAt])
	le := binary.LittleEndian
	for i := range rows {
		v := makeFlow(f.rows + uint64(i))
		le.PutUint32(b[i*4:], uint32(v.Row))
		for word, w := range [4]uint64{v.Row, v.Packets, v.Bytes, v.Errors} {
			le.PutUint64(b[valuesAt+i*32+word*8:], w)
		}
	}
	f.scan++
	f.rows += uint64(rows)
	f.producer.Commit(shm.Content{
		Kind: shm.KindRows, Flags: shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe, Rows: uint32(rows), Bytes: size,
		KeyStride: 4, ValuesOffset: uint32(valuesAt), ValueStride: 32, Scan: f.scan, TimeNS: monotonic.Now(),
	})
	return nil
}

func (f *feed) must(t testing.TB, frames, rows int) {
	t.Helper()
	for range frames {
		if err := f.publish(context.Background(), rows); err != nil {
			t.Fatal(err)
		}
	}
}

// raw commits one frame of the bytes given, keys and values interleaved.
func (f *feed) raw(t testing.TB, keySize, valueSize int, rows ...[]byte) {
	t.Helper()
	stride := keySize + valueSize
	b, err := f.producer.Claim(t.Context(), stride*len(rows), stride*len(rows))
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		if len(row) != stride {
			t.Fatalf("row of %d bytes, expected %d", len(row), stride)
		}
		copy(b[i*stride:], row)
	}
	f.producer.Commit(shm.Content{
		Kind: shm.KindRows, Flags: shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe, Rows: uint32(len(rows)), Bytes: stride * len(rows),
		KeyStride: uint32(stride), ValuesOffset: uint32(keySize), ValueStride: uint32(stride),
	})
}

// next takes one batch, which must be of a kind.
func next(t testing.TB, sub *Subscription, kind Kind) *Batch {
	t.Helper()
	for b, err := range sub.Batches(deadline(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Kind == KindHangs && kind != KindHangs {
			continue // the rings of most tests do not beat
		}
		if b.Kind != kind {
			t.Fatalf("got %v %+v, expected %v", b.Kind, b.Lost, kind)
		}
		return b
	}
	t.Fatalf("no batch, expected %v", kind)
	return nil
}
