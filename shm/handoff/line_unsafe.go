// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendAtOnce sends a packet, or fails with EAGAIN. It does not tell the Go
// scheduler that the thread is in the kernel, as unix.Sendto does: MSG_DONTWAIT
// never sleeps there, and while many are rung one after the other the scheduler
// would take the processor away and hand it to another thread again and again,
// which cost a fifth of a wake-up.
//
// Unsafe: packet is not empty; the pointer is converted in the call itself,
// which keeps it alive and in place, and the kernel only reads packet's bytes.
func sendAtOnce(fd int, packet []byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(packet))), uintptr(len(packet)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno
}
