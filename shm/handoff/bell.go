// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// bell wakes a consumer by one small packet. It never waits: not for the
// client, who may not read its socket, and not for the goroutine that may be
// sending an answer on it, which is why it goes past the connection's write
// lock (Control instead of Write). It does not allocate.
type bell struct {
	raw  syscall.RawConn
	send func(fd uintptr)
	wake [headBytes]byte
	err  error // of the last send; ring is called by one goroutine at a time
}

func newBell(raw syscall.RawConn) *bell {
	b := &bell{raw: raw}
	putHead(b.wake[:], typeWake)
	b.send = func(fd uintptr) {
		b.err = nil // not errno in an interface, which would never be nil
		if errno := sendAtOnce(int(fd), b.wake[:]); errno != 0 {
			b.err = errno
		}
	}
	return b
}

// ring is what shm.Publisher.Attach asks for. A full socket is as good as a
// rung one: the client has packets to read, so it does not sleep.
func (b *bell) ring() error {
	if err := b.raw.Control(b.send); err != nil {
		return err
	}
	if errors.Is(b.err, unix.EAGAIN) {
		return nil
	}
	return b.err
}
