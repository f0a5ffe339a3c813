// SPDX-License-Identifier: Apache-2.0

package changes

import "golang.org/x/sys/unix"

// slabBytes is one large page.
const slabBytes = 2 << 20

// slabs is memory for the rows of large histories, in large pages where the kernel
// has some: every scan runs through all of it, and with ordinary ones comparing takes
// a seventh longer.
type slabs struct {
	all  [][]byte
	rest []byte // of the last one
}

// cut returns zeroed memory, or none if there is none left of the budget, or if
// slabs do not pay.
func (s *slabs) cut(size int, budget *Budget) []byte {
	if size > slabBytes/16 {
		return nil
	}
	if len(s.rest) < size {
		if !budget.take(slabBytes) {
			return nil
		}
		mem, err := unix.Mmap(-1, 0, slabBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			budget.give(slabBytes)
			return nil
		}
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // no kernel must have them
		s.all, s.rest = append(s.all, mem), mem
	}
	mem := s.rest[:size:size]
	s.rest = s.rest[size:]
	return mem
}

// bytes is what all slabs take.
func (s *slabs) bytes() int64 { return int64(len(s.all)) * slabBytes }

// drop gives all memory back: nothing that was cut may be used any more.
func (s *slabs) drop(budget *Budget) {
	for _, mem := range s.all {
		_ = unix.Munmap(mem) // fails for no mapping of ours
	}
	budget.give(s.bytes())
	*s = slabs{}
}
