// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// Consumer starts a language's program in a role, at a socket. The programs of all
// languages understand the same roles and print the same lines, so that what must
// happen to a client is told once, by the methods of Consumer: each is a test.
type Consumer func(tb testing.TB, role, socket string) *Program

// stopped runs do while the program is stopped.
func (c *Program) stopped(tb testing.TB, do func()) {
	tb.Helper()
	if err := c.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
	do()
	if err := c.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		tb.Fatal(err)
	}
}

// CountsLoss: a reader that is stopped while the ring goes round several times is
// told exactly what it missed.
func (start Consumer) CountsLoss(t *testing.T) {
	s := Open(t, 64<<10)
	f := AddFeed(t, s.Ring, 0)
	f.Publish(t, 10)
	c := start(t, "read", s.Path)
	c.Expect(t, "reading 1")
	c.stopped(t, func() { f.PublishEach(t, 200, 50) })
	if lost := c.Expect(t, "lost"); !strings.HasSuffix(lost, "true") {
		t.Errorf("loss: %s", lost)
	}
	f.PublishEach(t, 100, 1)
	c.Expect(t, "reading 101")
	// What it has not read by now is at most what was published last.
	if _, rows, _, lost, _ := c.End(t); rows+lost > f.Rows || rows+lost < f.Rows-100 || lost == 0 {
		t.Errorf("%d rows and %d lost of %d", rows, lost, f.Rows)
	}
}

// LearnsOfItsEviction: a consumer that holds a lossless ring up for too long learns
// that it was evicted before it learns what it lost by that. On a busy machine a
// shorter time would be too long before the test says so.
func (start Consumer) LearnsOfItsEviction(t *testing.T) {
	s := Open(t, 64<<10)
	s.Replace(t, shm.Config{DataBytes: 64 << 10, Lossless: true, StallTimeout: 2 * time.Second})
	f := AddFeed(t, s.Ring, 0)
	f.Publish(t, 10)
	c := start(t, "read", s.Path)
	c.Expect(t, "reading 1")
	f.PublishEach(t, 300, 50) // several times round: it keeps up, or is waited for
	c.Expect(t, "reading 301")
	c.stopped(t, func() { f.PublishEach(t, 200, 50) })
	c.Expect(t, "evicted")
	c.Expect(t, "lost")
	c.End(t)
}

// HangsAndNobody: a sidecar that does not beat is told of; so is one that is not
// there, by an error at once.
func (start Consumer) HangsAndNobody(t *testing.T, nobody string) {
	s := Open(t, 1<<20)
	c := start(t, "read", s.Path)
	c.Expect(t, "attached")
	c.Expect(t, "hangs")
	if line := <-start(t, "read", s.Path+"-nobody").Lines; !strings.HasPrefix(line, nobody) {
		t.Error(line)
	}
}

// AsksForKeyframes: of a source, and of all.
func (start Consumer) AsksForKeyframes(t *testing.T) {
	s := Open(t, 1<<20)
	AddFeed(t, s.Ring, shm.SourceChanges)
	c := start(t, "ask", s.Path)
	c.Expect(t, "asked")
	lease := <-s.Joined
	if n, ok := lease.Consumer.TakeAsk(); !ok || n != 0 {
		t.Errorf("asked for %d, %v", n, ok)
	}
	fmt.Fprintln(c.Stdin)
	c.Expect(t, "asked all")
	if n, ok := lease.Consumer.TakeAsk(); !ok || n != shm.AnySource {
		t.Errorf("asked for %d, %v", n, ok)
	}
}

// LeaksNothing: nothing that attaching opens or maps is left behind, however it is
// given up.
func (start Consumer) LeaksNothing(t *testing.T) {
	s := Open(t, 1<<20)
	AddFeed(t, s.Ring, 0).Publish(t, 3)
	c := start(t, "leaks", s.Path)
	before := c.Expect(t, "before")
	if after := c.Expect(t, "after"); after != before {
		t.Errorf("descriptors and mappings: %s before, %s after", before, after)
	}
}

// LeasesUnderFire: leases of rows that are overwritten while they are looked at
// give whole rows or nothing, however fast the publisher is.
func (start Consumer) LeasesUnderFire(t *testing.T) {
	s := Open(t, 64<<10)
	f := AddFeed(t, s.Ring, 0)
	c := start(t, "fire", s.Path)
	c.Expect(t, "attached")
	f.PublishEach(t, 20_000, 50)
	if err := s.Ring.Finish(t.Context(), shm.StateEnded); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	account := c.Expect(t, "gone")
	if _, err := fmt.Sscan(account, &rows, &lost); err != nil || rows+lost != f.Rows {
		t.Errorf("rows and lost: %s of %d: %v", account, f.Rows, err)
	}
	t.Logf("rows, lost, and how often a lease said so: %s", account)
}
