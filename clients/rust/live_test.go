// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// patience is how long a test waits for what must happen. It asserts nothing
// about time: a machine that is slow beyond it is broken.
const patience = 30 * time.Second

// consumer is the example of that name, in a role.
type consumer struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string // what it prints, closed at its end
}

func start(tb testing.TB, role, socket string) *consumer {
	tb.Helper()
	cmd := exec.Command(example(tb, "consumer"), role, socket)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	c := &consumer{cmd: cmd, stdin: stdin, lines: make(chan string, 1024)}
	go func() {
		defer close(c.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			c.lines <- scan.Text()
		}
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		for range c.lines {    // Wait must not close the pipe before all of it is read
		}
		_ = cmd.Wait()
	})
	return c
}

// expect waits for a line that begins with prefix and returns what follows it.
func (c *consumer) expect(tb testing.TB, prefix string) string {
	tb.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				tb.Fatalf("%v ended without %q", c.cmd.Args[1:], prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return strings.TrimSpace(rest)
			}
			if strings.HasPrefix(line, "wrong") || strings.HasPrefix(line, "error") {
				tb.Fatalf("expected %q: %s", prefix, line)
			}
		case <-timeout:
			tb.Fatalf("no %q", prefix)
		}
	}
}

// end asks it to finish, and returns its account.
func (c *consumer) end(tb testing.TB) (frames, rows, lostFrames, lostRows, restarts uint64) {
	tb.Helper()
	c.stdin.Close()
	if _, err := fmt.Sscan(c.expect(tb, "end"), &frames, &rows, &lostFrames, &lostRows, &restarts); err != nil {
		tb.Fatal(err)
	}
	return
}

// Every row arrives once, also over a ring that is superseded.
func TestReadsAllRows(t *testing.T) {
	s := open(t, 16<<20)
	f := addFeed(t, s.ring, 0)
	f.publish(t, 10)
	c := start(t, "read", s.path)
	c.expect(t, "reading 1")
	for range 250 {
		f.publish(t, 60)
	}
	c.expect(t, "reading 201")
	old := s.ring
	s.replace(t, shm.Config{DataBytes: 16 << 20})
	second := addFeed(t, s.ring, 0)
	second.publish(t, 7)
	if err := old.Finish(t.Context(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	if exact := c.expect(t, "restart"); exact != "true" {
		t.Errorf("restart: exact %s", exact)
	}
	for range 100 {
		second.publish(t, 1)
	}
	c.expect(t, "reading 301")
	frames, rows, _, lost, restarts := c.end(t)
	if all := f.rows + second.rows; rows+lost > all || rows+lost < all-100 || lost != 0 || restarts != 1 {
		t.Errorf("%d frames, %d rows of %d, %d lost, %d restarts", frames, rows, all, lost, restarts)
	}
}

// A reader that is stopped while the ring goes round several times is told
// exactly what it missed.
func TestCountsLoss(t *testing.T) {
	s := open(t, 64<<10)
	f := addFeed(t, s.ring, 0)
	f.publish(t, 10)
	c := start(t, "read", s.path)
	c.expect(t, "reading 1")
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		f.publish(t, 50)
	}
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if lost := c.expect(t, "lost"); !strings.HasSuffix(lost, "true") {
		t.Errorf("loss: %s", lost)
	}
	for range 100 {
		f.publish(t, 1)
	}
	c.expect(t, "reading 101")
	// What it has not read by now is at most what was published last.
	_, rows, _, lost, _ := c.end(t)
	if rows+lost > f.rows || rows+lost < f.rows-100 || lost == 0 {
		t.Errorf("%d rows and %d lost of %d", rows, lost, f.rows)
	}
}

// A sidecar that hangs up and comes back is noticed, and said to be no exact end;
// also by a program that polls the descriptor in a loop of its own.
func TestComesBack(t *testing.T) {
	for _, role := range []string{"read", "poll"} {
		t.Run(role, func(t *testing.T) {
			s := open(t, 1<<20)
			f := addFeed(t, s.ring, 0)
			f.publish(t, 3)
			c := start(t, role, s.path)
			c.expect(t, "reading 1")
			for range 100 {
				f.publish(t, 3)
			}
			c.expect(t, "reading 101")
			s.close(t)
			c.expect(t, "gone")
			s.replace(t, shm.Config{DataBytes: 1 << 20})
			addFeed(t, s.ring, 0).publish(t, 3)
			s.listen(t)
			if exact := c.expect(t, "restart"); exact != "false" {
				t.Errorf("restart: exact %s", exact)
			}
			c.end(t)
		})
	}
}

// A sidecar that does not beat is told of; so is one that is not there, by an
// error at once.
func TestHangsAndNobody(t *testing.T) {
	s := open(t, 1<<20)
	c := start(t, "read", s.path)
	c.expect(t, "attached")
	c.expect(t, "hangs")
	nobody := start(t, "leaks", s.path+"-nobody")
	if line := <-nobody.lines; !strings.HasPrefix(line, "error NoSidecar") {
		t.Error(line)
	}
}

func TestAsksForKeyframes(t *testing.T) {
	s := open(t, 1<<20)
	addFeed(t, s.ring, shm.SourceChanges)
	c := start(t, "ask", s.path)
	if got := c.expect(t, "asked"); got != "Err(NotFound)" {
		t.Error(got)
	}
	lease := <-s.joined
	if n, ok := lease.Consumer.TakeAsk(); !ok || n != 0 {
		t.Errorf("asked for %d, %v", n, ok)
	}
	fmt.Fprintln(c.stdin)
	c.expect(t, "asked all")
	if n, ok := lease.Consumer.TakeAsk(); !ok || n != shm.AnySource {
		t.Errorf("asked for %d, %v", n, ok)
	}
}

// Nothing that attaching opens or maps is left behind.
func TestLeaksNothing(t *testing.T) {
	s := open(t, 1<<20)
	addFeed(t, s.ring, 0).publish(t, 3)
	c := start(t, "leaks", s.path)
	before := c.expect(t, "before")
	if after := c.expect(t, "after"); after != before {
		t.Errorf("descriptors and mappings: %s before, %s after", before, after)
	}
}

// Leases of rows that are overwritten while they are looked at give whole rows or
// nothing, however fast the publisher is.
func TestLeasesUnderFire(t *testing.T) {
	s := open(t, 64<<10)
	f := addFeed(t, s.ring, 0)
	c := start(t, "fire", s.path)
	c.expect(t, "attached")
	for range 10_000 {
		f.publish(t, 50)
	}
	if err := s.ring.Finish(t.Context(), shm.StateEnded); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	if _, err := fmt.Sscan(c.expect(t, "gone"), &rows, &lost); err != nil {
		t.Fatal(err)
	}
	if rows+lost != f.rows {
		t.Errorf("%d rows and %d lost of %d", rows, lost, f.rows)
	}
	t.Logf("%d rows, %d lost", rows, lost)
}

// A table follows keyframes and changes, and says when it cannot.
func TestKeepsATable(t *testing.T) {
	s := open(t, 1<<20)
	f := addFeed(t, s.ring, shm.SourceChanges)
	c := start(t, "table", s.path)
	c.expect(t, "attached")
	word := func(n uint64) uint64 { return bits.RotateLeft64(n*0x9E3779B97F4A7C15+2, 14) }
	expect := func(want string) {
		t.Helper()
		if got := c.expect(t, "table"); got != want {
			t.Errorf("table is %s, expected %s", got, want)
		}
	}
	f.scan++
	f.frame(t, shm.KindRows, wholeScan, 1, 2)
	expect(fmt.Sprintf("true 1 [(1, %d), (2, %d)]", word(1), word(2)))
	f.scan++
	f.frame(t, shm.KindRows, shm.FlagFirst, 3)
	f.frame(t, shm.KindDeletes, shm.FlagLast, 1)
	expect(fmt.Sprintf("true 2 [(2, %d), (3, %d)]", word(2), word(3)))
	f.scan++
	f.frame(t, shm.KindRows, shm.FlagFirst, 4) // breaks off
	f.scan++
	f.frame(t, shm.KindRows, shm.FlagFirst|shm.FlagLast, 5)
	expect(fmt.Sprintf("false 2 [(2, %d), (3, %d)]", word(2), word(3)))
	if lease := <-s.joined; !asked(lease) {
		t.Error("a stale table did not ask for a keyframe")
	}
	f.scan++
	f.frame(t, shm.KindRows, wholeScan, 6)
	expect(fmt.Sprintf("true 5 [(6, %d)]", word(6)))
}

// asked waits until the consumer asks for a keyframe of the first source.
func asked(lease *handoff.Lease) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
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
	s := open(t, 64<<10)
	s.replace(t, shm.Config{DataBytes: 64 << 10, Lossless: true, StallTimeout: 2 * time.Second})
	f := addFeed(t, s.ring, 0)
	f.publish(t, 10)
	c := start(t, "read", s.path)
	c.expect(t, "reading 1")
	for range 300 { // several times round: it keeps up, or is waited for
		f.publish(t, 50)
	}
	c.expect(t, "reading 301")
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		f.publish(t, 50)
	}
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.expect(t, "evicted")
	c.expect(t, "lost")
	c.end(t)
}

// A recorded ring is read from its oldest frame to its end.
func TestReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flows.ring")
	ring, err := shm.CreateFile(path, shm.Config{Name: ringName, DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	f := addFeed(t, ring.Publisher, 0)
	for range 200 {
		f.publish(t, 50)
	}
	if err := ring.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows, lost uint64
	if _, err := fmt.Sscan(start(t, "file", path).expect(t, "file"), &rows, &lost); err != nil {
		t.Fatal(err)
	}
	// Its beginning is the oldest frame that it has, so that nothing is lost.
	if rows == 0 || rows >= f.rows || lost != 0 {
		t.Errorf("%d rows of %d, %d lost", rows, f.rows, lost)
	}
}
