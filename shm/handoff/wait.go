// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm"
)

// tick bounds one sleep. The bell loses nothing; this is for a sidecar that
// hangs, whose heartbeat the caller can look at then.
const tick = time.Second

// sleeper waits for the bell in Go's network poller, so a sleeping consumer
// costs a goroutine, not a thread. Another goroutine waits for the lease to hang
// up, which ends a sleep.
type sleeper struct {
	lease *socket
	bell  *os.File
	raw   syscall.RawConn // of the bell
	tick  time.Duration

	hung    atomic.Bool   // the lease is gone
	watched chan struct{} // closed when nobody watches it any more

	done <-chan struct{} // of the context whose end wakes us
	stop func()

	// Of the present sleep.
	a     *Attachment
	seen  uint64
	block func(fd uintptr) bool
	lain  bool   // down to sleep already
	rang  uint64 // sleeps that the bell has ended
}

// newSleeper watches the lease and makes a descriptor of its own of the bell.
func newSleeper(lease *socket, bell *os.File) (*sleeper, error) {
	raw, err := bell.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("bell: %w", err)
	}
	fd, err := duplicate(raw)
	if err != nil {
		return nil, fmt.Errorf("bell: %w", err)
	}
	// Which is how os.File knows to use the poller. Holders share this, too, and
	// who undoes it in between leaves a bell that cannot be waited for.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bell: %w", err)
	}
	s := &sleeper{lease: lease, bell: os.NewFile(uintptr(fd), "bell"), tick: tick, watched: make(chan struct{})}
	if err := s.init(); err != nil {
		s.bell.Close()
		return nil, fmt.Errorf("%w: the bell cannot be waited for: %w", ErrProtocol, err)
	}
	return s, nil
}

// duplicate is a second descriptor of the same.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	held := raw.Control(func(of uintptr) {
		fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0)
	})
	return fd, errors.Join(held, err)
}

func (s *sleeper) init() (err error) {
	if err := s.bell.SetReadDeadline(time.Time{}); err != nil {
		return err // it is not in the poller
	}
	if s.raw, err = s.bell.SyscallConn(); err != nil {
		return err
	}
	s.block = s.lie // made once, so that waiting allocates nothing
	go s.watch()
	return nil
}

// watch waits until the lease hangs up, or is closed, and ends a sleep then.
// Nothing else comes in; what a later sidecar may say is dropped.
func (s *sleeper) watch() {
	defer close(s.watched)
	var b [headBytes]byte
	for {
		s.lease.until(time.Time{}) // that of the request, which ends late perhaps, does not count
		n, _, _, err := s.lease.receive(b[:], nil)
		if !errors.Is(err, os.ErrDeadlineExceeded) && (n == 0 || err != nil) {
			break
		}
	}
	s.hung.Store(true)
	s.wake()
}

// wake ends the present sleep, by a deadline that has passed. Whoever goes to
// sleep sets the deadline first and then looks why it should not.
func (s *sleeper) wake() { s.bell.SetReadDeadline(time.Unix(1, 0)) }

func (s *sleeper) close() error {
	s.unfollow()
	err := s.lease.close()
	<-s.watched
	return errors.Join(err, s.bell.Close())
}

// lie is called with the bell's edges so far forgotten: it goes to sleep, or
// finds a reason not to, and is called again after the next edge.
func (s *sleeper) lie(uintptr) (awake bool) {
	if s.lain {
		s.rang++
		return true
	}
	s.lain = true
	s.a.Page.Sleep()
	return s.a.Ring.Head() != s.seen || s.a.Ring.State() != shm.StateLive
}

// Wait sleeps until the ring's head is no longer seen or its state changes. It
// returns after at most a second; woken is then false, and one looks anyway, as
// after a wake-up that was meant for another consumer of this user.
// seen is the cursor's Position().Offset after Peek found nothing.
//
// ErrHangup means that the sidecar is gone. What it had committed is still in
// the ring: read until the cursor finds nothing, then attach again. When ctx
// ends, Wait returns its error. Wait pins no thread, and allocates nothing
// unless a second passes.
//
// The order is what makes it sound: edges of the bell that came before are
// forgotten (which RawConn.Read does before it calls lie), then the flag is
// raised, then head is looked at once more, then we block. Whoever commits after
// that look sees the flag and rings, and whatever was committed before it is seen
// by the look (shm/bell.go).
func (a *Attachment) Wait(ctx context.Context, seen uint64) (woken bool, err error) {
	s := a.sleeper
	s.follow(ctx)
	s.bell.SetReadDeadline(time.Now().Add(s.tick))
	// After the deadline was set: what ends now sets it again, to the past.
	if ctx.Err() != nil || s.hung.Load() {
		return false, s.failed(ctx)
	}
	s.a, s.seen, s.lain = a, seen, false
	err = s.raw.Read(s.block)
	a.Page.Wake()
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() == nil && !s.hung.Load() && errors.Is(err, os.ErrDeadlineExceeded):
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
		s.wake()
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
