// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
)

// hang opens a claim in the ring that is not settled, as a call does that does
// not return from the kernel.
func (r *running) hang() *shm.Producer {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.rings[0].current.Load().publisher.AddSource(shm.SourceInfo{Name: "hangs", KeySize: 4, ValueSize: 8})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := p.Claim(r.t.Context(), 64, 4096); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Abort) // runs before the sidecar ends
	return p
}

// renewed is what the keeper does when a claim has been open for so long.
func (r *running) renewed(open time.Duration) (bool, error) {
	r.lockToGrow()
	old, err := r.renew(r.rings[0], open)
	r.unlockGrown()
	r.supersede(old, stalledPatience)
	return old != nil, err
}

func stalled(d *status.Document) (text string) {
	for _, why := range d.Health.Reasons {
		if why.Code == status.RingStalled && why.Remedy != "" {
			text += why.Message + "\n"
		}
	}
	return text
}

// TestStallIsLeftBehind: a call that hangs holds back all sources of its ring
// until the others get another, and its memory is in the books until it returns.
func TestStallIsLeftBehind(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	maps := []string{bpftest.Pin(t, newMap(t, 3, 16), dir, "a") + "=2ms", bpftest.Pin(t, newMap(t, 5, 16), dir, "b") + "=2ms"}
	r := serve(t, config.Flags{Maps: maps, ReadWhenIdle: true})
	a, c := r.attach(shm.StartHead)
	hangs := r.hang()
	r.eventually("ring_stalled", func(d *status.Document) bool { return strings.Contains(stalled(d), "has not returned for 2") })
	if began, err := r.renewed(stallRenewed - 1); began || err != nil {
		t.Fatalf("too early: %v, %v", began, err)
	}
	if began, err := r.renewed(stallRenewed); !began || err != nil {
		t.Fatalf("no new epoch: %v, %v", began, err)
	}
	if state := r.frames(a, c, never); state != shm.Ended {
		t.Fatalf("the reader of the old ring was told %v", state)
	}
	a.Close()
	seen := map[uint32]bool{}
	b, d := r.attach(shm.StartHead)
	r.frames(b, d, func(h shm.Header) bool { seen[h.Rows] = true; return seen[3] && seen[5] })
	doc := r.eventually("its memory in the books", func(d *status.Document) bool {
		m := d.Sidecar.Memory
		return m.Stuck > 0 && m.History == m.Stuck && strings.Contains(stalled(d), "may write to 1 replaced rings")
	})
	if doc.Health.State != status.Degraded {
		t.Fatalf("%+v", doc.Health)
	}
	hangs.Abort()
	r.eventually("its memory back", func(d *status.Document) bool { return d.Sidecar.Memory.History == 0 && d.Health.State == status.OK })
}

// TestStuckMemoryIsBounded: nobody's calls may eat the machine's memory.
func TestStuckMemoryIsBounded(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	maps := []string{bpftest.Pin(t, newMap(t, 3, 16), dir, "a"), bpftest.Pin(t, newMap(t, 5, 16), dir, "b")}
	r := serve(t, config.Flags{Maps: maps})
	for n := range maxStuck {
		r.hang()
		if began, err := r.renewed(stallRenewed); !began || err != nil {
			t.Fatalf("epoch %d: %v, %v", n, began, err)
		}
		r.eventually("one more that is stuck", func(d *status.Document) bool {
			return d.Sidecar.Memory.Stuck >= uint64(n+1)*minRing
		})
	}
	if began, err := r.renewed(stallRenewed); began || !errors.Is(err, errStuck) {
		t.Fatalf("no end: %v, %v", began, err)
	}
	if text := stalled(r.status()); !strings.Contains(text, "4 replaced rings") || !strings.Contains(text, "no further ring is begun") {
		t.Fatal(text)
	}
}

// TestSourceThatIsAloneStallsNobody: a new ring would be of no use to it.
func TestSourceThatIsAloneStallsNobody(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	r := serve(t, config.Flags{Maps: []string{bpftest.Pin(t, newMap(t, 3, 16), dir, "a")}})
	if began, err := r.renewed(time.Hour); began || err != nil {
		t.Fatalf("%v, %v", began, err)
	}
}
