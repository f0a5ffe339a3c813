// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader/ringbuf"
)

const (
	// maxEventFrame bounds the records of one frame. A consumer's copy of it
	// should still be in its cache when it is read.
	maxEventFrame = 128 << 10
	// lookAtPin is how often the pin is looked at, and the thread's clock.
	lookAtPin = 100 * time.Millisecond
	// spinLooks is how often the ringbuf is looked at between two looks at the
	// clock and at everything else: some 100 ns.
	spinLooks = 64
)

// Run empties the ringbuf into dst while it is active, until ctx ends or another
// map is pinned in its place. That is ErrReplaced; everything that was in the old
// one has been taken by then, and Run may be called again to go on with it. What
// was not committed when Run returns is still in the ringbuf.
//
// It must have a goroutine of its own, which ends with it: its thread is bound,
// and gone afterwards.
func (e *Events) Run(ctx context.Context, dst EventDestination) error {
	runtime.LockOSThread() // its clock is read, and it may be bound to CPUs
	if len(e.options.CPUs) > 0 {
		if err := stayOn(e.options.CPUs); err != nil {
			e.stats.fail(err)
		}
	}
	// Naps shall end when they should. The kernel may be 50 us late otherwise.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	e.ring.Resync() // it is ours from here on
	defer context.AfterFunc(ctx, e.wake.poke)()
	defer e.stats.settle()
	for ctx.Err() == nil {
		if !e.active.Load() {
			if err := e.wake.wait(-1); err != nil {
				return err
			}
			e.ring.Resync() // while it rested the position was anybody's
			continue
		}
		if err := e.turn(ctx, dst); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// turn publishes one frame, or waits for something to put into one.
func (e *Events) turn(ctx context.Context, dst EventDestination) error {
	progress, err := e.frame(ctx, dst)
	if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		e.stats.fail(err)
	}
	now := nowNS()
	if now-e.looked >= int64(lookAtPin) {
		e.looked = now
		e.stats.settle()
		if err := e.follow(progress); err != nil {
			return err
		}
	}
	if progress {
		return nil
	}
	return e.await(ctx, now)
}

// follow is ErrReplaced if another map is pinned now. What is still in this one
// is taken first, unless its programs go on and on.
func (e *Events) follow(progress bool) error {
	replaced, err := e.source.Replaced()
	if err != nil {
		e.stats.fail(err)
	}
	if replaced && (e.leaving || !progress) {
		e.leaving = false
		return fmt.Errorf("%s: %w", e.source.info.Pin, ErrReplaced)
	}
	e.leaving = replaced
	return nil
}

// frame moves as many records as there are, or as fit, into one frame. The kernel
// is told that they may be overwritten when the frame is committed, so that none
// is lost if this process dies in between. It reports whether looking once more
// may bring something.
func (e *Events) frame(ctx context.Context, dst EventDestination) (progress bool, err error) {
	if e.ring.Foreign() {
		e.shared()
	}
	run, err := e.ring.Peek()
	switch {
	case err != nil:
		e.stats.lostBytes.Add(uint64(e.ring.Skip()))
	case run.Count > 0 && run.Length > dst.Largest():
		err = e.tooLarge(run.Length, dst.Largest())
	case run.Count > 0:
		return e.move(ctx, dst, run)
	}
	progress = e.ring.Unreleased()
	e.release()
	return progress, err
}

// move fills and commits a frame that begins with a run.
func (e *Events) move(ctx context.Context, dst EventDestination, run ringbuf.Run) (progress bool, err error) {
	least := run.Stride()
	if err := dst.Claim(ctx, least, max(least, min(e.ring.Pending(), maxEventFrame))); err != nil {
		return errors.Is(err, context.Canceled), err // the ring was replaced: again, in the new one
	}
	events, bytes := 0, 0
	for run.Count > 0 {
		n := dst.Add(run.Records, run.Length, run.Stride(), run.Count)
		events += n
		bytes += n * run.Length
		e.ring.Advance(n)
		if n < run.Count {
			break
		}
		// An error is met again, and dealt with, as the first of the next frame.
		run, _ = e.ring.Peek()
	}
	if e.ring.Foreign() { // and may have been overwritten while we copied
		dst.Abort()
		e.shared()
		return true, nil
	}
	dst.Commit()
	e.release()
	e.stats.moved(events, bytes)
	return true, nil
}

func (e *Events) release() {
	e.ring.Release()
	e.stats.discarded.Store(e.ring.Discarded())
}

// tooLarge leaves out a record that no frame of the ring holds. To wait for a
// larger ring would stop all others for its sake.
func (e *Events) tooLarge(size, largest int) error {
	e.ring.Advance(1)
	e.stats.tooLarge.Add(1)
	e.stats.largest.Store(max(e.stats.largest.Load(), uint64(size)))
	return fmt.Errorf("%w: a record of %d bytes was left out, the ring's frames hold %d; make the ring larger (rings[].bytes)", ErrTooLarge, size, largest)
}

// shared deals with a position that somebody else has moved.
func (e *Events) shared() {
	moved := e.ring.Resync()
	e.stats.foreign(moved)
	e.stats.fail(fmt.Errorf("%w: its position moved by %d bytes without us; %s", ErrShared, moved, SharedRemedy(e.source.info.MapID)))
}

// await waits until there may be something: for a fixed time if much is sure to
// come, else awake for a while if that is expected to pay, then asleep. Programs
// may submit without waking anybody (BPF_RB_NO_WAKEUP), so it looks every now and
// then in any case.
func (e *Events) await(ctx context.Context, now int64) error {
	if e.options.Poll {
		e.spin(ctx, now, now+int64(e.options.Every))
		return nil
	}
	if n := e.flow.nap(e.stats.events.Load(), e.stats.bytes.Load(), now, e.ring.Size()); n > 0 {
		t := unix.NsecToTimespec(int64(n))
		_ = unix.Nanosleep(&t, nil) // a signal ends it early, which does no harm
		return nil
	}
	if window := e.lookout.begin(now); window > 0 {
		came, took := e.spin(ctx, now, now+int64(window))
		e.lookout.spun(took, came)
		e.stats.spun.Add(uint64(took))
		if came {
			return nil
		}
		now += int64(took)
	}
	err := e.wake.wait(e.options.Every)
	if e.ring.Ready() {
		e.lookout.slept(time.Duration(nowNS() - now))
		e.stats.wakes.Add(1)
	} else {
		e.lookout.slept(longestSpin)
	}
	return err
}

// spin looks at the ringbuf until there is something, or something else to do.
func (e *Events) spin(ctx context.Context, from, until int64) (came bool, took time.Duration) {
	for {
		// Whoever is to submit, or was just rung to read, may need this very CPU.
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		for range spinLooks {
			if e.ring.Ready() {
				return true, time.Duration(nowNS() - from)
			}
		}
		if now := nowNS(); now >= until || !e.active.Load() || ctx.Err() != nil {
			return false, time.Duration(now - from)
		}
	}
}
