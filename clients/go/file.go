// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"fmt"
	"io"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// ErrLapped: what a file holds was overwritten while it was copied, and there is
// no frame in it from which to go on. A ring that lives gets there by itself.
var ErrLapped = errors.New("no frame can be caught: the file was written while it was copied")

// OpenFile reads a recorded ring. It is read into private memory at once: what
// happens to the file later is of no consequence, and [Subscription.View] is as
// safe as [Subscription.Batches].
//
// Reading begins at the oldest frame. Batches ends with the file, without an
// error; View says [io.EOF]. A recording tells nothing of a sidecar's life. Of
// the options only Source counts. The errors are those of opening a file, and
// one that names what makes it no ring.
func OpenFile(path string, o Options) (*Subscription, error) {
	ring, err := shm.OpenImage(path)
	if err != nil {
		return nil, err
	}
	return openImage(path, ring, ring.Begin(StartOldest, shm.AnySource), o.Source), nil
}

func openImage(path string, ring *shm.Ring, pos shm.Position, source string) *Subscription {
	g := ring.Geometry()
	s := &Subscription{file: path, opts: Options{Ring: g.Name, Source: source, Start: StartOldest}}
	s.lease = &handoff.Attachment{Ring: ring, Position: pos, Source: shm.AnySource, Epoch: g.Epoch}
	s.cursor, s.pos = s.lease.Cursor(StartOldest), pos
	s.buf = make([]byte, g.LargestFrame)
	return s
}

// endFile is nothing for a file, in which nothing will follow.
func (s *Subscription) endFile(status shm.Status) {
	switch status {
	case shm.Empty, shm.Ended:
		s.err = io.EOF
	case shm.Corrupt:
		s.err = fmt.Errorf("%s: %w", s.file, s.cursor.Err())
	case shm.Lapped:
		s.err = fmt.Errorf("%s: %w", s.file, ErrLapped)
	}
}
