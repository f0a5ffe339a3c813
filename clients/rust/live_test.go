// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"fmt"
	"math/bits"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/clients/clienttest"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// start runs the example of a consumer, in a role.
func start(tb testing.TB, role, socket string) *clienttest.Program {
	tb.Helper()
	return clienttest.Start(tb, exec.Command(example(tb, "consumer"), role, socket))
}

// Every row arrives once, also over a ring that is superseded.
func TestReadsAllRows(t *testing.T) {
	s := clienttest.Open(t, 16<<20)
	f := clienttest.AddFeed(t, s.Ring, 0)
	f.Publish(t, 10)
	c := start(t, "read", s.Path)
	c.Expect(t, "reading 1")
	for range 250 {
		f.Publish(t, 60)
	}
	c.Expect(t, "reading 201")
	old := s.Ring
	s.Replace(t, shm.Config{DataBytes: 16 << 20})
	second := clienttest.AddFeed(t, s.Ring, 0)
	second.Publish(t, 7)
	if err := old.Finish(t.Context(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if exact := c.Expect(t, "restart"); exact != "true" {
		t.Errorf("restart: exact %s", exact)
	}
	for range 100 {
		second.Publish(t, 1)
	}
	c.Expect(t, "reading 301")
	frames, rows, _, lost, restarts := c.End(t)
	if all := f.Rows + second.Rows; rows+lost > all || rows+lost < all-100 || lost != 0 || restarts != 1 {
		t.Errorf("%d frames, %d rows of %d, %d lost, %d restarts", frames, rows, all, lost, restarts)
	}
}

// A reader that is stopped while the ring goes round several times is told
// exactly what it missed.
func TestCountsLoss(t *testing.T) {
	s := clienttest.Open(t, 64<<10)
	f := clienttest.AddFeed(t, s.Ring, 0)
	f.Publish(t, 10)
	c := start(t, "read", s.Path)
	c.Expect(t, "reading 1")
	if err := c.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		f.Publish(t, 50)
	}
	if err := c.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if lost := c.Expect(t, "lost"); !strings.HasSuffix(lost, "true") {
		t.Errorf("loss: %s", lost)
	}
	for range 100 {
		f.Publish(t, 1)
	}
	c.Expect(t, "reading 101")
	// What it has not read by now is at most what was published last.
	_, rows, _, lost, _ := c.End(t)
	if rows+lost > f.Rows || rows+lost < f.Rows-100 || lost == 0 {
		t.Errorf("%d rows and %d lost of %d", rows, lost, f.Rows)
	}
}

// A sidecar that hangs up and comes back is noticed, and said to be no exact end;
// also by a program that polls the descriptor in a loop of its own.
func TestComesBack(t *testing.T) {
	for _, role := range []string{"read", "poll"} {
		t.Run(role, func(t *testing.T) {
			s := clienttest.Open(t, 1<<20)
			f := clienttest.AddFeed(t, s.Ring, 0)
			f.Publish(t, 3)
			c := start(t, role, s.Path)
			c.Expect(t, "reading 1")
			for range 100 {
				f.Publish(t, 3)
			}
			c.Expect(t, "reading 101")
			s.Close(t)
			c.Expect(t, "gone")
			s.Replace(t, shm.Config{DataBytes: 1 << 20})
			clienttest.AddFeed(t, s.Ring, 0).Publish(t, 3)
			s.Listen(t)
			if exact := c.Expect(t, "restart"); exact != "false" {
				t.Errorf("restart: exact %s", exact)
			}
			c.End(t)
		})
	}
}

// A sidecar that does not beat is told of; so is one that is not there, by an
// error at once.
func TestHangsAndNobody(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	c := start(t, "read", s.Path)
	c.Expect(t, "attached")
	c.Expect(t, "hangs")
	nobody := start(t, "leaks", s.Path+"-nobody")
	if line := <-nobody.Lines; !strings.HasPrefix(line, "error NoSidecar") {
		t.Error(line)
	}
}

func TestAsksForKeyframes(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	clienttest.AddFeed(t, s.Ring, shm.SourceChanges)
	c := start(t, "ask", s.Path)
	if got := c.Expect(t, "asked"); got != "Err(NotFound)" {
		t.Error(got)
	}
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

// Nothing that attaching opens or maps is left behind.
func TestLeaksNothing(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	clienttest.AddFeed(t, s.Ring, 0).Publish(t, 3)
	c := start(t, "leaks", s.Path)
	before := c.Expect(t, "before")
	if after := c.Expect(t, "after"); after != before {
		t.Errorf("descriptors and mappings: %s before, %s after", before, after)
	}
}

// Leases of rows that are overwritten while they are looked at give whole rows or
// nothing, however fast the publisher is.
func TestLeasesUnderFire(t *testing.T) {
	s := clienttest.Open(t, 64<<10)
	f := clienttest.AddFeed(t, s.Ring, 0)
	c := start(t, "fire", s.Path)
	c.Expect(t, "attached")
	for range 10_000 {
		f.Publish(t, 50)
	}
	if err := s.Ring.Finish(t.Context(), shm.StateEnded); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	if _, err := fmt.Sscan(c.Expect(t, "gone"), &rows, &lost); err != nil {
		t.Fatal(err)
	}
	if rows+lost != f.Rows {
		t.Errorf("%d rows and %d lost of %d", rows, lost, f.Rows)
	}
	t.Logf("%d rows, %d lost", rows, lost)
}

// A table follows keyframes and changes, and says when it cannot.
func TestKeepsATable(t *testing.T) {
	s := clienttest.Open(t, 1<<20)
	f := clienttest.AddFeed(t, s.Ring, shm.SourceChanges)
	c := start(t, "table", s.Path)
	c.Expect(t, "attached")
	word := func(n uint64) uint64 { return bits.RotateLeft64(n*0x9E3779B97F4A7C15+2, 14) }
	expect := func(want string) {
		t.Helper()
		if got := c.Expect(t, "table"); got != want {
			t.Errorf("table is %s, expected %s", got, want)
		}
	}
	f.Scan++
	f.Frame(t, shm.KindRows, clienttest.WholeScan, 1, 2)
	expect(fmt.Sprintf("true 1 [(1, %d), (2, %d)]", word(1), word(2)))
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst, 3)
	f.Frame(t, shm.KindDeletes, shm.FlagLast, 1)
	expect(fmt.Sprintf("true 2 [(2, %d), (3, %d)]", word(2), word(3)))
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst, 4) // breaks off
	f.Scan++
	f.Frame(t, shm.KindRows, shm.FlagFirst|shm.FlagLast, 5)
	expect(fmt.Sprintf("false 2 [(2, %d), (3, %d)]", word(2), word(3)))
	if lease := <-s.Joined; !asked(lease) {
		t.Error("a stale table did not ask for a keyframe")
	}
	f.Scan++
	f.Frame(t, shm.KindRows, clienttest.WholeScan, 6)
	expect(fmt.Sprintf("true 5 [(6, %d)]", word(6)))
}

// asked waits until the consumer asks for a keyframe of the first source.
func asked(lease *handoff.Lease) bool {
	for end := time.Now().Add(clienttest.Patience); time.Now().Before(end); runtime.Gosched() {
		if n, ok := lease.Consumer.TakeAsk(); ok {
			return n == 0
		}
	}
	return false
}

// A consumer that holds a lossless ring up for too long learns that it was
// evicted before it learns what it lost by that. On a busy machine a shorter time
// would be too long before the test says so.
func TestLearnsOfItsEviction(t *testing.T) {
	s := clienttest.Open(t, 64<<10)
	s.Replace(t, shm.Config{DataBytes: 64 << 10, Lossless: true, StallTimeout: 2 * time.Second})
	f := clienttest.AddFeed(t, s.Ring, 0)
	f.Publish(t, 10)
	c := start(t, "read", s.Path)
	c.Expect(t, "reading 1")
	for range 300 { // several times round: it keeps up, or is waited for
		f.Publish(t, 50)
	}
	c.Expect(t, "reading 301")
	if err := c.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		f.Publish(t, 50)
	}
	if err := c.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.Expect(t, "evicted")
	c.Expect(t, "lost")
	c.End(t)
}

// A recorded ring is read from its oldest frame to its end.
func TestReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flows.ring")
	ring, err := shm.CreateFile(path, shm.Config{Name: clienttest.RingName, DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f := clienttest.AddFeed(t, ring.Publisher, 0)
	for range 200 {
		f.Publish(t, 50)
	}
	if err := ring.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	if _, err := fmt.Sscan(start(t, "file", path).Expect(t, "file"), &rows, &lost); err != nil {
		t.Fatal(err)
	}
	// Its beginning is the oldest frame that it has, so that nothing is lost.
	if rows == 0 || rows >= f.Rows || lost != 0 {
		t.Errorf("%d rows of %d, %d lost", rows, f.Rows, lost)
	}
}
