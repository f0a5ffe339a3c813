// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpf(2) is called directly because cilium/ebpf hides what an engine lives on:
// the count beside an error, the cursor, the type ids of key and value, and a
// call that allocates nothing.
//
// SAFETY, for every attribute below: pointers are held in unsafe.Pointer
// fields, so the garbage collector sees and keeps what they point to; the
// structures live on the heap, so no stack can move under the kernel; the sizes
// handed to the kernel are those of the slices the caller passed, checked
// before the call. Pointers into lent memory are dropped right after the call:
// a ring may be unmapped later, and a stale address must not be mistaken for a
// Go pointer.

// The attributes are laid out for 64-bit pointers; elsewhere this fails to compile.
const (
	_ = -uint(unsafe.Sizeof(batchAttr{}) ^ 56)
	_ = -uint(unsafe.Sizeof(elemAttr{}) ^ 32)
	_ = -uint(unsafe.Sizeof(mapInfo{}) ^ 104)
)

// enotsupp is the kernel-internal ENOTSUPP that bpf(2) leaks to user space.
const enotsupp = unix.Errno(524)

// elemLock is BPF_F_LOCK: take the value's bpf_spin_lock while copying it.
const elemLock = 4

type batchAttr struct {
	inBatch, outBatch unsafe.Pointer
	keys, values      unsafe.Pointer
	count, mapFD      uint32
	elemFlags, flags  uint64
}

type elemAttr struct {
	mapFD      uint32
	_          uint32
	key, value unsafe.Pointer // value is next_key for BPF_MAP_GET_NEXT_KEY
	flags      uint64
}

func bpfCall(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, unix.Errno) {
	// Syscall, not RawSyscall: a batch may stay long enough that the scheduler
	// should give this thread's processor to others.
	r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	return int(r), errno
}

// batchCall is BPF_MAP_LOOKUP_BATCH with its attribute and cursor built once.
type batchCall struct {
	attr    batchAttr
	cursor  []byte
	key     int
	value   int
	started bool
}

func newBatchCall(fd int, rows layout, lock bool) *batchCall {
	c := &batchCall{key: rows.key, value: rows.value}
	// A hash keeps a bucket number there, four bytes however small its key.
	c.cursor = make([]byte, max(rows.key, 4))
	c.attr.mapFD = uint32(fd)
	if lock {
		c.attr.elemFlags = elemLock
	}
	return c
}

// rewind makes the next call start at the beginning of the map.
func (c *batchCall) rewind() { c.started = false }

// next reads up to room rows and returns how many the kernel says it wrote.
// With an error the count means what the kernel means by it for that error.
func (c *batchCall) next(keys, values []byte, room int) (int, unix.Errno) {
	if room <= 0 || len(keys) < room*c.key || len(values) < room*c.value {
		return 0, unix.EFAULT
	}
	a := &c.attr
	a.inBatch = nil
	if c.started {
		a.inBatch = unsafe.Pointer(&c.cursor[0])
	}
	a.outBatch = unsafe.Pointer(&c.cursor[0])
	a.keys, a.values = unsafe.Pointer(&keys[0]), unsafe.Pointer(&values[0])
	a.count = uint32(room)
	_, errno := bpfCall(unix.BPF_MAP_LOOKUP_BATCH, unsafe.Pointer(a), unsafe.Sizeof(*a))
	a.keys, a.values = nil, nil
	runtime.KeepAlive(c)
	// The cursor is written on success, and beside a transient error if rows
	// came before it. ENOSPC on the very first bucket may leave one, too, but
	// starting over is the same place and needs no trust.
	c.started = c.started || errno == 0 || transient(errno) && a.count > 0
	return int(a.count), errno
}

// transient errors mean "again", and may come with rows: a key vanished under
// the call (EINTR, before 6.6) or a bucket's lock was taken.
func transient(e unix.Errno) bool {
	return e == unix.EINTR || e == unix.EAGAIN || e == unix.EBUSY
}

// elemCall is the single-element commands with their attribute built once.
type elemCall struct{ attr elemAttr }

func newElemCall(fd int) *elemCall { return &elemCall{elemAttr{mapFD: uint32(fd)}} }

// nextKey writes the key after key into next; an empty key asks for the first.
// Both are exactly one key long.
func (c *elemCall) nextKey(key, next []byte) unix.Errno {
	a := &c.attr
	a.key, a.flags = nil, 0
	if len(key) > 0 {
		a.key = unsafe.Pointer(&key[0])
	}
	a.value = unsafe.Pointer(&next[0])
	_, errno := bpfCall(unix.BPF_MAP_GET_NEXT_KEY, unsafe.Pointer(a), unsafe.Sizeof(*a))
	a.key, a.value = nil, nil
	return errno
}

// lookup writes key's value into value, which is one row's value long.
func (c *elemCall) lookup(key, value []byte, lock bool) unix.Errno {
	a := &c.attr
	a.key, a.value, a.flags = unsafe.Pointer(&key[0]), unsafe.Pointer(&value[0]), 0
	if lock {
		a.flags = elemLock
	}
	_, errno := bpfCall(unix.BPF_MAP_LOOKUP_ELEM, unsafe.Pointer(a), unsafe.Sizeof(*a))
	a.key, a.value = nil, nil
	return errno
}

// mapInfo is struct bpf_map_info; what an older kernel does not fill stays zero.
type mapInfo struct {
	Type, ID                       uint32
	KeySize, ValueSize             uint32
	MaxEntries, Flags              uint32
	Name                           [16]byte
	Ifindex, BTFVmlinuxValueTypeID uint32
	NetnsDev, NetnsIno             uint64
	BTFID, BTFKeyTypeID            uint32
	BTFValueTypeID, BTFVmlinuxID   uint32
	MapExtra                       uint64
	Hash                           uint64
	HashSize                       uint32
	_                              [4]byte
}

func (i *mapInfo) name() string { return unix.ByteSliceToString(i.Name[:]) }

// objInfo describes the map behind fd.
func objInfo(fd int) (mapInfo, unix.Errno) {
	info := new(mapInfo)
	attr := &struct {
		fd, size uint32
		info     unsafe.Pointer
	}{uint32(fd), uint32(unsafe.Sizeof(*info)), unsafe.Pointer(info)}
	_, errno := bpfCall(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
	return *info, errno
}

// objGet opens the object behind a pin.
func objGet(path string, flags uint32) (int, unix.Errno) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, unix.EINVAL
	}
	attr := &struct {
		path      unsafe.Pointer
		fd, flags uint32
	}{unsafe.Pointer(name), 0, flags}
	fd, errno := bpfCall(unix.BPF_OBJ_GET, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
	if errno != 0 {
		return -1, errno
	}
	return fd, 0
}

// pinProbe asks again and again which inode is under a path, without
// allocating.
type pinProbe struct {
	path *byte
	st   unix.Statx_t
}

func newPinProbe(path string) (*pinProbe, error) {
	name, err := unix.BytePtrFromString(path)
	return &pinProbe{path: name}, err
}

func (p *pinProbe) inode() (uint64, unix.Errno) {
	dir := unix.AT_FDCWD
	// SAFETY: path is a NUL-terminated heap string and st a whole statx buffer,
	// both kept by p.
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(p.path)),
		0, unix.STATX_INO, uintptr(unsafe.Pointer(&p.st)), 0)
	runtime.KeepAlive(p)
	return p.st.Ino, errno
}
