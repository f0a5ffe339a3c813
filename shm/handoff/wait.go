// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// tick bounds one sleep. The doorbell loses nothing; this is for a sidecar that
// hangs, whose heartbeat the caller can look at then.
const tick = time.Second

// sleeper is the client's end of the doorbell. It waits in Go's network poller,
// so a sleeping consumer costs a goroutine, not a thread.
type sleeper struct {
	socket *net.UnixConn
	raw    syscall.RawConn
	tick   time.Duration

	done <-chan struct{} // of the context whose end wakes us
	stop func()

	drain func(fd uintptr)
	block func(fd uintptr) bool
	rang  uint64 // packets received
	err   error  // of the last read
}

func (s *sleeper) init(socket *net.UnixConn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	s.socket, s.raw, s.tick = socket, raw, tick
	// Built once, so that waiting allocates nothing.
	s.drain = func(fd uintptr) { s.read(int(fd)) }
	s.block = func(fd uintptr) bool { return s.read(int(fd)) }
	return nil
}

func (s *sleeper) close() error {
	s.unfollow()
	if s.socket == nil {
		return nil // never had one
	}
	return s.socket.Close()
}

// read empties the socket and reports whether there was anything, a hang-up
// included. A client that leaves rings lying there would never sleep again.
func (s *sleeper) read(fd int) bool {
	var b [headBytes]byte // the rest of a longer packet is dropped
	before := s.rang
	for {
		n, err := unix.Read(fd, b[:])
		switch {
		case n > 0:
			s.rang++
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			s.err = nil
			return s.rang != before
		default: // the end, or an error such as ECONNRESET
			s.err = ErrHangup
			return true
		}
	}
}

// Wait sleeps until the ring's head is no longer seen or its state changes. It
// returns after at most a second; woken is then false, and one looks anyway.
// seen is the cursor's Position().Offset after Peek found nothing.
//
// ErrHangup means that the sidecar is gone. What it had committed is still in
// the ring: read until the cursor finds nothing, then attach again. When ctx
// ends, Wait returns its error. Wait pins no thread, and allocates nothing
// unless a second passes.
//
// The order is what makes it sound: the flag is raised, then head is looked at
// once more, then we block. Whoever commits after that look sees the flag, and
// whatever was committed before it is seen by the look (shm/bell.go).
func (a *Attachment) Wait(ctx context.Context, seen uint64) (woken bool, err error) {
	s := &a.sleeper
	s.follow(ctx)
	if err := s.raw.Control(s.drain); err != nil || s.err != nil {
		return false, s.failed(ctx)
	}
	a.Page.Sleep()
	defer a.Page.Wake()
	if a.Ring.Head() != seen || a.Ring.State() != shm.StateLive {
		return true, nil
	}
	s.socket.SetReadDeadline(time.Now().Add(s.tick))
	// After the deadline was set: if ctx ends now, it is set again, to the past.
	if err := ctx.Err(); err != nil {
		return false, err
	}
	err = s.raw.Read(s.block)
	switch {
	case err == nil && s.err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	}
	return false, s.failed(ctx)
}

// follow makes the end of ctx wake the sleeper. It is done once for a context
// that is used again and again; contexts are compared by what ends them.
func (s *sleeper) follow(ctx context.Context) {
	if s.done == ctx.Done() {
		return
	}
	s.unfollow()
	s.done = ctx.Done()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.socket.SetReadDeadline(time.Unix(1, 0))
		close(ended)
	})
	s.stop = func() {
		if !stop() {
			<-ended // or the old context's end would cut the next sleep short
		}
	}
}

func (s *sleeper) unfollow() {
	if s.stop != nil {
		s.stop()
		s.stop = nil // once only: a second time there would be nothing to wait for
	}
}

func (s *sleeper) failed(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: it ended or was stopped; attach again", ErrHangup)
}
