// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// Attachment is a lent ring. The connection is its lease: Close ends it, and so
// does the death of this process. Not safe for concurrent use.
type Attachment struct {
	Ring     *shm.Ring
	Page     *shm.ControlPage
	Position shm.Position // where to begin
	Source   uint16       // number of the source that was asked for; shm.AnySource for all
	Epoch    uint64       // another epoch is another ring

	sleeper *sleeper
}

// Cursor begins to read as Attach was asked to, and keeps the control page up
// to date.
func (a *Attachment) Cursor(start shm.Start) *shm.Cursor {
	c := shm.NewCursor(a.Ring, a.Position, start, a.Source)
	c.Report(a.Page)
	return c
}

// Attach asks for a ring. A refusal leaves the connection as it was; success
// makes it the Attachment's.
func (c *Conn) Attach(ctx context.Context, r AttachRequest) (*Attachment, error) {
	request, err := r.encode()
	if err != nil {
		return nil, err
	}
	done, err := c.begin(ctx, request)
	if err != nil {
		return nil, err
	}
	defer done()
	a, files, err := c.receive(ctx, typeAttach)
	defer closeAll(files) // mappings need no descriptors, and the sleeper has its own
	if err != nil {
		return nil, c.end(err)
	}
	attachment, err := take(a.payload, files)
	if err != nil {
		return nil, c.end(fmt.Errorf("ring %q from %s: %w", r.Ring, c.path, err))
	}
	if attachment.sleeper, err = newSleeper(c.socket, files[2]); err != nil {
		return nil, errors.Join(err, attachment.Page.Close(), attachment.Ring.Close(), c.Close())
	}
	c.socket = nil
	return attachment, nil
}

// take maps what was lent and holds it against what was said about it.
func take(payload []byte, files []*os.File) (*Attachment, error) {
	g, err := decodeGrant(payload)
	if err != nil {
		return nil, err
	}
	if len(files) != grantFiles {
		return nil, fmt.Errorf("%w: %d descriptors came with it, expected %d", ErrProtocol, len(files), grantFiles)
	}
	ring, err := shm.Open(files[0])
	if err != nil {
		return nil, err
	}
	page, err := shm.OpenControlPage(files[1])
	if err != nil {
		ring.Close()
		return nil, err
	}
	if have := ring.Geometry(); have.Epoch != g.epoch || have.TotalBytes != g.ringBytes {
		page.Close()
		ring.Close()
		return nil, fmt.Errorf("%w: sidecar grants epoch %#x of %d bytes, the ring is epoch %#x of %d",
			ErrProtocol, g.epoch, g.ringBytes, have.Epoch, have.TotalBytes)
	}
	return &Attachment{Ring: ring, Page: page, Position: g.pos, Source: g.source, Epoch: g.epoch}, nil
}

// Close gives the ring back. Bytes that its cursors lent are gone.
func (a *Attachment) Close() error {
	return errors.Join(a.sleeper.close(), a.Page.Close(), a.Ring.Close())
}

// grantFiles is how many descriptors a grant has: the ring, the page, the bell.
const grantFiles = 3

// receiveFiles reads one packet and the descriptors that came with it. More
// than those of a grant are none of ours: the kernel has no room to install them.
func receiveFiles(socket *socket, packet []byte) (b []byte, files []*os.File, err error) {
	var control [16 + grantFiles*4]byte // one header, three descriptors
	n, controlBytes, flags, err := socket.receive(packet, control[:])
	if err != nil {
		return nil, nil, err
	}
	files, err = rights(control[:controlBytes])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = fmt.Errorf("%w: an answer is larger than it may be", ErrProtocol)
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	return packet[:n], files, err
}

func rights(control []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // another kind of message, which holds no descriptors
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "from the sidecar"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
