// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrCPUs is returned for CPUs that this process may not run on.
var ErrCPUs = errors.New("not allowed to run there")

// maxCPUs is what a unix.CPUSet can name.
const maxCPUs = len(unix.CPUSet{}) * 64

// CheckCPUs reports whether the calling process may run on all of these CPUs.
// None means wherever it may.
func CheckCPUs(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("ask which CPUs are allowed: %w", err)
	}
	var refused []int
	for _, cpu := range cpus {
		if cpu < 0 || !allowed.IsSet(cpu) {
			refused = append(refused, cpu)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("CPU %s: %w: this process has %s; name some of those, or widen its cpuset (taskset, AllowedCPUs=)",
		cpuList(refused), ErrCPUs, cpuList(members(&allowed)))
}

// stayOn binds the calling thread. The goroutine must be locked to it, and must
// end without unlocking, so that the thread ends, too, and the binding with it.
// Threads that the runtime starts meanwhile do not inherit it: it lets another
// one start them.
func stayOn(cpus []int) error {
	if err := CheckCPUs(cpus); err != nil {
		return err
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return unix.SchedSetaffinity(0, &set)
}

func members(set *unix.CPUSet) (cpus []int) {
	for cpu := range maxCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// cpuList writes CPUs as the kernel does: 0-3,8. They are in order.
func cpuList(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		last := i
		for last+1 < len(cpus) && cpus[last+1] == cpus[last]+1 {
			last++
		}
		part := strconv.Itoa(cpus[i])
		if last > i {
			part += "-" + strconv.Itoa(cpus[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ",")
}
