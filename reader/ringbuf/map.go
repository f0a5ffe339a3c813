// SPDX-License-Identifier: Apache-2.0

package ringbuf

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Map maps the ringbuf behind fd, whose max_entries is size. The descriptor must
// be open for reading and writing: the kernel maps none that was opened with
// BPF_F_RDONLY, not even for reading. It is not needed afterwards.
func Map(fd, size int) (*Ring, error) {
	page := os.Getpagesize()
	if size < page || size&(size-1) != 0 {
		return nil, fmt.Errorf("a ringbuf of %d bytes: want a power of two of at least a page", size)
	}
	consumer, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the ringbuf's read position: %w", err)
	}
	// The kernel lets nobody write here.
	rest, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map the ringbuf's records: %w", err), unix.Munmap(consumer))
	}
	r := newRing(consumer, rest, rest[page:])
	r.unmap = func() error { return errors.Join(unix.Munmap(consumer), unix.Munmap(rest)) }
	return r, nil
}
