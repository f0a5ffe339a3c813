// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runAttr is the BPF_PROG_TEST_RUN part of union bpf_attr.
type runAttr struct {
	progFD, retval                uint32
	dataSizeIn, dataSizeOut       uint32
	dataIn, dataOut               uint64
	repeat, duration              uint32
	contextSizeIn, contextSizeOut uint32
	contextIn, contextOut         uint64
	flags, cpu                    uint32
	batchSize, _                  uint32
}

// The attribute is the same on all architectures; elsewhere this fails to compile.
const _ = -uint(unsafe.Sizeof(runAttr{}) ^ 80)

// runCall runs a program that takes no context. cilium/ebpf's Program.Run
// allocates, and loads a program of its own the first time, which a process
// that has dropped its rights may not do.
type runCall struct{ attr *runAttr }

func newRunCall(fd int) runCall { return runCall{&runAttr{progFD: uint32(fd)}} }

func (c runCall) run() unix.Errno {
	// Syscall, not RawSyscall: a run may stay so long that the scheduler should
	// give this thread's processor to others.
	//
	// SAFETY: attr is on the heap, as large as is said, and holds no pointer.
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(c.attr)), unsafe.Sizeof(*c.attr))
	runtime.KeepAlive(c.attr)
	return errno
}

// controlIn is the program's control words at the beginning of mem.
//
// SAFETY: the words are the only variable of their section, so they begin where
// it begins, on a page; mem is at least a page. The program writes them only
// during run, and a system call is a barrier for both sides.
func controlIn(mem []byte) *scanControl { return (*scanControl)(unsafe.Pointer(&mem[0])) }

// createCall opens a descriptor whose reads run an iterator's program.
type createCall struct{ attr *createAttr }

type createAttr struct{ linkFD, flags uint32 }

func newCreateCall(link int) createCall { return createCall{&createAttr{linkFD: uint32(link)}} }

func (c createCall) create() (int, unix.Errno) {
	// SAFETY: as in run.
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_ITER_CREATE, uintptr(unsafe.Pointer(c.attr)), unsafe.Sizeof(*c.attr))
	runtime.KeepAlive(c.attr)
	return int(fd), errno
}

// linkAttr is the BPF_LINK_CREATE part of union bpf_attr for iterators.
type linkAttr struct {
	progFD, targetFD  uint32
	attachType, flags uint32
	info              unsafe.Pointer
	infoLen, _        uint32
}

const _ = -uint(unsafe.Sizeof(linkAttr{}) ^ 32)

// attachIterator links a program to a map and returns the link's descriptor. It
// is called directly because package link of cilium/ebpf, with all it can attach,
// is a fortieth of what the privileged binary may weigh.
func attachIterator(program, target int) (int, unix.Errno) {
	const traceIter = 28 // BPF_TRACE_ITER
	// union bpf_iter_link_info: the map's descriptor comes first.
	info := &struct {
		mapFD uint32
		_     [12]byte
	}{mapFD: uint32(target)}
	attr := &linkAttr{progFD: uint32(program), attachType: traceIter, info: unsafe.Pointer(info), infoLen: uint32(unsafe.Sizeof(*info))}
	// SAFETY: both are on the heap, as large as is said, and kept by attr's
	// pointer and the KeepAlive.
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	runtime.KeepAlive(attr)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), 0
}
