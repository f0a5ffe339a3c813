// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/fence"
)

// maxImage bounds the memory that an image takes: the largest data, and as much
// again for a catalog and schemas that nobody needs.
const maxImage = 2 * maxDataBytes

// OpenImage reads a ring from a file: one that was recorded, or a copy. See
// ReadImage.
func OpenImage(path string) (*Ring, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe, which it must not be, would be waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", path, ErrNotARing)
	}
	r, err := ReadImage(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// ReadImage copies a ring of size bytes into private memory and checks its
// header. A mapping would not do: whoever may write the file may also cut it, and
// every later access would be a SIGBUS. The file may be one that is being
// recorded: what is overwritten while it is copied counts as overwritten.
//
// Begin says where to read. The Ring needs no Close.
func ReadImage(from io.ReaderAt, size int64) (*Ring, error) {
	if size < headerSize+controlSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrNotARing, size)
	}
	first := make([]byte, headerSize)
	if err := readAt(from, first, 0); err != nil {
		return nil, err
	}
	if _, err := decodeGeometry(first, uint64(size)); err != nil {
		return nil, err
	}
	if uint64(size) > maxImage {
		return nil, fmt.Errorf("image of %d bytes: %w: at most %d", size, ErrTooLarge, uint64(maxImage))
	}
	mem := make(memory, size) // aligned to 64 at the least, as every frame has to be
	if err := readAt(from, mem, 0); err != nil {
		return nil, err
	}
	copy(mem, first) // what was checked is what is used
	fence.LoadLoad() // the data was copied before hw is read again
	if err := readAt(from, mem[headerSize+offHW:headerSize+offHW+8], headerSize+offHW); err != nil {
		return nil, err
	}
	return newRing(mem)
}

func readAt(from io.ReaderAt, b []byte, at int64) error {
	n, err := from.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file was cut to %d bytes while it was read", ErrNotARing, at+int64(n))
	}
	return err
}

// Begin is where reading an image begins. A ring that is being written is read
// from the position that came with the lease: here nobody keeps a frame from
// being overwritten while it is looked at.
func (r *Ring) Begin(start Start, source uint16) Position {
	head := r.shared.head.Load()
	overtaken := func(at uint64) bool { return r.shared.hw.Load()-at > r.geometry.DataBytes }
	at := r.place(start, source, head)
	if start == StartKeyframe && at == head { // none is whole, and none will come
		at = r.shared.tail.Load()
	}
	if overtaken(at) { // while the file was copied
		at = r.shared.last.Load()
	}
	at &^= frameAlign - 1
	if at == 0 {
		return Position{}
	}
	if at >= head || overtaken(at) { // there is no frame to say how much was before it
		t := r.Totals()
		return Position{head, t.Frames, t.Rows}
	}
	var w words
	var h Header
	r.data.load(at&r.mask, &w)
	h.decode(&w)
	return Position{at, h.Seq, h.RowsBefore}
}

// place is the offset that a start stands for, head if there is none.
func (r *Ring) place(start Start, source uint16, head uint64) uint64 {
	at := head
	switch start {
	case StartOldest:
		at = r.shared.tail.Load()
	case StartKeyframe:
		for n := range r.Sources() {
			k := r.keyframe(n)
			if source != AnySource && source != uint16(n) || k >= at || r.shared.hw.Load()-k > r.geometry.DataBytes {
				continue
			}
			if state, _ := r.SourceState(n); state == SourceActive {
				at = k
			}
		}
	}
	return at
}
