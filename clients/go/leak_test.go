// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// held is what this process has of rings: open descriptors, and mapped memory.
func held(t *testing.T) (descriptors, mappings int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return len(open), strings.Count(string(maps), "/memfd:")
}

// TestCloseGivesEverythingBack: also after the ring was replaced, and after an
// attachment that was refused. The sidecar is this process, too: its own side of a
// lease goes when it notices.
func TestCloseGivesEverythingBack(t *testing.T) {
	s := open(t, socketPath(t), 1<<16)
	first := s.ring
	s.replace(t, 1<<16)
	next := s.lend(first)
	cycle := func(follow bool) {
		sub, err := Attach(t.Context(), Options{Socket: s.path})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		if !follow {
			return
		}
		s.lend(next)
		s.finish(t, first, shm.StateSuperseded)
		for batch, err := range sub.Batches(deadline(t)) {
			if err != nil || batch.Kind == KindRestart {
				return
			}
		}
	}
	descriptors, mappings := held(t)
	for range 8 {
		cycle(false)
	}
	s.refuseAll(handoff.ErrNotAllowed)
	if sub, err := Attach(t.Context(), Options{Socket: s.path}); err == nil {
		sub.Close()
		t.Fatal("attached in spite of it")
	}
	s.refuseAll(nil)
	cycle(true)
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		d, m := held(t)
		if d == descriptors && m == mappings {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and %d mappings at the end, %d and %d before", d, m, descriptors, mappings)
		}
	}
}

// lend makes another ring the one that is lent, and returns the one that was.
func (s *sidecar) lend(p *shm.Publisher) (was *shm.Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, s.ring = s.ring, p
	return was
}
