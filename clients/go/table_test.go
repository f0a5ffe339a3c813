// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// A lap at every frame of a keyframe: the table never shows half of one.
func TestLapsAtEveryFrameOfAKeyframe(t *testing.T) {
	const frames = 8
	for lapAt := range frames {
		w := newWorld(t, uint64(lapAt))
		m, table := w.models[0], w.tables[0]
		keys := func(frame int) []uint32 { return []uint32{uint32(frame), uint32(frame + 100)} }
		whole := func(round uint64, between func(frame int)) {
			m.scan++
			for f := range frames {
				for _, k := range keys(f) {
					m.content[k] = round<<32 | uint64(k)
				}
			}
			for f := range frames {
				flags := shm.FlagKeyframe
				if f == 0 {
					flags |= shm.FlagFirst
				}
				if f == frames-1 {
					flags |= shm.FlagLast
				}
				m.frame(shm.KindRows, flags, keys(f))
				between(f)
			}
			m.published = maps.Clone(m.content)
		}
		whole(1, func(int) { w.read(3) })
		w.settle()
		if !table.Fresh() || table.Len() != 2*frames {
			t.Fatalf("%+v", table.Status())
		}
		before := table.Snapshot()
		whole(2, func(f int) {
			if w.read(f % 3); f == lapAt {
				w.lap()
			}
		})
		w.settle()
		if lapAt < frames-1 && table.Fresh() {
			t.Errorf("lap after frame %d: fresh", lapAt)
		}
		if s := table.Status(); !s.Fresh && (s.Reason != StaleLoss || s.Rows != 2*frames) {
			t.Errorf("lap after frame %d: %+v", lapAt, s)
		}
		whole(3, func(int) { w.read(2) })
		w.settle()
		for k, v := range before.All() { // and a snapshot is what it was
			if v != makeFlow(1<<32|uint64(k.ID)) {
				t.Errorf("%v %+v", k, v)
			}
		}
		if !table.Fresh() || before.Len() != 2*frames || !before.Fresh() || before.Scan() != 1 {
			t.Errorf("%+v, snapshot of %d", table.Status(), before.Len())
		}
	}
}

// Every way to become stale, by its name, and back.
func TestTableSaysWhyItIsStale(t *testing.T) {
	never := func(int) bool { return true }
	for want, happen := range map[StaleReason]func(*world, *mapModel){
		StaleLoss: func(w *world, _ *mapModel) { w.lap() },
		StaleBroken: func(w *world, m *mapModel) {
			m.content[1] = 1
			w.breakOff(m)
			m.frame(shm.KindRows, shm.FlagFirst, nil)
		},
		StaleRestart: func(w *world, _ *mapModel) {
			w.restart()
		},
		StaleReplaced: func(w *world, _ *mapModel) { w.replace(0) },
		StaleRetired:  func(w *world, m *mapModel) { m.producer.Retire() },
		StaleHangs:    func(w *world, _ *mapModel) { w.sub.setHanging(true) },
		StaleLayout: func(w *world, m *mapModel) {
			other := flowInfo("a")
			other.ValueSize = 8
			by := addFeed(w.t, w.s.ring, other)
			m.producer.Supersede(by.producer)
			by.raw(w.t, 4, 8, make([]byte, 12))
		},
	} {
		w := newWorld(t, 1)
		m, table := w.models[0], w.tables[0]
		m.publish(w.r, true, never)
		w.settle()
		was := table.Snapshot()
		if s := table.Status(); !s.Fresh || s.Reason != NotStale || s.Rows != was.Len() || s.Bytes == 0 || s.Scan != m.scan || s.TimeNS == 0 {
			t.Fatalf("%+v", s)
		}
		happen(w, m)
		w.misfits()
		if s := table.Status(); s.Fresh || s.Reason != want || s.Rows != was.Len() {
			t.Errorf("%v: %+v", want, s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := table.Wait(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), want.String()) {
			t.Errorf("%v: %v", want, err)
		}
		if want == StaleLayout || want == StaleRetired {
			continue // for good
		}
		w.sub.setHanging(false)
		w.sub.hangs = false
		w.models[0].scan += 2
		w.models[0].publish(w.r, true, never)
		w.settle()
		if err := table.Wait(deadline(t)); err != nil || !table.Fresh() {
			t.Errorf("%v: %v", want, err)
		}
	}
}

// breakOff publishes the beginning of a scan of changes.
func (w *world) breakOff(m *mapModel) {
	m.scan++
	m.frame(shm.KindRows, shm.FlagFirst, []uint32{1})
	m.scan++
}

// misfits settles while errors of layouts come.
func (w *world) misfits() {
	for !w.idle() {
		b, err := w.sub.step(deadline(w.t))
		if err != nil && !errors.Is(err, ErrLayout) {
			w.t.Fatal(err)
		}
		if b != nil {
			w.tables[0].Apply(b)
		}
	}
}

// What the publisher must not do, a gap in a source's frames, is seen as well.
func TestTableSeesAGapAlone(t *testing.T) {
	w := newWorld(t, 1)
	w.models[0].publish(w.r, true, func(int) bool { return true })
	w.settle()
	src := w.tables[0].src
	w.tables[0].Apply(&Batch{Kind: KindRows, Source: src, First: true, Last: true, Scan: 2, sourceSeq: w.tables[0].next + 1})
	if s := w.tables[0].Status(); s.Reason != StaleLoss {
		t.Errorf("%+v", s)
	}
}

// More rows than a map can hold come from no map.
func TestTableIsBounded(t *testing.T) {
	s := open(t, socketPath(t), 1<<20)
	info := flowInfo("flows")
	info.MaxEntries = 100
	f := addFeed(t, s.ring, info)
	sub := s.attach(t, Options{Start: StartOldest})
	table, err := TableOf[flowKey, flow](sub, "flows")
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{400, 401, 100} {
		f.must(t, 1, rows)
		table.Apply(next(t, sub, KindRows))
		if want := rows <= 400; table.Fresh() != want || !want && (table.Status().Reason != StaleTooLarge || table.Len() != 400) {
			t.Errorf("%d rows: %+v", rows, table.Status())
		}
	}
}

// Between two rings nobody knows what the next one tells already.
func TestTableIsStaleBetweenRings(t *testing.T) {
	w := newWorld(t, 1)
	m, table := w.models[0], w.tables[0]
	m.publish(w.r, true, func(int) bool { return true })
	w.settle()
	fresh := table.Fresh()
	w.s.finish(t, w.s.ring, shm.StateSuperseded)
	for w.sub.lease != nil {
		if _, err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	if s := table.Status(); !fresh || s.Fresh || s.Reason != StaleRestart {
		t.Errorf("was fresh: %v, now %+v", fresh, s)
	}
	// That its own program has no more time does not mean that nobody is there.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.sub.comeBack(ended); err != nil || w.sub.gone {
		t.Errorf("%v, told that the sidecar is gone: %v", err, w.sub.gone)
	}
}

// Whoever lost the first scan of a map that took another's place asks for that map,
// though none of its frames has come.
func TestTableAsksForTheMapThatIsThere(t *testing.T) {
	w := newWorld(t, 1)
	always := func(int) bool { return true }
	w.models[0].publish(w.r, true, always)
	w.settle()
	w.grant() // what was asked for before
	w.replace(0)
	w.models[0].publish(w.r, true, always)
	w.lap()
	w.models[1].publish(w.r, true, always)
	w.settle()
	w.models[0].broken = false
	if w.grant(); w.tables[0].Fresh() || !w.models[0].broken {
		t.Errorf("%+v, granted %v", w.tables[0].Status(), w.models[0].broken)
	}
}

// A full map whose keys are all others in every scan: each is told to be gone only
// after two scans without it, and behind the rows of the second.
func TestTableOfAMapThatTurnsOver(t *testing.T) {
	const entries = 4
	s := open(t, socketPath(t), 1<<20)
	info := flowInfo("flows")
	info.MaxEntries, info.Flags = entries, shm.SourceChanges
	producer, err := s.ring.AddSource(info)
	if err != nil {
		t.Fatal(err)
	}
	m := &mapModel{t: t, producer: producer, content: map[uint32]uint64{}}
	sub := s.attach(t, Options{Start: StartOldest})
	table, err := TableOf[flowKey, flow](sub, "flows")
	if err != nil {
		t.Fatal(err)
	}
	scan := func(n uint32) (keys []uint32) {
		for i := range uint32(entries) {
			keys = append(keys, n*entries+i)
			m.content[n*entries+i] = uint64(n*entries + i)
		}
		return keys
	}
	for n := range uint32(10) {
		m.scan++
		flags := shm.FlagFirst
		if n == 0 {
			flags |= shm.FlagKeyframe
		}
		if n < 2 { // nothing is missed for the second time yet
			m.frame(shm.KindRows, flags|shm.FlagLast, scan(n))
			table.Apply(next(t, sub, KindRows))
		} else {
			m.frame(shm.KindRows, flags, scan(n))
			m.frame(shm.KindDeletes, shm.FlagLast, scan(n-2))
			table.Apply(next(t, sub, KindRows))
			table.Apply(next(t, sub, KindDeletes))
		}
		if want := entries * min(int(n)+1, 2); !table.Fresh() || table.Len() != want {
			t.Fatalf("scan %d: %+v, expected %d rows", n, table.Status(), want)
		}
	}
}

// Padding is zero in what is looked up, whatever the caller's memory holds, and
// tells keys apart in the map, as it does for the kernel.
func TestKeysWithHoles(t *testing.T) {
	type key struct {
		A uint8
		_ uint8
		B uint16
		C uint8
		D uint32
	}
	src := &Source{KeySize: 12, ValueSize: 8}
	table := &Table[key, uint64]{holes: holesOf(whole(reflect.TypeFor[key]()))}
	if got := fmt.Sprint(table.holes); got != "[{1 2} {5 8}]" {
		t.Error(got)
	}
	table.replica.init(src)
	table.whole(12, 8)
	var rows [][2][]byte
	for i, pad := range []byte{0, 9} {
		v := uint64(i)
		rows = append(rows, [2][]byte{{1, pad, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0}, bytesOf(&v)})
	}
	table.put(batchOf(KindRows, rows...), maxRows)
	table.show(&Batch{Source: src})
	k := key{A: 1, B: 2, C: 3, D: 4}
	copy(bytesOf(&k)[5:8], "abc")
	if v, ok := table.Get(k); !ok || v != 0 || table.Len() != 2 {
		t.Error(v, ok, table.Len())
	}
}

// Keys of every length are found, and removed, against a Go map.
func TestStoreAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for size := range 40 {
		var rep replica
		rep.init(&Source{KeySize: size, ValueSize: 3})
		want := map[string]string{}
		rep.whole(size, 3)
		rep.show(&Batch{})
		row := func() [2][]byte {
			k, v := make([]byte, size), []byte{byte(r.Uint32()), 1, 2}
			for i := range k {
				k[i] = byte(r.IntN(3))
			}
			return [2][]byte{k, v}
		}
		for range 30 {
			rep.changes()
			for range 4 { // the same keys may come again in one batch
				var put, removed [][2][]byte
				for range r.IntN(2 * block) {
					put, removed = append(put, row()), append(removed, row())
				}
				for _, p := range put {
					want[string(p[0])] = string(p[1])
				}
				for _, p := range removed[:len(removed)/2] {
					delete(want, string(p[0]))
				}
				if !rep.put(batchOf(KindRows, put...), maxRows) {
					t.Fatal("no room")
				}
				rep.remove(batchOf(KindDeletes, removed[:len(removed)/2]...))
			}
			if rep.show(&Batch{}); r.IntN(2) == 0 {
				rep.catchUp()
			}
		}
		s := (&RawSnapshot{snapshot{store: rep.pin()}})
		got := map[string]string{}
		for k, v := range s.All() {
			got[string(k)] = string(v)
			if !slices.Equal(s.Get(k), v) {
				t.Errorf("%x is not found", k)
			}
		}
		if !maps.Equal(got, want) || s.Len() != len(want) {
			t.Errorf("keys of %d bytes: %d rows, expected %d", size, len(got), len(want))
		}
		s.Release()
	}
}

// A typed lookup finds what was stored under the key's bytes, and nothing else,
// for keys of every size that it treats in a way of its own, and others.
func TestLookupByKeysOfEverySize(t *testing.T) {
	lookUp[[1]byte](t)
	lookUp[[3]byte](t)
	lookUp[uint32](t)
	lookUp[[7]byte](t)
	lookUp[uint64](t)
	lookUp[[12]byte](t)
	lookUp[[16]byte](t)
	lookUp[[17]byte](t)
	lookUp[[5]uint64](t)
}

func lookUp[K comparable](t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var none K
	table := new(Table[K, uint32])
	src := &Source{KeySize: len(bytesOf(&none)), ValueSize: 4}
	table.replica.init(src)
	table.whole(src.KeySize, src.ValueSize)
	want := map[K]uint32{}
	for v := range uint32(200) {
		var k K
		for i := range bytesOf(&k) {
			bytesOf(&k)[i] = byte(r.Uint32())
		}
		if want[k] = v; !table.put(batchOf(KindRows, [2][]byte{bytesOf(&k), bytesOf(&v)}), maxRows) {
			t.Fatal("no room")
		}
	}
	table.show(&Batch{Source: src})
	tried := 0
	for k := range want {
		if tried++; tried > 50 {
			break
		}
		for i := range bytesOf(&k) { // a key that differs in one byte is another
			was := bytesOf(&k)[i]
			for other := range 256 {
				bytesOf(&k)[i] = byte(other)
				v, there := want[k]
				if got, ok := table.Get(k); ok != there || got != v {
					t.Fatalf("%T: %v holds %d, %v instead of %d, %v", k, k, got, ok, v, there)
				}
			}
			bytesOf(&k)[i] = was
		}
	}
}
