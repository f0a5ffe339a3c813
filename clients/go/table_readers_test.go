// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// Goroutines read a table while scans are applied as fast as they can be. A
// scan gives every key a value of its number: whoever sees two numbers in one
// snapshot, or a number go back, or a torn row, has seen what never was.
func TestReadersBesideAWriter(t *testing.T) {
	table := &Table[flowKey, flow]{}
	table.replica.init(&Source{KeySize: 4, ValueSize: 32})
	table.state.Store(&condition{over: make(chan struct{})})
	writeScan(table, 1)
	var done atomic.Bool
	var readers sync.WaitGroup
	var looks [4]atomic.Int64
	enough := func() bool { // beside the writer, not before or after it
		return looks[0].Load() > 50000 && looks[1].Load() > 50000 && looks[2].Load() > 300 && looks[3].Load() > 300
	}
	for i := range looks {
		readers.Go(func() {
			var last uint64
			for k := uint32(0); !done.Load(); k = (k + 1) % scanKeys {
				looks[i].Add(1)
				if i < 2 {
					v, ok := table.Get(flowKey{k})
					if !ok || v != makeFlow(v.Row) || uint32(v.Row) != k || v.Row>>32 < last {
						t.Errorf("key %d: %+v, %v after scan %d", k, v, ok, last)
						return
					}
					last = v.Row >> 32
					continue
				}
				s := table.Snapshot()
				runtime.Gosched()
				n := 0
				for k, v := range s.All() {
					n++
					if v != makeFlow(s.Scan()<<32|uint64(k.ID)) {
						t.Errorf("scan %d: key %d has %+v", s.Scan(), k.ID, v)
						return
					}
				}
				if n != scanKeys || s.Scan() < last {
					t.Errorf("%d keys of scan %d after %d", n, s.Scan(), last)
					return
				}
				if last = s.Scan(); i == 2 {
					s.Release()
				}
			}
		})
	}
	for scan := uint64(2); scan < 1<<16 && !enough(); scan++ {
		writeScan(table, scan)
	}
	done.Store(true)
	readers.Wait()
}

// scanKeys is how many keys a scan of writeScan has.
const scanKeys = 500

// writeScan applies a scan that sets every key: a keyframe, or one of changes;
// or half of one, and a keyframe after it.
func writeScan(table *Table[flowKey, flow], scan uint64) {
	put := func(keys uint32) {
		batch := changeBatch(0, int(keys))
		for k := range keys {
			v := makeFlow(scan<<32 | uint64(k))
			copy(batch.Value(int(k)), bytesOf(&v))
		}
		table.tracker.put(batch, maxRows)
	}
	if scan%7 > 0 {
		table.changes()
	} else {
		table.tracker.whole(4, 32)
	}
	if scan%11 == 0 {
		put(scanKeys / 2)
		table.drop()
		table.tracker.whole(4, 32)
	}
	put(scanKeys)
	table.show(&Batch{Source: table.shown.Load().source.Load(), Scan: scan})
	if scan%3 > 0 {
		table.catchUp()
	}
}

// A table of one's own: opened, waited for, watched, closed.
func TestOpenTable(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	if _, err := OpenTable[flowKey, flow](t.Context(), Options{Socket: s.path, Source: "no"}); !errors.Is(err, ErrNoSource) {
		t.Error(err)
	}
	if _, err := OpenTable[flowKey, uint32](t.Context(), Options{Socket: s.path, Source: "flows"}); !errors.Is(err, ErrLayout) {
		t.Error(err)
	}
	table, err := OpenTable[flowKey, flow](t.Context(), Options{Socket: s.path, Source: "flows"})
	if err != nil {
		t.Fatal(err)
	}
	if s := table.Status(); s.Fresh || s.Reason != StaleNoKeyframe {
		t.Errorf("%+v", s)
	}
	f.must(t, 1, 10)
	if err := table.Wait(deadline(t)); err != nil {
		t.Fatal(err)
	}
	v, ok := table.Get(flowKey{3})
	if _, no := table.Get(flowKey{10}); !ok || no || v != makeFlow(3) || table.Len() != 10 {
		t.Errorf("%v %v %v, %d rows", v, ok, no, table.Len())
	}
	told := make(chan uint32, 100)
	table.OnChange(func(k flowKey, old, new *flow) {
		if is, was := new != nil, old != nil; is == was || is && *new != makeFlow(uint64(k.ID)) || was && *old != makeFlow(uint64(k.ID)) {
			t.Errorf("%v %v %v", k, old, new)
		}
		told <- k.ID
	})
	f.must(t, 1, 5) // other keys: ten are gone, five are new
	for range 10 + 10 + 5 {
		<-told
	}
	if st := table.Stats(); st.Frames != 2 {
		t.Errorf("%+v", st)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if err := table.Wait(t.Context()); !errors.Is(err, ErrClosed) || table.Status().Reason != StaleEnded {
		t.Error(err)
	}
	if _, ok := table.Get(flowKey{12}); !ok || table.Len() != 5 { // it stays
		t.Error(table.Len())
	}
}

// A table of which the last word was that the sidecar is gone says so, until
// there is another and its keyframe has come.
func TestTableSurvivesARestart(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("flows")).must(t, 1, 10)
	ctx, cancel := context.WithCancel(t.Context())
	table, err := OpenTable[flowKey, flow](ctx, Options{Socket: s.path, Source: "flows"})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := table.Wait(deadline(t)); err != nil {
		t.Fatal(err)
	}
	over := table.state.Load().over
	old := s.ring
	s.replace(t, 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	s.finish(t, old, shm.StateEnded)
	<-over
	if table.Fresh() || table.Len() != 10 {
		t.Errorf("%+v", table.Status())
	}
	f.must(t, 1, 4)
	if err := table.Wait(deadline(t)); err != nil || table.Len() != 4 {
		t.Error(err, table.Len())
	}
	cancel()
	<-table.done
	if err := table.Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestPerCPUTables(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, shm.SourceInfo{Name: "calls", KeySize: 4, ValueSize: 16, MapValueSize: 4, CPUs: 2, Flags: shm.SourcePerCPU})
	sub := s.attach(t, Options{Start: StartOldest})
	typed, err := PerCPUTableOf[uint32, uint32](sub, "calls")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := RawTableOf(sub, "calls")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	typed.OnChange(func(key uint32, old, new Slots[uint32]) {
		if told++; old.Len() != 0 || new.Len() != 2 || *new.On(0) != key+1 {
			t.Errorf("%d: %v %v", key, old, new)
		}
	})
	f.raw(t, 4, 16, append([]byte{7, 0, 0, 0}, words(8, 70)...), append([]byte{8, 0, 0, 0}, words(9, 80)...))
	b := next(t, sub, KindRows)
	if !typed.Apply(b) || !raw.Apply(b) || raw.Apply(b) != true || told != 2 {
		t.Error("nothing changed", told)
	}
	got, ok := typed.Get(7)
	if _, no := typed.Get(9); !ok || no || got.Len() != 2 || *got.On(0) != 8 || *got.On(1) != 70 {
		t.Error(got, ok, no)
	}
	for key, slots := range typed.Snapshot().All() {
		if *slots.On(1) != key*10 {
			t.Errorf("%d: %d", key, *slots.On(1))
		}
	}
	v, ok := raw.Get([]byte("<"), []byte{8, 0, 0, 0})
	if _, no := raw.Get(nil, []byte{8}); !ok || no || string(v) != "<"+string(words(9, 80)) || raw.Snapshot().Source().CPUs != 2 {
		t.Errorf("%q %v %v", v, ok, no)
	}
}

func TestTablesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := benchTable(5000)
	batch := changeBatch(5000, 100)
	var v flow
	get := func() { v, _ = table.Get(flowKey{uint32(v.Row) + 1}) }
	change := func() {
		table.changes()
		table.tracker.rows(batch)
		table.show(batch)
	}
	whole := func() {
		table.tracker.whole(4, 32)
		table.tracker.rows(batch)
		table.show(batch)
	}
	change()
	change()
	for name, f := range map[string]func(){"get": get, "change": change} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	whole()
	whole()
	whole()
	if n := testing.AllocsPerRun(100, whole); n != 0 {
		t.Errorf("a keyframe allocates %v times", n)
	}
}
