// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// succeed gives the ring a successor.
func (s *Sidecar) succeed(t *testing.T) *Feed {
	t.Helper()
	old := s.Ring
	s.Replace(t, shm.Config{DataBytes: 16 << 20})
	f := AddFeed(t, s.Ring, 0)
	f.Publish(t, 7)
	if err := old.Finish(t.Context(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	return f
}

// ReadsAllRows: every row arrives once, also over a ring that is superseded, and
// over the end of a sidecar, which is noticed and said to be no exact end.
func (start Consumer) ReadsAllRows(t *testing.T, role string) {
	s := Open(t, 16<<20)
	first := AddFeed(t, s.Ring, 0)
	first.Publish(t, 10)
	c := start(t, role, s.Path)
	c.Expect(t, "reading 1")
	first.PublishEach(t, 250, 60)
	c.Expect(t, "reading 201")
	second := s.succeed(t)
	if exact := c.Expect(t, "restart"); exact != "true" {
		t.Errorf("restart: exact %s", exact)
	}
	s.Close(t)
	c.Expect(t, "gone")
	s.Replace(t, shm.Config{DataBytes: 1 << 20})
	third := AddFeed(t, s.Ring, 0)
	third.Publish(t, 5)
	s.Listen(t)
	if exact := c.Expect(t, "restart"); exact != "false" {
		t.Errorf("restart: exact %s", exact)
	}
	third.PublishEach(t, 100, 1)
	c.Expect(t, "reading 301")
	// What it has not read by now is at most what was published last.
	_, rows, _, lost, restarts := c.End(t)
	if all := first.Rows + second.Rows + third.Rows; rows+lost > all || rows+lost < all-100 || lost != 0 || restarts != 2 {
		t.Errorf("%d rows of %d, %d lost, %d restarts", rows, all, lost, restarts)
	}
}

// LeavesSuperseded: the hang-up of a superseded ring means nothing more. Its rest
// is read, then its successor, also if that is not ready when it is first asked
// for; nothing is lost, and nobody is ever called gone.
func (start Consumer) LeavesSuperseded(t *testing.T, role string) {
	s := Open(t, 16<<20)
	f := AddFeed(t, s.Ring, 0)
	c := start(t, role, s.Path)
	c.Never = append(c.Never, "gone", "lost")
	c.Expect(t, "attached")
	var all uint64
	for again := range 3 {
		lease := <-s.Joined
		c.stopped(t, func() {
			f.PublishEach(t, 100, 3)
			all += f.Rows
			s.tryAgain(again % 2)
			f = s.succeed(t)
			lease.Close()
		})
		if exact := c.Expect(t, "restart"); exact != "true" {
			t.Errorf("restart: exact %s", exact)
		}
	}
	f.PublishEach(t, 100, 1)
	c.Expect(t, "reading 401") // of 403: the last two rows may be missing
	_, rows, lostFrames, lostRows, restarts := c.End(t)
	if all += f.Rows; rows > all || rows < all-2 || lostFrames != 0 || lostRows != 0 || restarts != 3 {
		t.Errorf("%d rows of %d, %d lost, %d restarts", rows, all, lostRows, restarts)
	}
}
