// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// mapModel is a map and the sidecar that publishes it: what was published last,
// and how. Rows are of flows, whose values prove themselves.
type mapModel struct {
	t         testing.TB
	producer  *shm.Producer
	content   map[uint32]uint64 // key to the flow's row
	published map[uint32]uint64 // by the last scan that was whole; nil: none yet
	scan      uint64
	broken    bool // the last scan was not whole, so the next is a keyframe
	rowCount  uint64
}

func addModel(t testing.TB, p *shm.Publisher, name string) *mapModel {
	t.Helper()
	info := flowInfo(name)
	info.Flags = shm.SourceChanges
	producer, err := p.AddSource(info)
	if err != nil {
		t.Fatal(err)
	}
	return &mapModel{t: t, producer: producer, content: map[uint32]uint64{}, broken: true}
}

// frame commits rows, or deletes, as one frame of the current scan.
func (m *mapModel) frame(kind shm.Kind, flags shm.Flags, keys []uint32) {
	m.t.Helper()
	stride, size := 40, 40*len(keys)
	b, err := m.producer.Claim(m.t.Context(), size, size)
	if err != nil {
		m.t.Fatal(err)
	}
	for i, key := range keys {
		row := b[i*stride:][:stride]
		clear(row)
		binary.LittleEndian.PutUint32(row, key)
		if kind == shm.KindRows {
			v := makeFlow(m.content[key])
			copy(row[8:], bytesOf(&v))
		}
	}
	m.producer.Commit(shm.Content{
		Kind: kind, Flags: flags, Rows: uint32(len(keys)), Bytes: size,
		KeyStride: uint32(stride), ValuesOffset: 8, ValueStride: uint32(stride), Scan: m.scan, TimeNS: monotonic.Now(),
	})
}

// batchOf is a batch of rows, or of deletes; pairs are keys and values.
func batchOf(kind Kind, pairs ...[2][]byte) *Batch {
	b := &Batch{Kind: kind, Rows: len(pairs), rows: uint32(len(pairs))}
	if len(pairs) == 0 {
		return b
	}
	b.keySize, b.valueSize = uint32(len(pairs[0][0])), uint32(len(pairs[0][1]))
	b.keyStride, b.valuesAt, b.valueStride = b.keySize+b.valueSize, b.keySize, b.keySize+b.valueSize
	for _, pair := range pairs {
		b.payload = slices.Concat(b.payload, pair[0], pair[1])
	}
	return b
}

// change writes and deletes keys, as programs do, and says which.
func (m *mapModel) change(r *rand.Rand) (written, deleted []uint32) {
	for range r.IntN(40) {
		key := r.Uint32N(200)
		m.rowCount++
		m.content[key] = m.rowCount<<32 | uint64(key)
		written = append(written, key)
	}
	for range r.IntN(20) {
		if key := r.Uint32N(200); m.content[key] != 0 && !slices.Contains(written, key) {
			delete(m.content, key)
			deleted = append(deleted, key)
		}
	}
	return written, deleted
}

// publish publishes a scan; between its frames something may happen, which may
// break it off.
func (m *mapModel) publish(r *rand.Rand, keyframe bool, between func(frame int) (goOn bool)) {
	m.t.Helper()
	written, deleted := m.change(r)
	m.scan++
	var frames []func(shm.Flags)
	rows := func(kind shm.Kind, keys []uint32) {
		for chunk := range slices.Chunk(keys, 1+r.IntN(30)) {
			frames = append(frames, func(f shm.Flags) { m.frame(kind, f, chunk) })
		}
	}
	var flags shm.Flags
	if keyframe = keyframe || m.broken; keyframe {
		flags = shm.FlagKeyframe
		rows(shm.KindRows, slices.Collect(maps.Keys(m.content)))
		rows(shm.KindDeletes, deleted)
	} else {
		rows(shm.KindRows, slices.Compact(slices.Sorted(slices.Values(written))))
		rows(shm.KindDeletes, deleted)
		if len(frames) == 0 {
			m.scan--
			return // nothing changed
		}
	}
	if len(frames) == 0 || r.IntN(4) == 0 {
		frames = append(frames, func(f shm.Flags) { m.frame(shm.KindRows, f, nil) })
	}
	m.broken = true
	for i, frame := range frames {
		f := flags
		if i == 0 {
			f |= shm.FlagFirst
		}
		if i == len(frames)-1 {
			f |= shm.FlagLast
		}
		frame(f)
		if i < len(frames)-1 && !between(i) {
			return
		}
	}
	m.broken, m.published = false, maps.Clone(m.content)
}

// check holds a table against the model.
func (m *mapModel) check(table *Table[flowKey, flow]) error {
	got := map[uint32]uint64{}
	for k, v := range table.All() {
		if v != makeFlow(v.Row) || uint32(v.Row) != k.ID {
			return fmt.Errorf("%w: %v %v", errTorn, k, v)
		}
		got[k.ID] = v.Row
	}
	if !table.Fresh() {
		return nil
	}
	if m.published == nil {
		return fmt.Errorf("fresh, and nothing was published")
	}
	if !maps.Equal(got, m.published) || table.Len() != len(got) {
		return fmt.Errorf("fresh (%+v) with %d rows, expected %d", table.Status(), len(got), len(m.published))
	}
	for key := range uint32(200) {
		v, ok := table.Get(flowKey{key})
		if row, want := m.published[key]; ok != want || ok && v != makeFlow(row) {
			return fmt.Errorf("key %d: %v %v, expected %v", key, v, ok, want)
		}
	}
	return nil
}

// mirror is a map kept from a table's changes alone.
type mirror map[uint32]uint64

func (m mirror) listen(table *Table[flowKey, flow]) {
	table.OnChange(func(k flowKey, old, new *flow) {
		was, ok := m[k.ID]
		if ok != (old != nil) || ok && was != old.Row || old != nil && new != nil && *old == *new {
			m[1<<31] = 1 // told of what was not so
		}
		if delete(m, k.ID); new != nil {
			m[k.ID] = new.Row
		}
	})
}

func (m mirror) check(table *Table[flowKey, flow]) error {
	got := mirror{}
	for k, v := range table.All() {
		got[k.ID] = v.Row
	}
	if !maps.Equal(m, got) {
		return fmt.Errorf("changes lead to %d rows, the table has %d", len(m), len(got))
	}
	return nil
}
