// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerGroupsInto reads SO_PEERGROUPS (Linux 4.13) and returns how many groups
// there are; ERANGE means that groups has less room than that. x/sys has no
// wrapper for an option whose value is an array.
//
// Unsafe: groups is not empty, size is its length in bytes, and the kernel
// writes no more than that. Both pointers are converted in the call itself,
// which keeps what they point to alive and in place.
func peerGroupsInto(fd int, groups []uint32) (int, error) {
	const each = uint32(unsafe.Sizeof(groups[0]))
	size := uint32(len(groups)) * each
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return int(size / each), e
	}
	return int(size / each), nil
}
