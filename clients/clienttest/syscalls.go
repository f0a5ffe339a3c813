// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

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
