// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
)

// changing serves one map in mode changes.
func changing(t *testing.T, pin string, history uint64) *running {
	t.Helper()
	cfg, err := (&config.Flags{Maps: []string{pin + "=5ms"}}).Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Maps[0].Mode, cfg.Maps[0].KeyframeEvery, cfg.Reader.History = config.Changes, 1_000_000, history
	return serveConfig(t, cfg)
}

// keyframe tells whether a frame is of a scan that has all rows.
func keyframe(h shm.Header) bool { return h.Flags&shm.FlagKeyframe != 0 }

// TestChanges follows a map from its first keyframe on: only what changes comes,
// and nothing while nothing does; whoever asks gets a keyframe; a map that takes
// the other's place begins with one.
func TestChanges(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	m := newMap(t, 100, 256)
	pin := bpftest.Pin(t, m, dir, "flows")
	r := changing(t, pin, 1<<20)
	a, c := r.attach(shm.StartKeyframe)
	whole := func(h shm.Header) bool { return keyframe(h) && h.Flags&shm.FlagLast != 0 }
	next := func(what string, ok func(shm.Header) bool) (found shm.Header) {
		t.Helper()
		if s := r.frames(a, c, func(h shm.Header) bool { found = h; return ok(h) }); s != shm.Ready {
			t.Fatalf("%s: %v", what, s)
		}
		return found
	}
	next("the first keyframe", whole)
	r.eventually("quiet scans", func(d *status.Document) bool {
		line := d.Rings[0].Sources[0].Changes
		return line != nil && line.Quiet > 5 && line.Full == "" && d.Sidecar.Memory.History == line.HistoryBytes && line.HistoryBytes > 0
	})
	if err := errors.Join(m.Put(uint32(7), uint64(1)), m.Delete(uint32(8))); err != nil {
		t.Fatal(err)
	}
	rows, deletes := uint32(0), uint32(0)
	next("changes", func(h shm.Header) bool {
		if keyframe(h) {
			return false // it was asked for by attaching
		}
		if h.Kind == shm.KindDeletes {
			deletes += h.Rows
		} else {
			rows += h.Rows
		}
		return rows == 1 && deletes == 1
	})
	source, err := a.Ring.Source(0)
	if err != nil || source.Flags&shm.SourceChanges == 0 {
		t.Fatalf("%+v, %v", source, err)
	}
	a.Page.Ask(0)
	next("a keyframe that was asked for", whole)

	old := c.Position()
	m = bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 24, MaxEntries: 64})
	if err := errors.Join(m.Put(uint64(1), make([]byte, 24)), m.Put(uint64(2), make([]byte, 24))); err != nil {
		t.Fatal(err)
	}
	swap(t, pin, m, dir)
	if h := next("the other map", func(h shm.Header) bool { return h.Source != 0 && h.Rows > 0 }); !keyframe(h) || h.Rows != 2 || old.Offset == 0 {
		t.Fatalf("%+v", h)
	}
}

// swap pins another map where one was.
func swap(t *testing.T, pin string, m *ebpf.Map, dir string) {
	t.Helper()
	old, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.Unpin(); err != nil {
		t.Fatal(err)
	}
	bpftest.Pin(t, m, dir, "flows")
}

// TestHistoryTooSmall publishes in full, and says why.
func TestHistoryTooSmall(t *testing.T) {
	pin := bpftest.Pin(t, newMap(t, 2000, 4096), bpftest.MountBPFFS(t), "flows")
	r := changing(t, pin, 4096)
	a, c := r.attach(shm.StartKeyframe)
	scans := map[uint64]bool{}
	r.frames(a, c, func(h shm.Header) bool {
		if !keyframe(h) {
			t.Errorf("%+v", h)
		}
		scans[h.Scan] = true
		return len(scans) > 3
	})
	doc := r.eventually("a reason", func(d *status.Document) bool { return len(d.Health.Reasons) > 0 })
	if why := doc.Health.Reasons[0]; why.Code != status.HistoryFull || !strings.Contains(why.Message, "may take 4096 bytes") {
		t.Fatalf("%+v", why)
	}
	if doc.Sidecar.Memory.History != 0 || doc.Rings[0].Sources[0].Changes.Full == "" {
		t.Fatalf("%+v", doc)
	}
}

// TestKeyframesFitTwice refuses a ring in which a keyframe would not be found
// whole, with the arithmetic.
func TestKeyframesFitTwice(t *testing.T) {
	x, i := &source{want: &config.Map{Mode: config.Changes}}, mapOf(65536, 4, 32)
	err := x.suits(i, 4<<20)
	want := "/p/m: too large for the ring: a keyframe of 65536 rows of 4 + 32 bytes, each aligned to 8, is 2.5MiB, which may be half a ring of mode changes, and the ring has 4MiB; set --ring-bytes (rings[].bytes) to at least 8MiB, or leave it out"
	if !errors.Is(err, shm.ErrTooLarge) || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if err := x.suits(i, 8<<20); err != nil {
		t.Fatal(err)
	}
	x.want.Mode = config.Full
	if err := x.suits(i, 4<<20); err != nil {
		t.Fatal(err)
	}
}
