// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mmapEngine copies an array from its own pages. Nothing is asked of the
// kernel, so nothing is disturbed.
type mmapEngine struct {
	mem     []byte
	entries int
	rows    layout
	pace    pace
}

// newMmapEngine maps the array's pages. fd must be open for reading and
// writing, because the kernel maps no read-only descriptor, but the mapping is
// PROT_READ: a live writable mapping would make the owner's BPF_MAP_FREEZE fail.
func newMmapEngine(fd int, info *Info, pc pace) (*mmapEngine, error) {
	rows := layout{key: info.KeySize, value: (info.ValueSize + 7) &^ 7}
	size := info.MaxEntries * rows.value
	page := os.Getpagesize()
	// Populate: the first scan should cost what every scan costs.
	mem, err := unix.Mmap(fd, 0, (size+page-1)&^(page-1), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return &mmapEngine{mem: mem, entries: info.MaxEntries, rows: rows, pace: pc}, nil
}

func (e *mmapEngine) close() error { return unix.Munmap(e.mem) }

func (e *mmapEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	limit := e.rows.fit(dst.Largest())
	for first := 0; first < e.entries; {
		want := min(e.pace.rows(limit), e.entries-first)
		buf, err := dst.Claim(ctx, e.rows.bytes(1), e.rows.bytes(want))
		if err != nil {
			return err
		}
		n := min(e.rows.fit(len(buf)), want)
		start := nowNS()
		putIndexes(buf[:n*e.rows.key], uint32(first))
		at := first * e.rows.value
		fill(dst, buf[e.rows.valuesOffset(n):], e.mem[at:at+n*e.rows.value])
		e.pace.note(n, nowNS()-start)
		first += n
		p.commit(dst, buf, e.rows, n, n, first == e.entries)
	}
	return nil
}

// putIndexes fills keys with consecutive array indexes from first. Two keys a
// store: making them must not cost what copying the values costs.
func putIndexes(keys []byte, first uint32) {
	pair := uint64(first) | uint64(first+1)<<32
	const step = 2 | 2<<32
	for len(keys) >= 32 {
		b := keys[:32]
		binary.LittleEndian.PutUint64(b[0:], pair)
		binary.LittleEndian.PutUint64(b[8:], pair+step)
		binary.LittleEndian.PutUint64(b[16:], pair+2*step)
		binary.LittleEndian.PutUint64(b[24:], pair+3*step)
		pair += 4 * step
		keys = keys[32:]
	}
	for i := uint32(pair); len(keys) >= 4; i++ {
		binary.LittleEndian.PutUint32(keys, i)
		keys = keys[4:]
	}
}
