// SPDX-License-Identifier: Apache-2.0

package rawtp

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Attach runs prog at a raw tracepoint until the file is closed, or its owner dies.
//
// Package link of cilium/ebpf does this and forty other things, among them reading symbol tables, and
// would make the privileged program 0.1 MB larger for one system call.
//
// Unsafe: attr is the kernel's union bpf_attr for BPF_RAW_TRACEPOINT_OPEN, passed with its size. Its
// pointer is to the NUL-terminated name, which stays where it is while pinned.
func Attach(name string, prog *ebpf.Program) (*os.File, error) {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return nil, err
	}
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pinner.Pin(text)
	attr := struct {
		name   uint64
		progFD uint32
		_      uint32
	}{uint64(uintptr(unsafe.Pointer(text))), uint32(prog.FD()), 0}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_RAW_TRACEPOINT_OPEN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(prog)
	switch errno {
	case 0:
		return os.NewFile(fd, "raw tracepoint "+name), nil
	case unix.ENOENT:
		return nil, fmt.Errorf("this kernel has no tracepoint %s: %w", name, errno)
	}
	return nil, fmt.Errorf("attach to tracepoint %s: %w", name, errno)
}
