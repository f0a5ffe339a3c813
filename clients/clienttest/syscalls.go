// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/demo"
)

// CountSyscalls starts the demo's counting program. The result reads the counts
// of a thread of a process, by number of the call.
func CountSyscalls(t *testing.T) func(tb testing.TB, tgid, tid uint32) map[int32]uint64 {
	t.Helper()
	dir := bpftest.MountBPFFS(t)
	d, err := demo.Load()
	if err != nil {
		bpftest.Skip(t, "needs the demo's programs: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	for _, p := range d.Parts() {
		if p.Name == demo.Syscalls && p.Err != nil {
			bpftest.Skip(t, "needs to count system calls: %v", p.Err)
		}
	}
	if err := d.Pin(dir); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, demo.Syscalls), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return func(tb testing.TB, tgid, tid uint32) map[int32]uint64 {
		counts := map[int32]uint64{}
		key := demo.SyscallKey{Tgid: tgid, Tid: tid}
		for key.Nr = range int32(512) { // the newest call has a number below
			var perCPU []demo.SyscallCount
			err := m.Lookup(key, &perCPU)
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				continue
			}
			if err != nil {
				tb.Error(err)
			}
			for _, c := range perCPU {
				counts[key.Nr] += c.Calls
			}
		}
		return counts
	}
}

// ReadsWithoutSystemCalls: the kernel counts what the consumer's thread calls while
// it reads more than 10,000 frames, as copies and in place: what it says before and
// after, and nothing.
func (start Consumer) ReadsWithoutSystemCalls(t *testing.T) {
	calls := CountSyscalls(t)
	const frames, rows = 10_400, 64
	s := Open(t, 64<<20)
	AddFeed(t, s.Ring, 0).PublishEach(t, frames, rows)
	c := start(t, "count", s.Path)
	var pid uint32
	var left, got uint64
	if _, err := fmt.Sscan(c.Expect(t, "ready"), &pid, &left); err != nil || left < 10_000 {
		t.Fatalf("%d frames: %v", left, err)
	}
	before := calls(t, pid, pid)
	fmt.Fprintln(c.Stdin)
	if _, err := fmt.Sscan(c.Expect(t, "done"), &got); err != nil || got != left*rows {
		t.Errorf("%d rows of %d: %v", got, left*rows, err)
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
	if after[unix.SYS_WRITE] != 1 {
		t.Errorf("the counting did not count: %v", after)
	}
}
