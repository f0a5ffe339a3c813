// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
)

// TestReplacementThatDoesNotFitIsNotTriedAllTheTime: it is opened again after
// a pause that grows, as any other map that cannot be read.
func TestReplacementThatDoesNotFitIsNotTriedAllTheTime(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	pin := bpftest.Pin(t, newMap(t, 3, 16), dir, "flows")
	r := serve(t, config.Flags{Maps: []string{pin + "=1h"}, RingBytes: "1MiB"}) // the pool itself is to follow nothing
	x := r.rings[0].sources[0]
	replace := func(m *ebpf.Map) {
		t.Helper()
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		bpftest.Pin(t, m, dir, "flows")
	}
	// plan is when it is tried again.
	plan := func() (time.Time, time.Duration) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return x.retryAt, x.backoff
	}
	replace(bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1 << 18, MaxEntries: 2}))
	_, _, first := r.follow(x)
	at, pause := plan()
	if !errors.Is(first, shm.ErrTooLarge) || pause != firstRetry {
		t.Fatalf("%v, again in %v", first, pause)
	}
	replace(newMap(t, 5, 16)) // would fit, and nobody looks yet
	if _, _, err := r.follow(x); err == nil || err.Error() != first.Error() {
		t.Fatalf("tried at once: %v", err)
	}
	if at2, pause2 := plan(); at2 != at || pause2 != pause {
		t.Fatal("a wait that is not over was begun anew")
	}
	r.mu.Lock()
	x.retryAt = time.Now()
	r.mu.Unlock()
	opened, _, err := r.follow(x)
	if err != nil {
		t.Fatal(err)
	}
	opened.Close()
	if _, pause := plan(); pause != 0 || x.problem != nil {
		t.Fatalf("after it was followed: %v, %v", pause, x.problem)
	}
	if doc := r.status(); doc.Health.State != status.Idle {
		t.Fatalf("%+v", doc.Health)
	}
}
