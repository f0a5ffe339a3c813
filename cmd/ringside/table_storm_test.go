// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// churnEnv makes the storm last so long, such as 5m.
const churnEnv = "RINGSIDE_CHURN"

const (
	untouched = 300 // keys below it are never touched
	touched   = 300
	markers   = 1000 // which of its name's maps it is: one key that no other has
	stormRing = 64 << 10
)

type churned [bpftest.ChurnBytes / 8]uint64

func churnedValue(key uint32) (v churned) {
	for w := range uint32(len(v)) {
		v[w] = uint64(key+w)<<32 | uint64(^(key + w))
	}
	return v
}

// TestTablesThroughAStorm follows two maps, which programs write on all CPUs,
// through a ring that is lapped all the time, while sidecars are killed, ended and
// taken over in mid-scan and maps are replaced under their pins. A table never
// shows a row that never was, nor misses a key that was there throughout. When
// the writers pause, and it says it is fresh, it is what the kernel says the map is.
func TestTablesThroughAStorm(t *testing.T) {
	duration := 8 * time.Second
	if text := os.Getenv(churnEnv); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := newStorm(t, rand.New(rand.NewPCG(seed, 0)))
	for end := time.Now().Add(duration); s.rounds < 4 || time.Now().Before(end); s.rounds++ {
		s.round()
	}
	stats := s.sub.Stats()
	t.Logf("%d pauses, %d looks at tables, %d maps replaced, %+v", s.rounds, s.looks, s.replaced, stats)
	if stats.Laps == 0 || stats.Restarts == 0 || s.replaced == 0 {
		t.Error("that was no storm")
	}
}

type storm struct {
	*shell
	random  *rand.Rand
	file    string
	sidecar *process
	maps    []*stormMap
	sub     *ringside.Subscription
	reading sync.Mutex // held while the tables' reader must not read

	rounds, looks, replaced int
}

// stormMap is one of the maps, as the kernel and as a consumer has it.
type stormMap struct {
	name, how  string
	m          *ebpf.Map
	generation uint32
	table      *ringside.Table[uint32, churned]
}

func newStorm(t *testing.T, random *rand.Rand) *storm {
	s := &storm{shell: newRootShell(t), random: random}
	s.file = filepath.Join(t.TempDir(), "ringside.yaml")
	text := fmt.Sprintf("version: 1\nsocket: {path: %s}\nreader: {duty: 90%%}\nrings: [{name: main, bytes: %d}]\nmaps:\n", s.socket, stormRing)
	for _, m := range []*stormMap{
		{name: "changes", how: "mode: changes, keyframe_every: 10"},
		{name: "full", how: "mode: full, consistency: locked"}, // else a walk may miss what was there throughout
	} {
		s.maps = append(s.maps, m)
		s.create(m)
		text += fmt.Sprintf("  - {path: %s/%s, every: 5ms, %s}\n", s.bpffs, m.name, m.how)
	}
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.sidecar = s.start("serve", "--config", s.file)
	s.await("a sidecar", func() bool { return s.run("status", "--brief").code != exitUnavailable })
	s.follow()
	return s
}

// create makes the map of the next generation and puts it where the last was.
func (s *storm) create(m *stormMap) {
	m.generation++
	m.m = bpftest.NewMap(s.t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: bpftest.ChurnBytes, MaxEntries: 700})
	for key := range uint32(untouched) {
		s.put(m.m, key)
	}
	s.put(m.m, markers+m.generation)
	if err := os.Remove(filepath.Join(s.bpffs, m.name)); err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	bpftest.Pin(s.t, m.m, s.bpffs, m.name)
}

func (s *storm) put(m *ebpf.Map, key uint32) {
	s.t.Helper()
	if err := m.Put(key, bpftest.ChurnValue(key)); err != nil {
		s.t.Fatal(err)
	}
}

// follow keeps the tables, in a loop as a consumer has it.
func (s *storm) follow() {
	ctx, stop := context.WithCancel(context.Background())
	var err error
	if s.sub, err = ringside.Attach(ctx, ringside.Options{Socket: s.socket}); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range s.maps {
		if m.table, err = ringside.TableOf[uint32, churned](s.sub, m.name); err != nil {
			s.t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		for b, err := range s.sub.Batches(ctx) {
			if err != nil {
				ended <- err
				return
			}
			s.reading.Lock()
			for _, m := range s.maps {
				m.table.Apply(b)
			}
			s.reading.Unlock()
		}
		ended <- nil
	}()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
		if err := s.sub.Close(); err != nil {
			s.t.Error(err)
		}
	})
}

// round is a storm and a pause.
func (s *storm) round() {
	var stops []func()
	for _, m := range s.maps {
		if s.rounds > 0 && s.random.IntN(3) == 0 || s.rounds == 2 {
			s.create(m)
			s.replaced++
		}
		stops = append(stops, bpftest.Churn(s.t, m.m, untouched, touched))
	}
	for range 1 + s.random.IntN(3) {
		s.happen()
		for _, m := range s.maps {
			s.look(m)
		}
	}
	for _, stop := range stops {
		stop()
	}
	for _, m := range s.maps {
		s.settle(m)
	}
}

// happen is one of the things that make tables stale, in the middle of whatever
// the sidecar is doing.
func (s *storm) happen() {
	switch s.random.IntN(6) {
	case 0:
		s.restart(syscall.SIGKILL)
	case 1:
		s.restart(syscall.SIGTERM)
	case 2:
		s.takeOver()
	default:
		s.lap()
	}
}

func (s *storm) restart(how syscall.Signal) {
	before := s.sub.Stats().Restarts
	s.sidecar.signal(how)
	s.sidecar.wait()
	s.sidecar = s.start("serve", "--config", s.file)
	s.await("the next sidecar", func() bool { return s.sub.Stats().Restarts > before })
}

func (s *storm) takeOver() {
	before, old := s.sub.Stats().Restarts, s.sidecar
	s.sidecar = s.start("serve", "--config", s.file, "--takeover")
	old.wait().exits(exitOK)
	s.await("the next sidecar", func() bool { return s.sub.Stats().Restarts > before })
}

// lap lets the reader sleep until the ring has gone round.
func (s *storm) lap() {
	before := s.sub.Stats().Laps
	s.reading.Lock()
	s.await("a ring full of rows", func() bool { return s.sub.Stats().LagRows > 2*stormRing/(4+bpftest.ChurnBytes) })
	s.reading.Unlock()
	s.await("a lap", func() bool { return s.sub.Stats().Laps > before })
}

// look holds what a table shows, fresh or not, against what can ever have been.
func (s *storm) look(m *stormMap) {
	s.t.Helper()
	snapshot := m.table.Snapshot()
	defer snapshot.Release()
	if snapshot.Len() == 0 {
		return // nothing has come yet
	}
	s.looks++
	for key, value := range snapshot.All() {
		known := key < untouched+touched || key > markers && key <= markers+m.generation
		if !known || value != churnedValue(key) {
			s.t.Fatalf("%s: key %d never had the value %x", m.name, key, value)
		}
	}
	for key := range uint32(untouched) {
		if _, ok := snapshot.Get(key); !ok {
			s.t.Fatalf("%s: key %d was there throughout and is missing", m.name, key)
		}
	}
}

// settle waits until a table shows a scan that was begun after the writers paused.
// Then it is the map.
func (s *storm) settle(m *stormMap) {
	s.t.Helper()
	paused, after := monotonic.Now(), uint64(0)
	s.await("a fresh table of "+m.name, func() bool {
		st := m.table.Status()
		if _, ours := m.table.Get(markers + m.generation); !ours || st.TimeNS < paused {
			return false
		}
		if after == 0 {
			after = st.Scan // may have begun before
		}
		// One to see that a key is gone, one to be sure of it.
		return st.Fresh && st.Scan >= after+2
	})
	snapshot := m.table.Snapshot()
	defer snapshot.Release()
	var key uint32
	var value churned
	rows := 0
	for all := m.m.Iterate(); all.Next(&key, &value); rows++ {
		if shown, ok := snapshot.Get(key); !ok || shown != value {
			s.t.Errorf("%s: key %d is %x, the table shows %x, %v", m.name, key, value, shown, ok)
		}
	}
	if rows != snapshot.Len() || rows < untouched {
		s.t.Fatalf("%s: the map has %d rows, the table shows %d: %+v", m.name, rows, snapshot.Len(), m.table.Status())
	}
	s.look(m)
}
