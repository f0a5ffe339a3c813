// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/scan"
)

// inPlace are the hashes whose elements can be taken where they lie.
func inPlace() []ebpf.MapSpec {
	return []ebpf.MapSpec{
		{Type: ebpf.Hash}, {Type: ebpf.PerCPUHash},
		{Type: ebpf.LRUHash}, {Type: ebpf.LRUHash, Flags: unix.BPF_F_NO_COMMON_LRU},
		{Type: ebpf.LRUCPUHash}, {Type: ebpf.LRUCPUHash, Flags: unix.BPF_F_NO_COMMON_LRU},
	}
}

const elementKeys = 200

// elements makes a map with elementKeys, and the pump that takes them. It has
// room for twice as many on each CPU: an LRU map is not to throw any out.
func elements(t *testing.T, spec ebpf.MapSpec) (*ebpf.Map, *scan.Pump) {
	t.Helper()
	spec.KeySize, spec.ValueSize, spec.MaxEntries = 4, 8, uint32(2*elementKeys*ebpf.MustPossibleCPU())
	m := bpftest.NewMap(t, &spec)
	for key := range uint32(elementKeys) {
		putElement(t, m, key)
	}
	target := scan.Target{FD: m.FD(), Type: spec.Type, Flags: spec.Flags, KeySize: 4, ValueSize: 8,
		MaxEntries: int(m.MaxEntries()), Possible: ebpf.MustPossibleCPU()}
	if perCPU(m) {
		target.CPUs = target.Possible
	}
	p, err := scan.OpenElements(target, elementKeys)
	if err != nil {
		bpftest.Skip(t, "needs the pump for elements: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	return m, p
}

func perCPU(m *ebpf.Map) bool { return m.Type() == ebpf.PerCPUHash || m.Type() == ebpf.LRUCPUHash }

func putElement(t *testing.T, m *ebpf.Map, key uint32) {
	t.Helper()
	var value any = uint64(key)
	if perCPU(m) {
		value = make([]uint64, ebpf.MustPossibleCPU())
	}
	if err := m.Put(key, value); err != nil {
		t.Fatal(err)
	}
}

// takeElements scans the whole map.
func takeElements(t *testing.T, p *scan.Pump) (rows int, moved bool) {
	t.Helper()
	for first := 0; first >= 0; {
		_, next, run, err := p.Elements(first, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		rows, moved, first = rows+run.Rows, moved || run.Moved, next
	}
	return rows, moved
}

// TestMovedIsSeen overwrites a key from one scan to the next, which the next
// takes for its own if it is told that it is not its first run.
func TestMovedIsSeen(t *testing.T) {
	for _, spec := range inPlace() {
		t.Run(fmt.Sprintf("%v/flags=%d", spec.Type, spec.Flags), func(t *testing.T) {
			m, p := elements(t, spec)
			if rows, moved := takeElements(t, p); rows != elementKeys || moved {
				t.Fatalf("%d rows, moved %v, of a map of %d that nobody touches", rows, moved, elementKeys)
			}
			for key := range uint32(elementKeys) {
				takeElements(t, p)
				putElement(t, m, key)
				_, _, run, err := p.Elements(1, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if run.Moved == perCPU(m) {
					t.Fatalf("key %d was overwritten: moved %v", key, run.Moved)
				}
			}
			if rows, moved := takeElements(t, p); rows != elementKeys || moved {
				t.Errorf("afterwards %d rows, moved %v", rows, moved)
			}
		})
	}
}

// TestDeletedAreNotTaken: of an LRU map, deleting a batch leaves links behind
// that look like those of elements that are there.
func TestDeletedAreNotTaken(t *testing.T) {
	for _, spec := range inPlace() {
		t.Run(fmt.Sprintf("%v/flags=%d", spec.Type, spec.Flags), func(t *testing.T) {
			m, p := elements(t, spec)
			n := 2 * elementKeys // whole buckets
			values := n
			if perCPU(m) {
				values *= ebpf.MustPossibleCPU()
			}
			var cursor ebpf.MapBatchCursor
			deleted, err := m.BatchLookupAndDelete(&cursor, make([]uint32, n), make([]uint64, values), nil)
			if deleted != elementKeys {
				t.Fatalf("deleted %d: %v", deleted, err)
			}
			if rows, _ := takeElements(t, p); rows != 0 {
				t.Errorf("%d rows of an empty map", rows)
			}
			for key := range uint32(elementKeys / 2) {
				putElement(t, m, key)
			}
			if rows, _ := takeElements(t, p); rows != elementKeys/2 {
				t.Errorf("%d rows of %d", rows, elementKeys/2)
			}
		})
	}
}
