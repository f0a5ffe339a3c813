// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
)

// ringEach configures a map in ring main and one in ring other, both read every
// few milliseconds.
func ringEach(t *testing.T, readWhenIdle bool) *config.Config {
	t.Helper()
	dir := bpftest.MountBPFFS(t)
	cfg, err := config.Flags{
		Maps:         []string{bpftest.Pin(t, newMap(t, 3, 16), dir, "a") + "=2ms", bpftest.Pin(t, newMap(t, 5, 16), dir, "b") + "=2ms"},
		ReadWhenIdle: readWhenIdle,
	}.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	other := cfg.Rings[0]
	other.Name = "other"
	cfg.Rings = append(cfg.Rings, other)
	cfg.Maps[1].Ring = other.Name
	return cfg
}

// TestRingsRestByThemselves: for a consumer of one ring the maps of another are
// not read.
func TestRingsRestByThemselves(t *testing.T) {
	r := serveConfig(t, ringEach(t, false))
	a, c := r.attach(shm.StartHead)
	scans := 0
	r.frames(a, c, func(h shm.Header) bool {
		if h.Flags&shm.FlagLast != 0 {
			scans++
		}
		return scans == 50
	})
	if doc := r.status(); doc.Rings[1].Frames != 0 || doc.Rings[1].Sources[0].Scans != 0 || doc.Health.State != status.OK {
		t.Fatalf("the ring that nobody reads: %+v, %+v", doc.Rings[1], doc.Health)
	}
	a.Close()
	r.eventually("idle again", func(d *status.Document) bool { return d.Health.State == status.Idle })
}

// TestAllRingsAreReadWhenAskedTo, consumers or not.
func TestAllRingsAreReadWhenAskedTo(t *testing.T) {
	r := serveConfig(t, ringEach(t, true))
	r.eventually("frames in both", func(d *status.Document) bool {
		return d.Rings[0].Frames > 0 && d.Rings[1].Frames > 0 && d.Health.State == status.OK
	})
}
