// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
)

// TestRingGrowsIntoANewEpoch: a map that comes later may need a larger ring.
// Consumers of the old one are told to attach again, and find everything.
func TestRingGrowsIntoANewEpoch(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	small := bpftest.Pin(t, newMap(t, 3, 16), dir, "small")
	r := serve(t, config.Flags{Maps: []string{small + "=5ms", filepath.Join(dir, "large") + "=5ms"}})
	a, c := r.attach(shm.StartHead)
	r.frames(a, c, func(h shm.Header) bool { return h.Rows == 3 })

	bpftest.Pin(t, newMap(t, 5, 100_000), dir, "large")
	if state := r.frames(a, c, never); state != shm.Ended || a.Ring.State() != shm.StateSuperseded {
		t.Fatalf("%v, ring %v", state, a.Ring.State())
	}
	if c.Loss() != (shm.Loss{}) {
		t.Fatalf("the old ring was not read to a clean end: %+v", c.Loss())
	}
	doc := r.eventually("a superseded consumer", func(d *status.Document) bool {
		return len(d.Rings[0].Consumers) == 1 && d.Rings[0].Consumers[0].State == status.Superseded
	})
	if doc.Rings[0].Bytes != 8<<20 || doc.Sidecar.Memory.History == 0 {
		t.Fatalf("%+v", doc)
	}
	b, d := r.attach(shm.StartHead)
	seen := map[uint32]bool{}
	r.frames(b, d, func(h shm.Header) bool { seen[h.Rows] = true; return seen[3] && seen[5] })
	if a.Epoch == b.Epoch {
		t.Fatal("same epoch")
	}
	a.Close()
	r.eventually("the old ring's memory back", func(d *status.Document) bool { return d.Sidecar.Memory.History == 0 })
	if doc := r.status(); doc.Rings[0].Sources[0].Errors != 0 {
		t.Fatalf("moving was counted as a source's fault: %+v", doc.Rings[0].Sources)
	}
}

// TestFullCatalogBeginsANewEpoch: every map that takes a pin's place takes a
// number, and numbers are never used again.
func TestFullCatalogBeginsANewEpoch(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	pin := bpftest.Pin(t, newMap(t, 1, 4), dir, "flows")
	r := serve(t, config.Flags{Maps: []string{pin + "=1h"}}) // the pool itself is to follow nothing
	a, c := r.attach(shm.StartHead)
	r.frames(a, c, func(h shm.Header) bool { return h.Flags&shm.FlagLast != 0 })
	r.mu.Lock()
	x := r.rings[0].sources[0]
	r.mu.Unlock()
	for range leastCatalog {
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		bpftest.Pin(t, newMap(t, 1, 4), dir, "flows")
		opened, _, err := r.follow(x)
		if err != nil {
			t.Fatal(err)
		}
		opened.Close()
	}
	if state := a.Ring.State(); a.Ring.Sources() != leastCatalog || state == shm.StateEnded {
		t.Fatalf("%d sources, ring %v", a.Ring.Sources(), state)
	}
	r.mu.Lock()
	sources := r.rings[0].current.Load().publisher.Ring().Sources()
	r.mu.Unlock()
	if b, _ := r.attach(shm.StartHead); b.Epoch == a.Epoch || sources != 1 {
		t.Fatalf("no new epoch, %d sources", sources)
	}
}

// TestOldEpochsAreBounded: who never attaches again loses its lease.
func TestOldEpochsAreBounded(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, newMap(t, 1, 4), dir, "flows")
	r := serve(t, config.Flags{Maps: []string{filepath.Join(dir, "flows")}})
	held := maxOldEpochs + 2
	for range held {
		r.attach(shm.StartHead)
		r.replaceMain()
	}
	r.eventually(fmt.Sprintf("%d of %d leases", maxOldEpochs, held), func(d *status.Document) bool {
		return len(d.Rings[0].Consumers) == maxOldEpochs
	})
}

// TestAllGoesOnWhileARingIsMade: to make a large one takes a while, in which whoever
// asks for the status or attaches is answered.
func TestAllGoesOnWhileARingIsMade(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, newMap(t, 3, 16), dir, "flows")
	r := serve(t, config.Flags{Maps: []string{filepath.Join(dir, "flows") + "=5ms"}})
	before := r.status().Rings[0].Epoch
	r.newEpoch = func(c shm.Config) (*epoch, error) {
		a, cursor := r.attach(shm.StartHead)
		r.frames(a, cursor, func(h shm.Header) bool { return h.Rows == 3 })
		if line := r.status().Rings[0]; line.Epoch != before || len(line.Consumers) != 1 {
			t.Errorf("%+v", line)
		}
		return newEpoch(c)
	}
	r.replaceMain()
	if now := r.status().Rings[0].Epoch; now == before {
		t.Error("no new epoch")
	}
}

// replaceMain begins a new epoch of the first ring.
func (r *running) replaceMain() {
	r.t.Helper()
	r.lockToGrow()
	line := r.rings[0]
	room, err := line.room(line.live())
	var old *epoch
	if err == nil {
		old, err = r.beginEpoch(line, room, nil)
	}
	r.unlockGrown()
	if err != nil {
		r.t.Fatal(err)
	}
	r.supersede(old, finishPatience)
}

// TestMemoryUnderAClaimIsKept: the kernel may write into a claim at any time
// until it is settled, and what it writes to must not be gone, or be something
// else by then.
func TestMemoryUnderAClaimIsKept(t *testing.T) {
	now := time.Unix(1000, 0)
	e, err := newEpoch(shm.Config{Name: "main", DataBytes: minRing})
	if err != nil {
		t.Fatal(err)
	}
	producer, err := e.publisher.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	claimed, err := producer.Claim(t.Context(), 64, 4096)
	if err != nil {
		t.Fatal(err)
	}
	e.ended = now.Add(-time.Hour)
	if err := e.finish(shm.StateSuperseded, time.Millisecond); err == nil {
		t.Fatal("finished over an open claim")
	}
	r := &ring{old: []*epoch{e}}
	if closing := (&Sidecar{}).forgotten(r, now); len(closing) != 0 || len(r.old) != 0 || len(r.released()) != 0 || len(r.stuck) != 1 {
		t.Fatalf("%d rings to be given back, %d old ones, %d stuck", len(closing), len(r.old), len(r.stuck))
	}
	if n, bytes := r.stuckMemory(); n != 1 || bytes < minRing {
		t.Fatalf("%d epochs of %d bytes are in the books", n, bytes)
	}
	claimed[len(claimed)-1] = 1 // would be a fault
	producer.Abort()
	if closing := r.released(); len(closing) != 0 {
		t.Fatal("given back while the call may be on its way out")
	}
	if closing := r.released(); len(closing) != 1 || len(r.stuck) != 0 {
		t.Fatalf("%d rings to be given back, %d stuck", len(closing), len(r.stuck))
	}
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
}

func TestPatternFollowsWhatComesAndGoes(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	for _, d := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bpftest.Pin(t, newMap(t, 1, 4), filepath.Join(dir, "a"), "stats")
	bpftest.Pin(t, newMap(t, 1, 4), filepath.Join(dir, "b"), "stats")
	if err := bpftest.NewProgram(t, "prog").Pin(filepath.Join(dir, "a", "stats_prog")); err != nil {
		t.Fatal(err)
	}
	r := serve(t, config.Flags{Maps: []string{filepath.Join(dir, "*", "stats*") + "=5ms"}, ReadWhenIdle: true})
	names := func(d *status.Document) (all string) {
		for _, s := range d.Rings[0].Sources {
			all += s.Name + " "
		}
		return all
	}
	doc := r.eventually("two sources", func(d *status.Document) bool { return names(d) == "a/stats b/stats " })
	if doc.Health.State != status.OK {
		t.Fatalf("a program beside the maps is no problem: %+v", doc.Health)
	}
	a, c := r.attach(shm.StartHead)
	if err := os.Remove(filepath.Join(dir, "a", "stats")); err != nil {
		t.Fatal(err)
	}
	bpftest.Pin(t, newMap(t, 2, 4), filepath.Join(dir, "b"), "stats2")
	r.eventually("one gone, one come", func(d *status.Document) bool { return names(d) == "b/stats stats2 " })
	r.frames(a, c, func(h shm.Header) bool { return h.Source == 2 && h.Rows == 2 })
	if state, _ := a.Ring.SourceState(0); state != shm.SourceGone {
		t.Fatalf("source 0 is %v", state)
	}
}

// TestUnlinkedPinStaysReadable: a map that was asked for by name is read on, and
// said to be unpinned.
func TestUnlinkedPinStaysReadable(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	r := serve(t, config.Flags{Maps: []string{pin + "=5ms"}, ReadWhenIdle: true})
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	doc := r.eventually("source_unpinned", func(d *status.Document) bool {
		return len(d.Health.Reasons) == 1 && d.Health.Reasons[0].Code == status.SourceUnpinned
	})
	before := doc.Rings[0].Sources[0].Scans
	r.eventually("more scans", func(d *status.Document) bool { return d.Rings[0].Sources[0].Scans > before })
}
