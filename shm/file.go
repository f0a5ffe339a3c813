// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is a ring that is recorded to a file, by the same code that publishes to
// memory. Nobody may map it: see ReadImage. The caller ends it with End.
type File struct {
	*Publisher
	disk *disk
}

// CreateFile makes a ring in a new file, which only its owner can read: what is
// recorded is as confidential as what it was recorded from. The file is sparse
// and grows as frames come.
func CreateFile(path string, c Config) (*File, error) {
	g, err := planConfig(c)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	p, d, err := recordTo(f, g)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &File{p, d}, nil
}

func recordTo(f *os.File, g Geometry) (*Publisher, *disk, error) {
	if err := f.Truncate(int64(g.TotalBytes)); err != nil {
		return nil, nil, err
	}
	d := &disk{file: f, base: g.DataOffset}
	if err := d.allocate(0, g.DataOffset); err != nil {
		return nil, nil, err
	}
	mem, err := mapSparse(f, g.TotalBytes)
	if err != nil {
		return nil, nil, err
	}
	p := newPublisher(mem, g)
	p.file, p.disk = f, d
	go p.runNotifier()
	return p, d, nil
}

// End finishes the ring, gives back the room it did not need, and closes it. No
// other method may be running or be called later.
func (f *File) End(ctx context.Context) error {
	p := f.Publisher
	if err := p.Finish(ctx, StateEnded); err != nil {
		return errors.Join(err, p.Close()) // claims are open: their bytes are nobody's yet
	}
	p.mu.Lock()
	if f.disk.have.Load() < p.geometry.DataBytes {
		// Not once around: nothing was overwritten, whatever was claimed. And there
		// may be no room on the disk for a single pad.
		p.hw = p.head
		p.shared.hw.Store(p.hw)
	}
	// What was claimed and given back may have been overwritten. Pads over it
	// leave nothing before head that is not whole.
	for p.head < p.hw {
		left := p.geometry.DataBytes - p.head&p.mask
		p.pad(min(p.hw-p.head, left, uint64(p.geometry.LargestFrame)))
	}
	p.shared.head.Store(p.head)
	p.mu.Unlock()
	return errors.Join(f.shrink(), p.Close())
}

// shrink cuts the data to the smallest ring that holds all of it. One that has
// wrapped needs all of it, and one whose largest frame is half of what was
// recorded needs eight times that frame.
func (f *File) shrink() error {
	p, g := f.Publisher, f.geometry
	if p.head > g.DataBytes {
		return nil
	}
	longest := uint64(HeaderBytes)
	for at := uint64(0); at < p.head; {
		var w words
		var h Header
		p.data.load(at, &w)
		h.decode(&w)
		longest = max(longest, uint64(h.Length))
		at += uint64(h.Length)
	}
	g.DataBytes = 1 << bits.Len64(max(p.head, longest*segments, minDataBytes)-1)
	if g.DataBytes >= f.geometry.DataBytes {
		return nil
	}
	g.TotalBytes, g.LargestFrame = g.DataOffset+g.DataBytes, uint32(longest)
	g.encode(p.mem[:headerSize])
	return f.file.Truncate(int64(g.TotalBytes))
}

// disk makes room on the disk before a byte of it is written: a store into a
// mapping has no way to report that the disk is full, but SIGBUS.
type disk struct {
	file *os.File
	base uint64
	mu   sync.Mutex
	have atomic.Uint64 // bytes of data that have a place
}

const diskStep = 1 << 20

// hold makes sure that the data has a place on the disk up to end.
func (d *disk) hold(end, dataBytes uint64) error {
	end = min(end, dataBytes)
	if end <= d.have.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.have.Load()
	if end <= from {
		return nil
	}
	end = min((end+diskStep-1)&^(diskStep-1), dataBytes)
	if err := d.allocate(d.base+from, end-from); err != nil {
		return err
	}
	d.have.Store(end)
	return nil
}

func (d *disk) allocate(from, length uint64) error {
	var err error = unix.EINTR
	for errors.Is(err, unix.EINTR) { // by the runtime's own signals
		err = unix.Fallocate(int(d.file.Fd()), 0, int64(from), int64(length))
	}
	if err == nil || errors.Is(err, unix.EOPNOTSUPP) { // such a file system does not promise room
		return nil
	}
	return fmt.Errorf("%d more bytes for %s: %w", length, d.file.Name(), err)
}
