// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// onCPUs runs do on a thread that may use some of this process's CPUs only: the
// last one of them, or all but that. Where there is one CPU it changes nothing.
//
// A consumer that never sleeps should have its CPU to itself. Whoever shares it
// is measured instead, and the consumer only when that one has finished.
func onCPUs(last bool, do func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("ask for this thread's CPUs: %w", err)
	}
	left := all.Count()
	if left < 2 {
		return do()
	}
	for cpu := 0; left > 0; cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if left--; (left == 0) == last {
			some.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return fmt.Errorf("bind a thread: %w", err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &all)) }()
	return do()
}

func cpusIn(set *unix.CPUSet) (list []int) {
	for cpu := 0; len(list) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}
