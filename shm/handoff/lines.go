// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// lines watches the sockets of all leases, through an epoll instance of its own
// that asks for what comes in and for nothing else.
//
// Go's poller asks every socket also when there is room to send. A consumer that
// takes a wake-up off its socket makes room, so each ring would come back as a
// wake-up of the sidecar: a third of what ringing cost. The instance itself is
// in Go's poller, so that watching holds no thread.
type lines struct {
	epoll *os.File

	mu     sync.Mutex
	open   map[int32]*line
	closed bool
}

func newLines() (*lines, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch the leases: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // which is how os.File knows to use the poller
		unix.Close(fd)
		return nil, fmt.Errorf("watch the leases: %w", err)
	}
	return &lines{epoll: os.NewFile(uintptr(fd), "leases"), open: map[int32]*line{}}, nil
}

// watch stirs lines until close.
func (ls *lines) watch() error {
	raw, err := ls.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var events [64]unix.EpollEvent
	for {
		n, failed := 0, error(nil)
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events[:], 0)
			return n != 0 || failed != nil && !errors.Is(failed, unix.EINTR)
		})
		ls.mu.Lock()
		if err = errors.Join(err, failed); err != nil {
			defer ls.mu.Unlock()
			if ls.closed { // for which a raw connection has no error of its own
				return nil
			}
			return fmt.Errorf("watch the leases: %w", err)
		}
		for _, e := range events[:n] {
			if l := ls.open[e.Fd]; l != nil {
				l.stir()
			}
		}
		ls.mu.Unlock()
	}
}

func (ls *lines) close() error {
	ls.mu.Lock()
	ls.closed = true
	ls.mu.Unlock()
	return ls.epoll.Close()
}

// add watches a socket, which from now on belongs to the line. It has to be
// closed.
func (ls *lines) add(fd int) (*line, error) {
	l := &line{lines: ls, fd: fd, stirred: make(chan struct{}, 1)}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	raw, err := ls.epoll.SyscallConn()
	if err != nil {
		return nil, err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
	held := raw.Control(func(epoll uintptr) {
		err = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, fd, &event)
	})
	if err = errors.Join(held, err); err != nil {
		return nil, fmt.Errorf("watch a lease: %w", err)
	}
	ls.open[int32(fd)] = l
	return l, nil
}

// line is the socket of one lease. One goroutine reads it; hangUp may be called
// from any other. The bell rings it, and is not rung any more when it closes.
type line struct {
	lines   *lines
	stirred chan struct{} // something came in, or the other end is gone

	mu sync.Mutex
	fd int // -1 once closed
}

func (l *line) stir() {
	select {
	case l.stirred <- struct{}{}:
	default:
	}
}

// read waits for a packet. n is 0 when the client has hung up.
func (l *line) read(b []byte) (n, flags int, err error) {
	for {
		// No room for descriptors: the kernel drops them.
		n, _, flags, _, err = unix.Recvmsg(l.fd, b, nil, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			<-l.stirred
		case !errors.Is(err, unix.EINTR):
			return n, flags, err
		}
	}
}

// send sends a packet, if there is room for it.
func (l *line) send(packet []byte) error {
	if errno := sendAtOnce(l.fd, packet); errno != 0 {
		return errno
	}
	return nil
}

// hangUp makes both ends see the end of the connection, this one also if nobody
// watches any more.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = unix.Shutdown(l.fd, unix.SHUT_RDWR) // fails if the client was faster
		l.stir()
	}
}

// close gives the socket back. It is for whoever reads the line.
func (l *line) close() {
	l.lines.mu.Lock()
	delete(l.lines.open, int32(l.fd))
	l.lines.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.Close(l.fd) // and epoll forgets it
	l.fd = -1
}
