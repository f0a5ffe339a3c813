// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is an AF_UNIX socket of packets in Go's poller. Package net has the
// same and much more: a resolver, for one, of which a privileged program had
// better not have a third of a megabyte.
//
// Its methods are safe for concurrent use.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

const packets = unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK

// newSocket takes over a descriptor that does not block.
func newSocket(fd int, name string) (*socket, error) {
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &socket{file: file, raw: raw}, nil
}

// connect does not wait: unix.EAGAIN is a full backlog.
func connect(path string) (*socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, packets, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return newSocket(fd, path)
}

// accept waits for a client.
func (s *socket) accept() (c *socket, err error) {
	fd := -1
	if err := s.when(s.raw.Read, func(listening int) (err error) {
		fd, _, err = unix.Accept4(listening, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		return err
	}); err != nil {
		return nil, err
	}
	return newSocket(fd, s.file.Name())
}

// receive waits for a packet. n is 0 when the other side has hung up. Without
// room for control messages the kernel drops descriptors that come along.
func (s *socket) receive(packet, control []byte) (n, controls, flags int, err error) {
	err = s.when(s.raw.Read, func(fd int) (err error) {
		n, controls, flags, _, err = unix.Recvmsg(fd, packet, control, unix.MSG_CMSG_CLOEXEC)
		return err
	})
	return max(n, 0), controls, flags, err
}

// send waits for room in the other side's buffer.
func (s *socket) send(packet, rights []byte) error {
	return s.when(s.raw.Write, func(fd int) error {
		return unix.Sendmsg(fd, packet, rights, nil, unix.MSG_NOSIGNAL)
	})
}

// when does something as soon as it can be done, which ends with the deadline or
// with close.
func (s *socket) when(ready func(func(fd uintptr) bool) error, do func(fd int) error) (err error) {
	waited := ready(func(fd uintptr) bool {
		for err = do(int(fd)); errors.Is(err, unix.EINTR); {
			err = do(int(fd))
		}
		return !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case waited == nil:
		return err
	case s.closed.Load(): // for which a raw connection has no error of its own
		return os.ErrClosed
	}
	return waited
}

// until sets the deadline of what waits, and of what will.
func (s *socket) until(t time.Time) { s.file.SetDeadline(t) } // fails only for what is closed

// close ends what waits. It may be called again.
func (s *socket) close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.file.Close()
}
