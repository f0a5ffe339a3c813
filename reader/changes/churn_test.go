// SPDX-License-Identifier: Apache-2.0

package changes_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
)

// churnEnv makes storms follow each other for so long, such as 5m, for each way of
// reading.
const churnEnv = "RINGSIDE_CHURN"

func churnTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(churnEnv)
	if text == "" {
		return 0 // one storm
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	untouched = 300 // keys below it are never touched
	touched   = 300
	churnRing = 64 << 10 // laps come at every place of a keyframe
)

// TestChurn keeps tables of maps that programs write on all CPUs, through a ring
// that is lapped all the time, with scans torn at every place, rings replaced in
// mid-scan and maps replaced under way. A table that says it is fresh never holds
// a row that never was, nor, of maps whose scans miss none, lacks a key that was
// there throughout; and when the writers pause it is what the map is.
func TestChurn(t *testing.T) {
	for _, c := range []struct {
		name string
		spec ebpf.MapSpec
		o    reader.Options
	}{
		{"pump", ebpf.MapSpec{Type: ebpf.Hash}, reader.Options{}},
		{"pump, allocated", ebpf.MapSpec{Type: ebpf.Hash, Flags: 1}, reader.Options{}},
		{"iter", ebpf.MapSpec{Type: ebpf.Hash}, reader.Options{Engine: reader.EngineIter}},
		{"locked", ebpf.MapSpec{Type: ebpf.Hash}, reader.Options{Consistency: reader.Locked}},
		{"lru", ebpf.MapSpec{Type: ebpf.LRUHash}, reader.Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.KeySize, c.spec.ValueSize, c.spec.MaxEntries = 4, bpftest.ChurnBytes, 4096
			// One storm after the other: each leaves maps and rings behind until it ends.
			end := time.Now().Add(churnTime(t))
			for first := true; first || time.Now().Before(end); first = false {
				t.Run("storm", func(t *testing.T) { weather(t, c.spec, c.o) })
			}
		})
	}
}

// stormTime is how long a storm lasts, if three rounds have not taken longer.
const stormTime = 400 * time.Millisecond

func weather(t *testing.T, spec ebpf.MapSpec, o reader.Options) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &storm{t: t, spec: spec, reader: o, random: rand.New(rand.NewPCG(seed, 0)), ring: newRing(t, churnRing)}
	for range 2 {
		s.feeds = append(s.feeds, s.feed())
	}
	s.run(time.Now().Add(stormTime))
}

type storm struct {
	t      *testing.T
	spec   ebpf.MapSpec
	reader reader.Options
	random *rand.Rand
	ring   *ring
	feeds  []*feed

	checked, torn, moved, replaced, paused int
	laps                                   uint64
}

func (s *storm) chance(n int) bool { return s.random.IntN(n) == 0 }

// feed starts with a map of its own.
func (s *storm) feed() *feed {
	m := bpftest.NewMap(s.t, &s.spec)
	for key := range uint32(untouched) {
		if err := m.Put(key, bpftest.ChurnValue(key)); err != nil {
			s.t.Fatal(err)
		}
	}
	f := newFeed(s.t, s.ring, m, s.reader, changes.Options{KeyframeEvery: 1 + s.random.IntN(20)})
	f.sink.tear = func() bool { return s.chance(15) }
	return f
}

func (s *storm) run(end time.Time) {
	for round := 0; round < 3 || time.Now().Before(end); round++ {
		stop := s.churn()
		asleep := round%3 == 0
		for range 20 + s.random.IntN(40) {
			s.step(asleep)
		}
		for asleep && s.ring.behind() <= churnRing {
			s.step(true)
		}
		stop()
		s.paused++
		s.settle()
		for i := range s.feeds {
			if s.chance(4) {
				s.feeds[i] = s.feed()
				s.replaced++
			}
		}
	}
	s.laps += s.ring.laps
	s.t.Logf("%d pauses, %d scans torn, %d rings and %d maps replaced, %d laps, %d looks at fresh tables, %+v",
		s.paused, s.torn, s.moved, s.replaced, s.laps, s.checked, s.feeds[0].stage.Stats())
	if s.checked == 0 || s.laps == 0 {
		s.t.Error("that was no storm")
	}
}

func (s *storm) churn() (stop func()) {
	var stops []func()
	for _, f := range s.feeds {
		stops = append(stops, bpftest.Churn(s.t, f.m, untouched, touched))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// step scans one of the maps, and sometimes lets the consumer read, if it is awake.
func (s *storm) step(asleep bool) {
	f := s.feeds[s.random.IntN(len(s.feeds))]
	if s.chance(30) {
		f.stage.Want()
	}
	if s.chance(80) {
		s.move()
	}
	if f.scan() != nil {
		s.torn++
	}
	if !asleep && s.chance(8) {
		s.ring.drain(1 + s.random.IntN(60))
		for _, f := range s.feeds {
			s.check(f)
		}
	}
}

// move replaces the ring: its consumer begins anew.
func (s *storm) move() {
	s.laps += s.ring.laps
	s.ring = newRing(s.t, churnRing)
	s.moved++
	for _, f := range s.feeds {
		f.join(s.ring)
	}
}

// check looks at a table that says it is fresh.
func (s *storm) check(f *feed) {
	s.t.Helper()
	if !f.table.fresh {
		return
	}
	s.checked++
	for key, value := range f.table.rows {
		if k := binary.LittleEndian.Uint32([]byte(key)); k >= untouched+touched || value != string(bpftest.ChurnValue(k)) {
			s.t.Fatalf("key %x never had the value %x", key, value)
		}
	}
	switch {
	case s.spec.Type == ebpf.LRUHash:
		return // the kernel throws out whom it likes
	case s.reader.Engine == reader.EngineIter || s.spec.Flags != 0:
		return // a key that the first scan misses comes with the next
	}
	for key := range uint32(untouched) {
		if _, ok := f.table.rows[string(binary.LittleEndian.AppendUint32(nil, key))]; !ok {
			s.t.Fatalf("key %d was there throughout and is missing", key)
		}
	}
}

// settle scans maps that nobody writes until all tables are fresh and no
// deletion is in doubt any more: then they are what the maps are.
func (s *storm) settle() {
	s.t.Helper()
	s.ring.drain(1 << 20)
	for _, f := range s.feeds {
		for whole, tries := 0, 0; whole < 2 || !f.table.fresh; tries++ {
			if tries == 1000 {
				s.t.Fatal("the table stays stale")
			}
			if !f.table.fresh && tries > 50 {
				f.stage.Want()
			}
			if f.scan() == nil {
				whole++
			} else {
				whole = 0
			}
			s.ring.drain(1 << 20)
		}
		s.check(f)
		f.equals(newWriter(s.t, f.m).rows())
	}
}
