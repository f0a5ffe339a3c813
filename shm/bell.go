// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// A consumer that has nothing to read raises the sleep flag in its control page
// and waits for its bell; whoever publishes next takes the flag and rings. While
// nobody sleeps, publishing makes no system call.
//
// No wake-up is lost. The consumer stores the flag, fences, and looks at head
// again before it waits; the publisher stores head, then loads the flag. Both
// sides' store-then-load are sequentially consistent (Go's atomics are; other
// clients fence), so at least one of them sees the other's store.
//
// The flags and the bell are the consumers' to abuse, so a token bucket bounds
// what the consumers of one user can cost.

const (
	ringBurst    = 32
	ringInterval = 1_000_000 // ns: a thousand rings a second, sustained

	// A ring of a bell may take ringBase and ringEach for everyone whom it wakes,
	// several times what it does take. Who makes it longer, by having the kernel
	// call on thousands of waiters, pays overcharge tokens for each token's time
	// beyond that: a twentieth of one CPU is all that can be had that way.
	ringBase   = 100 * time.Microsecond
	ringEach   = 20 * time.Microsecond
	overcharge = 20

	// ringWatch is how many rings are measured closely after one that took long.
	ringWatch = 64
)

// bell wakes the consumers of one user: B, one end of a pair of sockets, is
// theirs, the other one, A, stays here. Both directions are shut down before B
// leaves, so B is readable for ever, and nothing can be written to it or taken
// from it. Shutting A down once more changes nothing, but the kernel tells
// everyone who waits for B: with one system call, however many sleep. Who waits
// edge-triggered wakes.
//
// The consumers of one user share it, and nobody else: a holder cannot keep B
// from ringing, but can ring it, too, and make telling everyone take long.
type bell struct {
	file   *os.File // B, to be passed to consumers
	guests int      // guarded by Publisher.mu

	slow  atomic.Bool  // the last ring took longer than it may
	going atomic.Bool  // a goroutine has yet to begin to ring it
	spent atomic.Int64 // processor time of rings so far, ns

	mu     sync.Mutex
	fd     int // A, -1 once closed
	bucket bucket
	over   time.Duration // by how much rings lately took too long; fades
	watch  int           // so many rings are still to be measured closely
	owed   bool          // a ring that could not be given yet
	retry  *time.Timer   // gives what is owed, as soon as it may be
}

func newBell() (*bell, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("bell: %w", err)
	}
	// B is not made non-blocking here, or Go's poller would have this process
	// woken by its own rings.
	b := &bell{fd: pair[0], file: os.NewFile(uintptr(pair[1]), "bell")}
	if err := unix.Shutdown(b.fd, unix.SHUT_RDWR); err != nil {
		b.close()
		return nil, fmt.Errorf("bell: %w", err)
	}
	b.retry = time.AfterFunc(time.Hour, func() { b.ring(nil, true) })
	b.retry.Stop()
	return b, nil
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		unix.Close(b.fd)
		b.fd = -1
		b.file.Close()
		if b.retry != nil {
			b.retry.Stop()
		}
	}
}

// ring wakes those of the consumers, all of this bell, that sleep. A ring that
// cannot be given now is owed, and given when there is a token for it.
func (b *bell) ring(consumers []*Consumer, owedOnly bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd < 0 || owedOnly && !b.owed {
		return
	}
	woken := 0
	for _, c := range consumers {
		if c.takeSleep() {
			woken++
		}
	}
	if woken == 0 && !b.owed {
		return
	}
	now := monotonic.Now()
	if b.owed = !b.bucket.take(now); b.owed {
		b.retry.Reset(b.bucket.wait(now))
		return
	}
	b.strike(woken)
}

// strike rings, and charges for what took too long. A ring that did by the clock
// on the wall may only have lost its processor, to those whom it woke; so the ones
// after it are measured by what they use, which takes calls to the kernel that
// usual rings do without. The caller holds b.mu.
func (b *bell) strike(woken int) {
	most := ringBase + time.Duration(woken)*ringEach
	if b.watch == 0 {
		began := time.Now()
		b.shutdown()
		took := time.Since(began)
		b.spent.Add(int64(min(took, most)))
		if took > most {
			b.watch = ringWatch
			b.account(took - most) // one alone costs nothing
		}
		return
	}
	b.watch--
	runtime.LockOSThread() // whose time is measured
	defer runtime.UnlockOSThread()
	began := threadCPU()
	b.shutdown()
	took := threadCPU() - began
	if took > most {
		b.watch = ringWatch
	}
	b.spent.Add(int64(took))
	b.account(max(0, took-most))
}

func (b *bell) shutdown() {
	if b.slow.Load() {
		_ = unix.Shutdown(b.fd, unix.SHUT_RDWR) // as below; this one lets other goroutines have the processor
		return
	}
	// It does not sleep, so the scheduler need not know: it would take the
	// processor away and hand it to another thread again and again. It does not
	// fail either: both ends are there, and connected for ever.
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(b.fd), unix.SHUT_RDWR, 0)
}

// threadCPU is the processor time that this thread has used.
func threadCPU() time.Duration { return time.Duration(clock(unix.CLOCK_THREAD_CPUTIME_ID)) }

// account charges for how much too long a ring took, as far as one of the last
// some did, too: a holder who lets every other ring be quick pays as well.
func (b *bell) account(over time.Duration) {
	b.bucket.charge(overcharge * min(over, b.over))
	b.over = max(over, b.over-b.over/8)
	b.slow.Store(over > 0)
}

// bucket holds tokens as time: it is empty when ready lies a whole burst ahead.
type bucket struct{ ready uint64 }

func (b *bucket) take(now uint64) bool {
	if b.wait(now) > 0 {
		return false
	}
	b.ready = max(b.ready, now) + ringInterval
	return true
}

// wait is how long there will be no token.
func (b *bucket) wait(now uint64) time.Duration {
	const burst = ringBurst * ringInterval
	return time.Duration(max(b.ready+ringInterval, now+burst) - now - burst)
}

// charge makes the next tokens come later.
func (b *bucket) charge(d time.Duration) { b.ready += uint64(d) }

// errBell means that the kernel does not do what the bell is made of.
var errBell = errors.New("this kernel does not tell an edge-triggered waiter of a second shutdown(2) of a socket, which is how sleeping consumers are woken: run the sidecar on a kernel of Linux itself, not on an emulation of one")

// checkBell tries it out, so that a ring that could wake nobody is not made.
func checkBell() error {
	b, err := newBell()
	if err != nil {
		return err
	}
	defer b.close()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("try the bell: %w", err)
	}
	defer unix.Close(ep)
	event := []unix.EpollEvent{{Events: unix.EPOLLIN | unix.EPOLLET}}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, int(b.file.Fd()), &event[0]); err != nil {
		return fmt.Errorf("try the bell: %w", err)
	}
	// Readable from the beginning, quiet then, and rung.
	for i, want := range []int{1, 0, 1, 0} {
		if i == 2 {
			b.strike(1)
		}
		if n, err := unix.EpollWait(ep, event, 0); err != nil {
			return fmt.Errorf("try the bell: %w", err)
		} else if n != want {
			return errBell
		}
	}
	return nil
}
