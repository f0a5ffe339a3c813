// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"golang.org/x/sys/unix"
)

// bell wakes a consumer by one small packet. It never waits: not for the
// client, who may not read its socket, and not for the goroutine that reads the
// other direction. It does not allocate.
type bell struct {
	fd   int // the line's; it is closed only after its consumer was detached, when nobody rings any more
	wake [headBytes]byte
}

func newBell(fd int) *bell {
	b := &bell{fd: fd}
	putHead(b.wake[:], typeWake)
	return b
}

// ring is what shm.Publisher.Attach asks for. A full socket is as good as a
// rung one: the client has packets to read, so it does not sleep.
func (b *bell) ring() error {
	switch errno := sendAtOnce(b.fd, b.wake[:]); errno {
	case 0, unix.EAGAIN:
		return nil
	default:
		return errno
	}
}
