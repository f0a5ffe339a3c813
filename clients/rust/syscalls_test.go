// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// The kernel counts what the consumer's thread calls while it reads 10,000
// frames, as copies and as leases: what it says before and after, and nothing.
// It counts its own allocations: none.
func TestReadingMakesNoSystemCall(t *testing.T) {
	calls := clienttest.CountSyscalls(t)
	const frames, rows = 10_000, 64
	s := clienttest.Open(t, 64<<20)
	f := clienttest.AddFeed(t, s.Ring, 0)
	for range frames {
		f.Publish(t, rows)
	}
	c := start(t, "count", s.Path)
	var pid uint32
	var left int
	if _, err := fmt.Sscan(c.Expect(t, "ready"), &pid, &left); err != nil || left != frames-1 {
		t.Fatalf("%d frames: %v", left, err)
	}
	before := calls(t, pid, pid)
	fmt.Fprintln(c.Stdin)
	var got, allocations uint64
	if _, err := fmt.Sscan(c.Expect(t, "done"), &got, &allocations); err != nil {
		t.Fatal(err)
	}
	after := calls(t, pid, pid)
	for nr, n := range before {
		after[nr] -= n
	}
	// It reads the line that lets it begin and, behind the count, the next; and
	// it writes one.
	own := map[int32]uint64{unix.SYS_READ: 2, unix.SYS_WRITE: 1}
	for nr, n := range after {
		if n > own[nr] {
			t.Errorf("system call %d, %d times", nr, n)
		}
	}
	if got != frames*rows || allocations != 0 {
		t.Errorf("%d rows of %d, %d allocations", got, frames*rows, allocations)
	}
	if after[unix.SYS_WRITE] != 1 {
		t.Errorf("the counting did not count: %v", after)
	}
}
