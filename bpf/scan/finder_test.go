// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/scan"
)

// TestFind asks for keys of every length, half of which are there.
func TestFind(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.PerCPUHash, ebpf.LRUHash, ebpf.LRUCPUHash} {
		for _, size := range []int{1, 2, 3, 4, 5, 8, 11, 12, 13, 16, 24, 25, 40, 77, 128, 511, 512} {
			t.Run(fmt.Sprintf("%v/%d", typ, size), func(t *testing.T) {
				f, m := finder(t, typ, size)
				keys := min(1<<(4*min(size, 4)), 600)
				asked := make([]byte, keys*size)
				found := make([]bool, keys)
				find(t, f, asked, found)
				for i, there := range found {
					if there {
						t.Fatalf("key %d of an empty map is there", i)
					}
				}
				for i := range keys {
					key := numbered(i, size)
					copy(asked[i*size:], key)
					if i%2 == 0 {
						put(t, m, key)
					}
				}
				find(t, f, asked, found)
				for i, there := range found {
					if there != (i%2 == 0) {
						t.Fatalf("key %d of %d: %v", i, keys, there)
					}
				}
			})
		}
	}
}

// TestFindLeavesNoMark fills an LRU map beyond its size while all old keys are
// asked for all the time: whoever is marked as used stays.
func TestFindLeavesNoMark(t *testing.T) {
	f, m := finder(t, ebpf.LRUHash, 4)
	stayOnOneCPU(t)
	const old = 512
	asked, found := make([]byte, old*4), make([]bool, old)
	for i := range old {
		copy(asked[i*4:], numbered(i, 4))
		put(t, m, numbered(i, 4))
	}
	for i := old; i < 8*old; i++ {
		put(t, m, numbered(i, 4))
		if i%16 == 0 {
			find(t, f, asked, found)
		}
	}
	find(t, f, asked, found)
	for i, there := range found {
		if there {
			t.Fatalf("key %d was kept because it was asked for", i)
		}
	}
}

// stayOnOneCPU binds the test to a CPU. An LRU map keeps the latest keys that a
// CPU put, up to 128, in a list of that CPU, where no other evicts them: after a
// move they would stay, asked for or not. The thread ends with the test.
func stayOnOneCPU(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var allowed, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
}

func finder(t *testing.T, typ ebpf.MapType, size int) (*scan.Finder, *ebpf.Map) {
	t.Helper()
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: typ, KeySize: uint32(size), ValueSize: 8, MaxEntries: 1024})
	target := scan.Target{FD: m.FD(), Type: typ, KeySize: size, ValueSize: 8, MaxEntries: 1024}
	if typ == ebpf.PerCPUHash || typ == ebpf.LRUCPUHash {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			t.Fatal(err)
		}
		target.CPUs = cpus
	}
	f, err := scan.OpenFinder(target, time.Second)
	if err != nil {
		bpftest.Skip(t, "needs to load a program that finds keys: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, m
}

// numbered is a key in which every byte counts.
func numbered(i, size int) []byte {
	key := make([]byte, max(size, 8))
	for at := range key {
		key[at] = byte(i * (at + 3))
	}
	binary.LittleEndian.PutUint16(key, uint16(i))
	return key[:size]
}

func put(t *testing.T, m *ebpf.Map, key []byte) {
	t.Helper()
	var value any = make([]byte, 8)
	if m.Type() == ebpf.PerCPUHash || m.Type() == ebpf.LRUCPUHash {
		cpus, err := ebpf.PossibleCPU()
		if err != nil {
			t.Fatal(err)
		}
		value = make([]uint64, cpus)
	}
	if err := m.Put(key, value); err != nil {
		t.Fatal(err)
	}
}

// find asks until all is answered.
func find(t *testing.T, f *scan.Finder, keys []byte, found []bool) {
	t.Helper()
	for size := len(keys) / len(found); len(found) > 0; {
		n, _, err := f.Find(keys, found)
		if err != nil && !errors.Is(err, scan.ErrLate) {
			t.Fatal(err)
		}
		keys, found = keys[n*size:], found[n:]
	}
}
