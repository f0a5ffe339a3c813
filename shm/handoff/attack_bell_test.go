// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/shm"
)

// attackBell does to the bell whatever a holder can. Who shares it may be woken
// for nothing, and must not miss a ring; nobody else may notice.
func attackBell(l *lent) error {
	fd := int(l.bell.Fd())
	ring, err := shm.Open(l.ring)
	if err != nil {
		return err
	}
	defer ring.Close()
	page, err := shm.OpenControlPage(l.page)
	if err != nil {
		return err
	}
	defer page.Close()
	if err := listenTimes(fd, 64); err != nil {
		return err
	}
	defer page.Sleep() // it goes with its flag up
	for from := ring.Head(); ring.Head()-from < 8*ring.Geometry().DataBytes; {
		page.Sleep()
		n, err := unix.Read(fd, make([]byte, 64))
		if n != 0 || err != nil {
			return fmt.Errorf("the bell gave %d bytes, %v", n, err)
		}
		if err := unix.Sendto(fd, make([]byte, 64), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil); !errors.Is(err, unix.EPIPE) {
			return fmt.Errorf("the bell took a packet: %v", err)
		}
		if err := errors.Join(unix.Shutdown(fd, unix.SHUT_RDWR), unix.SetNonblock(fd, false)); err != nil {
			return err
		}
	}
	return nil
}

// listenTimes waits for a bell in n epoll instances, for each of n copies of its
// descriptor, for as long as this process lives.
func listenTimes(fd, n int) error {
	var copies []int
	for range n {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		copies = append(copies, c)
	}
	for range n {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		for _, c := range copies {
			if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, c, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
				return err
			}
		}
	}
	return nil
}

// A user with a hundred thousand waiters delays nobody else, and is still rung.
func TestBellThatIsHardToRing(t *testing.T) {
	s := open(t, settings{})
	s.busy(t)
	listeners := bpftest.StartRole(t, bpftest.Nobody, nil, "listeners", s.path)
	listeners.Expect(t, "sleeping")
	reader := bpftest.StartRole(t, bpftest.Nobody-1, nil, "reader", s.path)
	reader.Expect(t, "reading 200")
	if err := errors.Join(reader.Finish(), listeners.Finish()); err != nil {
		t.Error(err)
	}
}

func init() { roles["listeners"] = playListeners }

func playListeners(args []string) error {
	l, err := takeRaw(args[0])
	if err != nil {
		return err
	}
	page, err := shm.OpenControlPage(l.page)
	if err != nil {
		return err
	}
	if err := listenTimes(int(l.bell.Fd()), 320); err != nil {
		return err
	}
	fmt.Println("sleeping")
	for done := bpftest.RoleMayEnd(); ; page.Sleep() {
		select {
		case <-done:
			return nil
		default:
		}
	}
}
