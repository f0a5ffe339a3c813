// SPDX-License-Identifier: Apache-2.0

package changes_test

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
)

// kinds are the maps that differ in how they are read, looked up, or laid out.
var kinds = []struct {
	name   string
	spec   ebpf.MapSpec
	engine string
}{
	{"hash", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32}, ""},
	{"hash by batch", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32}, reader.EngineBatch},
	{"hash by iterator", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 5, ValueSize: 13}, reader.EngineIter},
	{"hash by walk", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 37, ValueSize: 3}, reader.EngineWalk},
	{"lru", ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8, ValueSize: 8}, ""},
	{"percpu hash", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 12}, ""},
	{"percpu lru", ebpf.MapSpec{Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 8}, ""},
	{"array", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 20}, ""},
	{"mmapable array", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 20, Flags: unix.BPF_F_MMAPABLE}, ""},
	{"percpu array", ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8}, ""},
	{"trie", ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 16, Flags: unix.BPF_F_NO_PREALLOC}, ""},
}

// TestFollow writes, deletes and empties a map of every kind between scans: the
// table is what the map is, with at most one scan's delay for deleted keys.
func TestFollow(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.spec.MaxEntries = 700
			m := bpftest.NewMap(t, &kind.spec)
			r := newRing(t, 4<<20)
			f := newFeed(t, r, m, reader.Options{Engine: kind.engine}, changes.Options{KeyframeEvery: 7})
			w := newWriter(t, m)
			for round := range 40 {
				switch {
				case round == 25:
					w.empty()
				case round != 0:
					w.write(round * 3)
				}
				f.scan()
				r.drain(1 << 20)
				f.holds(w.rows(), round)
				f.scan()
				r.drain(1 << 20)
				f.equals(w.rows())
			}
			s := f.stage.Stats()
			if s.Full != "" || s.Keyframes < 10 || f.table.keyframes != int(s.Keyframes) || s.Quiet < 5 {
				t.Fatalf("%+v, applied %d keyframes, %d changes", s, f.table.keyframes, f.table.changes)
			}
		})
	}
}

// holds fails unless all that is in the map is in the table.
func (f *feed) holds(rows map[string]string, round int) {
	f.tb.Helper()
	if !f.table.fresh {
		f.tb.Fatalf("round %d: the table is stale", round)
	}
	for key, value := range rows {
		if f.table.rows[key] != value {
			f.tb.Fatalf("round %d: key %x is %x, was read as %x", round, key, value, f.table.rows[key])
		}
	}
}

func (f *feed) equals(rows map[string]string) {
	f.tb.Helper()
	if !f.table.fresh || !maps.Equal(f.table.rows, rows) {
		f.tb.Fatalf("fresh: %v, %d rows of %d", f.table.fresh, len(f.table.rows), len(rows))
	}
}

// writer changes a map from user space, and reads it by plain lookups.
type writer struct {
	t      *testing.T
	m      *ebpf.Map
	random *rand.Rand
	cpus   int // 0: one value a key
	array  bool
	keys   map[string]bool
}

func newWriter(t *testing.T, m *ebpf.Map) *writer {
	w := &writer{t: t, m: m, random: rand.New(rand.NewPCG(1, 2)), keys: map[string]bool{}}
	switch m.Type() {
	case ebpf.PerCPUHash, ebpf.PerCPUArray, ebpf.LRUCPUHash:
		w.cpus = ebpf.MustPossibleCPU()
	}
	w.array = m.Type() == ebpf.Array || m.Type() == ebpf.PerCPUArray
	return w
}

func (w *writer) write(n int) {
	w.t.Helper()
	for range n {
		key := w.key()
		if !w.array && w.random.IntN(3) == 0 {
			w.m.Delete(key)
			continue
		}
		if err := w.m.Put(key, w.value()); err != nil {
			w.t.Fatal(err)
		}
		w.keys[string(key)] = true
	}
}

func (w *writer) key() []byte {
	key := make([]byte, max(8, w.m.KeySize()))
	i := uint32(w.random.IntN(400))
	binary.LittleEndian.PutUint32(key, i)
	key[w.m.KeySize()-1] |= byte(i) & 1
	if w.array {
		binary.LittleEndian.PutUint32(key, i)
	}
	if w.m.Type() == ebpf.LPMTrie {
		binary.LittleEndian.PutUint32(key, 8+i%25) // nested prefixes
		binary.BigEndian.PutUint32(key[4:], 0x0a000000|i<<7)
		prefix := 0xffffffff << (24 - i%25)
		binary.BigEndian.PutUint32(key[4:], binary.BigEndian.Uint32(key[4:])&uint32(prefix))
	}
	return key[:w.m.KeySize()]
}

func (w *writer) value() any {
	one := func() []byte {
		b := make([]byte, w.m.ValueSize())
		for i := range b {
			b[i] = byte(w.random.IntN(256))
		}
		return b
	}
	if w.cpus == 0 {
		return one()
	}
	all := make([][]byte, w.cpus)
	for i := range all {
		all[i] = one()
	}
	return all
}

func (w *writer) empty() {
	w.t.Helper()
	if w.array {
		return
	}
	for key := range w.keys {
		w.m.Delete([]byte(key))
	}
}

// rows is the map by plain lookups.
func (w *writer) rows() map[string]string {
	w.t.Helper()
	rows := map[string]string{}
	var key []byte
	for it := w.m.Iterate(); ; {
		var value []byte
		if w.cpus == 0 {
			if !it.Next(&key, &value) {
				if err := it.Err(); err != nil {
					w.t.Fatal(err)
				}
				return rows
			}
		} else {
			var all [][]byte
			if !it.Next(&key, &all) {
				if err := it.Err(); err != nil {
					w.t.Fatal(err)
				}
				return rows
			}
			for _, v := range all {
				value = append(value, v...)
				value = append(value, make([]byte, (8-len(v)%8)%8)...)
			}
		}
		rows[string(key)] = string(value)
	}
}

// TestQuiet publishes nothing while nothing changes, and allocates nothing.
func TestQuiet(t *testing.T) {
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 5000})
	for i := range uint32(4000) {
		if err := m.Put(i, make([]byte, 32)); err != nil {
			t.Fatal(err)
		}
	}
	r := newRing(t, 4<<20)
	f := newFeed(t, r, m, reader.Options{}, changes.Options{KeyframeEvery: 1 << 20})
	f.scan()
	head := r.publisher.Totals()
	if n := testing.AllocsPerRun(20, func() { f.scan() }); n != 0 {
		t.Errorf("%v allocations a scan", n)
	}
	if now := r.publisher.Totals(); now != head {
		t.Fatalf("published %+v after %+v", now, head)
	}
	if err := m.Put(uint32(7), append(make([]byte, 31), 1)); err != nil {
		t.Fatal(err)
	}
	f.scan()
	if now := r.publisher.Totals(); now.Frames != head.Frames+1 || now.Rows != head.Rows+1 {
		t.Fatalf("published %+v after %+v", now, head)
	}
}

// TestBudget publishes in full what does not fit, and returns to changes when it
// does.
func TestBudget(t *testing.T) {
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 20000})
	r := newRing(t, 4<<20)
	f := newFeed(t, r, m, reader.Options{}, changes.Options{Budget: changes.NewBudget(400 << 10), KeyframeEvery: 1 << 20})
	fill := func(n int) map[string]string {
		rows := map[string]string{}
		for i := range uint32(n) {
			if err := m.Put(i, bpftest.ChurnValue(i)); err != nil {
				t.Fatal(err)
			}
			rows[string(binary.LittleEndian.AppendUint32(nil, i))] = string(bpftest.ChurnValue(i))
		}
		return rows
	}
	look := func(full bool, rows map[string]string) {
		t.Helper()
		f.sink.tear = func() bool { return false }
		if _, err := f.source.Scan(t.Context(), f.stage); err != nil && !full {
			t.Fatal(err)
		}
		f.scan()
		r.drain(1 << 20)
		f.equals(rows)
		if s := f.stage.Stats(); (s.Full != "") != full || full != (s.HistoryBytes == 0) {
			t.Fatalf("%+v", s)
		}
	}
	look(false, fill(100))
	look(true, fill(20000))
	for i := 100; i < 20000; i++ {
		if err := m.Delete(uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	look(false, fill(100))
}

// TestWant makes the next scan a keyframe, once a second at most.
func TestWant(t *testing.T) {
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10})
	r := newRing(t, 1<<20)
	f := newFeed(t, r, m, reader.Options{}, changes.Options{KeyframeEvery: 1 << 20})
	f.scan()
	for range 100 {
		f.stage.Want()
		f.scan()
	}
	if k := f.stage.Stats().Keyframes; k < 1 || k > 2 {
		t.Fatalf("%d keyframes", k)
	}
}

// TestKeyframeThatIsTorn is made up for by the next scan, even if it was torn before
// its first frame and nothing has changed: it may be the first in a new ring.
func TestKeyframeThatIsTorn(t *testing.T) {
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 10})
	f := newFeed(t, newRing(t, 1<<20), m, reader.Options{}, changes.Options{KeyframeEvery: 1 << 20})
	f.scan()
	r := newRing(t, 1<<20)
	f.join(r)
	torn := true
	f.sink.tear = func() bool { return torn }
	if err := f.scan(); err == nil {
		t.Fatal("not torn")
	}
	torn = false
	f.scan()
	r.drain(1 << 20)
	f.equals(newWriter(t, m).rows())
}
