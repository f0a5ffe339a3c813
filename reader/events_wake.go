// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// waker sleeps until the kernel says that a ringbuf has something, or until it
// is poked.
//
// The ringbuf is waited for edge-triggered. Asked by level, it says "readable"
// all the time that a record is reserved and not yet submitted, and whoever waits
// would run in circles for as long as that program takes.
type waker struct {
	mu    *sync.Mutex // between poke and close
	epoll int
	event int // eventfd
}

func noWaker() waker { return waker{mu: new(sync.Mutex), epoll: -1, event: -1} }

// newWaker waits for a ringbuf as long as fd is open.
func newWaker(fd int) (waker, error) {
	w := noWaker()
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return w, fmt.Errorf("epoll: %w", err)
	}
	if w.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return w, fmt.Errorf("eventfd: %w", err)
	}
	for _, x := range []struct {
		fd     int
		events uint32
	}{{fd, unix.EPOLLIN | unix.EPOLLET}, {w.event, unix.EPOLLIN}} {
		if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, x.fd, &unix.EpollEvent{Events: x.events, Fd: int32(x.fd)}); err != nil {
			return w, fmt.Errorf("wait for a ringbuf: %w", err)
		}
	}
	return w, nil
}

// wait sleeps for at most as long, forever if that is negative. Why it returned
// it does not tell: the caller has to look at everything.
func (w *waker) wait(most time.Duration) error {
	ms := -1
	if most >= 0 {
		ms = int((most + time.Millisecond - 1) / time.Millisecond)
	}
	var events [2]unix.EpollEvent
	n, err := unix.EpollWait(w.epoll, events[:], ms)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for a ringbuf: %w", err)
	}
	for _, ev := range events[:max(n, 0)] {
		if int(ev.Fd) == w.event {
			var count [8]byte
			if _, err := unix.Read(w.event, count[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
				return fmt.Errorf("wait for a ringbuf: %w", err)
			}
		}
	}
	return nil
}

// poke ends a wait, or the next one.
func (w *waker) poke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.event >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(w.event, one[:]) // full: it will be woken anyway
	}
}

func (w *waker) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	for _, fd := range []*int{&w.epoll, &w.event} {
		if *fd >= 0 {
			err = errors.Join(err, unix.Close(*fd))
			*fd = -1
		}
	}
	return err
}
