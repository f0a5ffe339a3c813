// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Sweep removes the system call counts of threads that have exited and returns how many rows went. The
// map never evicts, so on a machine where threads come and go it fills up without: every few seconds is
// plenty. A thread born under a reused number between the look and the removal loses its first counts.
func (d *Demo) Sweep() (removed int, err error) {
	m, err := d.table(Syscalls)
	if err != nil {
		return 0, err
	}
	keys, err := readKeys(m)
	if err != nil {
		return 0, fmt.Errorf("sweep %s: %w", Syscalls, err)
	}
	alive := make(map[[2]uint32]bool)
	for _, key := range keys {
		thread := [2]uint32{key.Tgid, key.Tid}
		is, known := alive[thread]
		if !known {
			is = exists(key)
			alive[thread] = is
		}
		if is {
			continue
		}
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return removed, fmt.Errorf("sweep %s: %w", Syscalls, err)
		}
		removed++
	}
	return removed, nil
}

// exists asks the kernel by sending no signal. A refusal is a sign of life. Process 0 stands for
// everyone outside the pid namespace, and is always there.
func exists(key SyscallKey) bool {
	return key.Tgid == 0 || !errors.Is(unix.Tgkill(int(key.Tgid), int(key.Tid), 0), unix.ESRCH)
}

// readKeys collects every key without its counts. Only Sweep deletes, so the key to continue from is
// still there; a key that were not would start the walk over.
func readKeys(m *ebpf.Map) ([]SyscallKey, error) {
	var keys []SyscallKey
	var next SyscallKey
	err := m.NextKey(nil, &next)
	for err == nil {
		keys = append(keys, next)
		err = m.NextKey(next, &next)
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return keys, nil
	}
	return nil, err
}

// Uncounted is how many system calls found the map full and were not counted. As long as it does not
// change, every count in the map is exact.
func (d *Demo) Uncounted() (uint64, error) {
	l := d.loaded[Syscalls]
	if l == nil {
		return 0, fmt.Errorf("%s: %w", Syscalls, ErrLeftOut)
	}
	var n uint64
	if err := l.coll.Variables[syscallsVarUncounted].Get(&n); err != nil {
		return 0, fmt.Errorf("read the number of uncounted calls: %w", err)
	}
	return n, nil
}
