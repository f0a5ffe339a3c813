// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pidNamespace names a pid namespace to bpf_get_ns_current_pid_tgid. Zero is the initial one, whose
// numbers the kernel hands out anyway.
type pidNamespace struct{ dev, ino uint64 }

// initialPIDNamespace is PROC_PID_INIT_INO, the same on every kernel.
const initialPIDNamespace = 0xEFFFFFFC

// ownPIDNamespace looks up the namespace of this process. Without /proc it takes the initial one.
func ownPIDNamespace() (pidNamespace, error) {
	const path = "/proc/self/ns/pid"
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, os.ErrNotExist) || err == nil && st.Ino == initialPIDNamespace {
		return pidNamespace{}, nil
	}
	if err != nil {
		return pidNamespace{}, fmt.Errorf("stat %s: %w", path, err)
	}
	// stat(2) spreads the device number's bits for old programs; the helper compares the kernel's own.
	dev := uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev))
	return pidNamespace{dev: dev, ino: st.Ino}, nil
}

// set tells the programs, if they ask (headers/current.h).
func (ns pidNamespace) set(spec *ebpf.CollectionSpec) error {
	for name, value := range map[string]uint64{syscallsVarPidnsDev: ns.dev, syscallsVarPidnsIno: ns.ino} {
		v := spec.Variables[name]
		if v == nil {
			continue
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}
