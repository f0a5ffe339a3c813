// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// MaxRead is what one read gives at most: the kernel's buffer. A row must fit.
const MaxRead = 32 << 10

// ErrRowTooLarge: a row does not fit into the kernel's buffer.
var ErrRowTooLarge = fmt.Errorf("a row is larger than the %d bytes that one read gives", MaxRead)

// Iterator is a program that the kernel calls for each element.
type Iterator struct {
	coll    *ebpf.Collection
	link    int // that the program is attached by, or -1
	control *scanControl
	mem     []byte
	create  createCall
	stride  int
	fd      int // of the walk under way, or -1
}

// OpenIterator loads the program for a map. Each row is a key and its values,
// each on 8 bytes.
func OpenIterator(t Target) (*Iterator, error) {
	program := scanProgIterRows
	switch t.Type {
	case ebpf.PerCPUHash:
		program = scanProgIterPercpuHash
	case ebpf.PerCPUArray:
		program = scanProgIterPercpuArray
	case ebpf.LRUCPUHash:
		return nil, fmt.Errorf("%w: looking its rows up would change which of them the map throws out", ErrShape)
	}
	stride := t.KeyStride() + t.ValueStride()
	if stride > MaxRead {
		return nil, fmt.Errorf("%w: it takes %d", ErrRowTooLarge, stride)
	}
	coll, err := t.load(program, stride, stride)
	if err != nil {
		return nil, err
	}
	it := &Iterator{coll: coll, stride: stride, link: -1, fd: -1}
	if it.mem, err = mapMemory(coll.Maps[mapControl]); err != nil {
		return nil, errors.Join(fmt.Errorf("map the control words: %w", err), it.Close())
	}
	it.control = controlIn(it.mem)
	var errno unix.Errno
	if it.link, errno = attachIterator(coll.Programs[program].FD(), t.FD); errno != 0 {
		return nil, errors.Join(fmt.Errorf("attach the iterator: %w", errno), it.Close())
	}
	it.create = newCreateCall(it.link)
	return it, nil
}

// Stride is the distance of one row to the next.
func (it *Iterator) Stride() int { return it.stride }

// Begin starts a walk from the first element. One that is under way is given up.
func (it *Iterator) Begin() error {
	it.End()
	it.control.Discarded = 0
	fd, errno := it.create.create()
	if errno != 0 {
		return fmt.Errorf("BPF_ITER_CREATE: %w", errno)
	}
	it.fd = fd
	return nil
}

// maxEmptyReads bounds reads in a row that look at elements and give none.
const maxEmptyReads = 64

// Read writes whole rows to the beginning of buf and returns how many. No row
// and no error is the end. buf must have room for one row.
func (it *Iterator) Read(buf []byte) (int, error) {
	// A multiple of rows: of what does not fit, the kernel would give the
	// beginning now and the rest the next time.
	room := min(len(buf), MaxRead) / it.stride * it.stride
	for range maxEmptyReads {
		n, err := unix.Read(it.fd, buf[:room])
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err == unix.E2BIG:
			return 0, ErrRowTooLarge
		case err != nil:
			return 0, fmt.Errorf("read the iterator: %w", err)
		case n%it.stride != 0:
			return 0, ErrOdd
		}
		return n / it.stride, nil
	}
	return 0, fmt.Errorf("read the iterator: %w", unix.EAGAIN)
}

// Discarded is how many elements of this walk were taken out, or given to another
// key, while they were copied.
func (it *Iterator) Discarded() int { return int(it.control.Discarded) }

// End gives up a walk, or releases one that has ended.
func (it *Iterator) End() {
	if it.fd >= 0 {
		unix.Close(it.fd)
		it.fd = -1
	}
}

// Close frees the program and its memory.
func (it *Iterator) Close() error {
	it.End()
	var errs []error
	if it.link >= 0 {
		errs = append(errs, unix.Close(it.link))
	}
	if it.mem != nil {
		errs = append(errs, unix.Munmap(it.mem))
	}
	it.mem, it.control, it.link = nil, nil, -1
	it.coll.Close()
	return errors.Join(errs...)
}
