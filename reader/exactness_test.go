// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// tally is what the scans of a churned map showed.
type tally struct {
	scans, rows, discarded int
	mixed, torn            int // rows that never were; rows with a word that never was
	missed, repeated       int // untouched keys
}

const (
	steady  = 30_000 // keys that nobody touches
	churned = 30_000 // keys that are put in and taken out all the time
)

// TestChurn reads a hash that programs on all CPUs change as fast as they can,
// and holds every row against what can have been there.
func TestChurn(t *testing.T) {
	type churner func(testing.TB, *ebpf.Map, uint32, uint32) func()
	for _, tc := range []struct {
		engine string
		flags  uint32
		typ    ebpf.MapType
		churn  churner
		exact  bool // no untouched key is ever missed or repeated
	}{
		// Overwriting moves elements, so the pump follows the lists; the end of a list
		// tells it that it was led astray. The others promise nothing but a rate.
		{reader.EnginePump, 0, ebpf.Hash, bpftest.Churn, false},
		{reader.EnginePump, 1 /* BPF_F_NO_PREALLOC */, ebpf.Hash, bpftest.Churn, false},
		{reader.EngineSweep, 0, ebpf.Hash, bpftest.Churn, false},
		{reader.EngineIter, 0, ebpf.Hash, bpftest.Churn, false},
		{reader.EnginePump, 0, ebpf.LRUHash, bpftest.Churn, false},
		{reader.EngineSweep, 0, ebpf.PerCPUHash, bpftest.Churn, false},
		{reader.EngineIter, 0, ebpf.PerCPUHash, bpftest.Churn, false},
		// Where nothing is overwritten, or that moves nothing, elements are taken where
		// they lie, and stay there.
		{reader.EnginePump, 0, ebpf.Hash, bpftest.ChurnInserts, true},
		{reader.EnginePump, 0, ebpf.PerCPUHash, bpftest.Churn, true},
		{reader.EnginePump, 0, ebpf.LRUCPUHash, bpftest.Churn, true},
		// Batches hold the bucket's lock.
		{reader.EngineBatch, 0, ebpf.Hash, bpftest.Churn, true},
		{reader.EngineBatch, 0, ebpf.LRUHash, bpftest.Churn, true},
		{reader.EngineBatch, 0, ebpf.PerCPUHash, bpftest.Churn, true},
		{reader.EngineBatch, 0, ebpf.LRUCPUHash, bpftest.Churn, true},
	} {
		name := tc.typ.String() + "/" + tc.engine
		if tc.exact {
			name += "/exact"
		}
		if tc.flags != 0 {
			name += "/no-prealloc"
		}
		t.Run(name, func(t *testing.T) {
			m, pin := bpftest.NewPinned(t, "churn", &ebpf.MapSpec{Type: tc.typ, Flags: tc.flags,
				KeySize: 4, ValueSize: bpftest.ChurnBytes, MaxEntries: roomFor(tc.typ)})
			put(t, m, steady+churned)
			emptyByBatch(t, m)
			put(t, m, steady)
			s := open(t, pin, reader.Options{Engine: tc.engine, MaxHold: time.Second})
			stop := tc.churn(t, m, steady, churned)
			defer stop()
			sum := watch(t, s, churnFor)
			stop()
			t.Logf("%+v", sum)
			if sum.mixed+sum.torn > 0 {
				t.Errorf("%d mixed and %d torn rows", sum.mixed, sum.torn)
			}
			if tc.exact && sum.missed+sum.repeated > 0 {
				t.Errorf("%d untouched keys missed, %d repeated", sum.missed, sum.repeated)
			}
		})
	}
}

// TestOverwritten reads hashes in which nothing comes or goes, but every key is
// overwritten all the time, which moves its element. What the pump has to notice
// by itself; without that it would miss thousands of keys in every scan.
func TestOverwritten(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.LRUHash} {
		t.Run(typ.String(), func(t *testing.T) { overwritten(t, typ) })
	}
}

func overwritten(t *testing.T, typ ebpf.MapType) {
	m, pin := bpftest.NewPinned(t, "churn", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: bpftest.ChurnBytes, MaxEntries: roomFor(typ)})
	put(t, m, steady)
	s := open(t, pin, reader.Options{Engine: reader.EnginePump, MaxHold: time.Second})
	stop := bpftest.ChurnOverwrites(t, m, 0, steady)
	defer stop()
	sum := watch(t, s, churnFor)
	stop()
	t.Logf("%+v", sum)
	if sum.mixed+sum.torn > 0 {
		t.Errorf("%d mixed and %d torn rows", sum.mixed, sum.torn)
	}
	if sum.missed+sum.repeated > sum.scans*steady/1000 {
		t.Errorf("%d keys missed and %d repeated in %d scans of %d", sum.missed, sum.repeated, sum.scans, steady)
	}
}

// roomFor leaves an LRU map room for all: it is not to throw out the keys that
// nobody touches, which is its own affair and no reader's.
func roomFor(typ ebpf.MapType) uint32 {
	if typ == ebpf.LRUHash || typ == ebpf.LRUCPUHash {
		return 2 * 65536
	}
	return 65536
}

func perCPU(m *ebpf.Map) bool { return m.Type() == ebpf.PerCPUHash || m.Type() == ebpf.LRUCPUHash }

func put(t *testing.T, m *ebpf.Map, keys uint32) {
	t.Helper()
	for key := range keys {
		var value any = bpftest.ChurnValue(key)
		if perCPU(m) {
			value = slices.Repeat([][]byte{bpftest.ChurnValue(key)}, ebpf.MustPossibleCPU())
		}
		if err := m.Put(key, value); err != nil {
			t.Fatal(err)
		}
	}
}

// emptyByBatch leaves links in the elements of an LRU map that look, while it is
// churned, like those of elements that are there.
func emptyByBatch(t *testing.T, m *ebpf.Map) {
	t.Helper()
	values := m.MaxEntries()
	if perCPU(m) {
		values *= uint32(ebpf.MustPossibleCPU())
	}
	var cursor ebpf.MapBatchCursor
	n, err := m.BatchLookupAndDelete(&cursor, make([]uint32, m.MaxEntries()), make([][bpftest.ChurnBytes]byte, values), nil)
	if n != steady+churned {
		t.Fatalf("%d rows deleted of %d: %v", n, steady+churned, err)
	}
}

// churnFor is short: these are tests. The rates in the documentation come from
// longer runs of the same.
const churnFor = 500 * time.Millisecond

// observer looks at rows while they are lent: keeping them would take longer
// than reading them.
type observer struct {
	*readertest.Memory
	lent []byte
	seen [steady]uint8
	cpus int // values a row
	tally
}

// watch scans for a while.
func watch(t *testing.T, s *reader.Source, d time.Duration) tally {
	o := &observer{Memory: readertest.New(t, 1<<20), cpus: max(1, s.Info().CPUs)}
	for end := time.Now().Add(d); time.Now().Before(end); o.scans++ {
		stats, err := s.Scan(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		o.rows += stats.Rows
		o.discarded += stats.Discarded
		for _, n := range o.seen {
			switch {
			case n == 0:
				o.missed++
			case n > 1:
				o.repeated += int(n) - 1
			}
		}
	}
	return o.tally
}

func (o *observer) Claim(ctx context.Context, least, most int) (buf []byte, err error) {
	o.lent, err = o.Memory.Claim(ctx, least, most)
	return o.lent, err
}

func (o *observer) Commit(f reader.Frame) {
	if f.First { // the scan before it may have been broken off
		clear(o.seen[:])
	}
	for i := range f.Rows {
		key := binary.LittleEndian.Uint32(o.lent[f.Keys.Offset+i*f.Keys.Stride:])
		if key < steady {
			o.seen[key]++
		}
		values := o.lent[f.Values.Offset+i*f.Values.Stride:][:o.cpus*bpftest.ChurnBytes]
		for value := range slices.Chunk(values, bpftest.ChurnBytes) {
			o.look(key, value)
		}
	}
	o.Memory.Commit(f)
}

// look holds one CPU's value against its key. Where there is one a CPU, a key
// that was put in on another has none here: it is zero, and may be found while
// it is given a value, word by word.
func (o *observer) look(key uint32, value []byte) {
	for w := range uint32(bpftest.ChurnBytes / 8) {
		word := binary.LittleEndian.Uint64(value[8*w:])
		if word == 0 && o.cpus > 1 && key >= steady {
			continue
		}
		if uint32(word>>32) != ^uint32(word) {
			o.torn++
		}
		if uint32(word>>32) != key+w {
			o.mixed++
			return
		}
	}
}
