// SPDX-License-Identifier: Apache-2.0

package c

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// A C consumer outlives sidecars that are killed at any point, notices each
// death, and is never given a torn row: copying and in leases, sleeping in the
// library, in somebody else's poll, and not at all.
func TestSidecarKilledAtAnyPoint(t *testing.T) {
	for _, how := range []string{"read", "lease", "poll", "busy"} {
		t.Run(how, func(t *testing.T) {
			variant := "asan"
			if how == "read" {
				variant = "clang"
			}
			path := clienttest.SocketPath(t)
			sidecar := start(t, os.Geteuid(), "/proc/self/exe", path)
			sidecar.Expect(t, "serving")
			reader := start(t, os.Geteuid(), filepath.Join(build(t, variant), "tests", "follow"), path, how)
			reader.Expect(t, "attached")
			for range 4 {
				for range 1 + rand.IntN(4) {
					reader.Expect(t, "reading")
				}
				sidecar.Kill()
				reader.Expect(t, "gone")
				sidecar = start(t, os.Geteuid(), "/proc/self/exe", path)
				reader.Expect(t, "restart false")
			}
			reader.Expect(t, "reading")
			reader.Finish(t, "end")
		})
	}
}

// A sidecar that ends in order leaves an exact account, to a reader of another
// user.
func TestSidecarRestartsInOrder(t *testing.T) {
	path := clienttest.SocketPath(t)
	uid := os.Geteuid()
	if uid == 0 {
		uid = bpftest.Nobody
	}
	var published uint64
	var reader *clienttest.Program
	for life := range 3 {
		sidecar := start(t, os.Geteuid(), "/proc/self/exe", path)
		sidecar.Expect(t, "serving")
		if life == 0 {
			reader = start(t, uid, filepath.Join(build(t, "gcc"), "tests", "follow"), path, "read")
			reader.Expect(t, "attached")
		} else {
			reader.Expect(t, "restart true")
		}
		reader.Expect(t, "reading")
		var rows uint64
		if _, err := fmt.Sscan(sidecar.Finish(t, "published"), &rows); err != nil {
			t.Fatal(err)
		}
		published += rows
		reader.Expect(t, "gone")
	}
	_, got, _, lost, restarts := reader.End(t)
	// It came in the middle of the first life, whose beginning it does not count.
	if got+lost > published || got == 0 || restarts != 2 {
		t.Errorf("%d rows got, %d lost, %d published, %d restarts", got, lost, published, restarts)
	}
}

// Once attached, a consumer makes no system call: the kernel kills one that does,
// and this one reads ten million rows.
func TestReadsUnderStrictSeccomp(t *testing.T) {
	const rows = 10_000_000
	for _, how := range []string{"next", "lease"} {
		t.Run(how, func(t *testing.T) {
			s := clienttest.Open(t, 16<<20)
			f := clienttest.AddFeed(t, s.Ring, 0)
			done, fed := make(chan struct{}), make(chan error, 1)
			go func() { fed <- f.SendUntil(done, 4000) }()
			reader := start(t, os.Geteuid(), filepath.Join(build(t, "gcc"), "tests", "strict"), s.Path, how, fmt.Sprint(rows))
			line := reader.Expect(t, "")
			ended := reader.Wait()
			close(done)
			if err := <-fed; err != nil {
				t.Error(err)
			}
			if line == "no seccomp" {
				bpftest.Skip(t, "the kernel or a container refuses SECCOMP_MODE_STRICT")
			}
			var got int
			if _, err := fmt.Sscan(line, &got); err != nil || got < rows {
				t.Errorf("%q: %d rows read: %v", line, got, err)
			}
			if ended != nil {
				t.Error(ended)
			}
		})
	}
}

// Whatever was opened or mapped is closed and unmapped.
func TestNothingStaysOpen(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	f := clienttest.AddFeed(t, s.Ring, 0)
	for range 100 {
		f.Publish(t, 10)
	}
	for _, name := range []string{"gcc", "asan"} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{s.Path}, images(t)...)
			t.Log(output(t, filepath.Join(build(t, name), "tests", "leak"), args...))
		})
	}
}

// follow reads in this way.
func follow(t testing.TB, how, socket string) *clienttest.Program {
	t.Helper()
	return start(t, os.Geteuid(), filepath.Join(build(t, "asan"), "tests", "follow"), socket, how)
}

// A ring is left for its successor, whichever way it was read.
func TestSuccessors(t *testing.T) {
	c := clienttest.Consumer(follow)
	for _, how := range []string{"read", "lease", "poll", "busy"} {
		t.Run(how, func(t *testing.T) {
			t.Run("all rows", func(t *testing.T) { c.ReadsAllRows(t, how) })
			t.Run("superseded", func(t *testing.T) { c.LeavesSuperseded(t, how) })
		})
	}
}

func TestCountsLoss(t *testing.T)          { clienttest.Consumer(follow).CountsLoss(t) }
func TestLearnsOfItsEviction(t *testing.T) { clienttest.Consumer(follow).LearnsOfItsEviction(t) }

// The example shows the largest counters.
func TestTop(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	f := clienttest.AddFeed(t, s.Ring, 0)
	f.Publish(t, 100)
	t.Setenv("RINGSIDE_SOCKET", s.Path)
	top := start(t, os.Geteuid(), filepath.Join(build(t, "asan"), "examples", "top"), "flows", "row")
	for row := 99; row >= 90; row-- {
		if got, want := top.Expect(t, ""), fmt.Sprintf("%02x000000 %d", row, row); got != want {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}
