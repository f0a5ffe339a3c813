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
// Reading begins at the oldest frame, unless Start says otherwise; a file without
// a keyframe is read from its oldest frame anyway. Batches ends with the file,
// without an error; View says [io.EOF]. A recording tells nothing of a sidecar's
// life. Of the options only Source and Start count. The errors are those of
// opening a file, and one that names what makes it no ring.
func OpenFile(path string, o Options) (*Subscription, error) {
	ring, err := shm.OpenImage(path)
	if err != nil {
		return nil, err
	}
	return openImage(path, ring, o), nil
}

func openImage(path string, ring *shm.Ring, o Options) *Subscription {
	if o.Start == StartDefault {
		o.Start = StartOldest
	}
	g, source := ring.Geometry(), newest(ring, o.Source)
	var pos shm.Position
	if o.Start != StartBeginning {
		pos = ring.Begin(o.Start.policy(), source)
	}
	s := &Subscription{file: path, opts: Options{Ring: g.Name, Source: o.Source, Start: o.Start}}
	s.lease = &handoff.Attachment{Ring: ring, Position: pos, Source: source, Epoch: g.Epoch}
	s.cursor, s.pos = s.lease.Cursor(o.Start.policy()), pos
	s.buf = make([]byte, g.LargestFrame)
	return s
}

// newest is the number of the newest source of a name, or stands for all.
func newest(ring *shm.Ring, name string) uint16 {
	for n := ring.Sources() - 1; n >= 0 && name != ""; n-- {
		if info, err := ring.Source(n); err == nil && info.Name == name {
			return uint16(n)
		}
	}
	return shm.AnySource
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
