// SPDX-License-Identifier: Apache-2.0

//go:build !race

package ringside

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/clients/clienttest"
)

// ofTheRuntime are system calls that Go's scheduler may make on any thread at
// any time: to park and wake threads, to return from the signal that preempts
// a long loop, to let the heap grow (the counting allocates). What is mapped
// for a ring is mapped by Attach, which is over when counting begins.
var ofTheRuntime = map[int32]string{
	unix.SYS_EPOLL_PWAIT:  "epoll_pwait", // its network poller, when it looks for other goroutines to run
	unix.SYS_FUTEX:        "futex",
	unix.SYS_RT_SIGRETURN: "rt_sigreturn",
	unix.SYS_TGKILL:       "tgkill",
	unix.SYS_GETPID:       "getpid", // with tgkill
	unix.SYS_NANOSLEEP:    "nanosleep",
	unix.SYS_SCHED_YIELD:  "sched_yield",
	unix.SYS_MMAP:         "mmap",
	unix.SYS_MADVISE:      "madvise",
}

// (The race detector makes calls of its own, hence the build tag.)
//
// The kernel counts what the reading thread calls while it reads 10,000 frames,
// as copies and as leases: nothing of ours.
func TestReadingMakesNoSystemCall(t *testing.T) {
	counts := clienttest.CountSyscalls(t)
	const frames, rows = 10_000, 64
	s := open(t, socketPath(t), 64<<20)
	f := addFeed(t, s.ring, flowInfo("flows"))
	f.must(t, frames, rows)
	for name, read := range map[string]func(sub *Subscription, look func(*Batch)) error{
		"batches": func(sub *Subscription, look func(*Batch)) error {
			n := 0
			for b, err := range sub.Batches(context.Background()) {
				if err != nil {
					return err
				}
				if look(b); n == frames-1 {
					break
				}
				n++
			}
			return nil
		},
		"views": func(sub *Subscription, look func(*Batch)) error {
			for range frames {
				if valid, err := sub.View(context.Background(), look); err != nil || !valid {
					return errors.Join(err, errors.New("not valid"))
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			sub := s.attach(t, Options{Start: StartOldest})
			typed := mustRows[flowKey, flow](t, sub, "flows")
			var got tally
			calls := callsOf(t, counts, func() error { return read(sub, func(b *Batch) { got.add(typed, b) }) })
			expectCalls(t, calls, nil)
			if got.rows != frames*rows || got.lost != 0 || got.err != nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Whoever publishes makes no system call either while nobody sleeps, and one for
// all the sleepers of a user.
func TestPublishingCallsOnceForAllSleepers(t *testing.T) {
	counts := clienttest.CountSyscalls(t)
	const sleepers = 4 // whom the publishing thread itself rings
	s := open(t, socketPath(t), 16<<20)
	f := addFeed(t, s.ring, flowInfo("flows"))
	var subs []*Subscription
	for range sleepers {
		subs = append(subs, s.attach(t, Options{Start: StartHead}))
	}
	expectCalls(t, callsOf(t, counts, func() (err error) {
		for range 10_000 {
			err = errors.Join(err, f.publish(context.Background(), 16))
		}
		return err
	}), nil)
	ctx, cancel := context.WithCancel(deadline(t))
	var reading sync.WaitGroup
	for _, sub := range subs {
		reading.Go(func() {
			for _, err := range sub.Batches(ctx) {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	s.allAsleep(t)
	expectCalls(t, callsOf(t, counts, func() error { return f.publish(context.Background(), 1) }), map[int32]uint64{unix.SYS_SHUTDOWN: 1})
	cancel()
	reading.Wait()
}

// allAsleep waits until every consumer has its flag up.
func (s *sidecar) allAsleep(t *testing.T) {
	t.Helper()
	for ctx := deadline(t); ctx.Err() == nil; runtime.Gosched() {
		s.mu.Lock()
		awake := 0
		for l := range s.leases {
			if !l.Consumer.Stats().Asleep {
				awake++
			}
		}
		s.mu.Unlock()
		if awake == 0 {
			return
		}
	}
}

// callsOf counts the system calls of a thread while it works.
func callsOf(t *testing.T, counts func(tb testing.TB, tgid, tid uint32) map[int32]uint64, work func() error) map[int32]uint64 {
	t.Helper()
	made := make(chan map[int32]uint64)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		tid := uint32(unix.Gettid())
		before := counts(t, uint32(os.Getpid()), tid)
		if err := work(); err != nil {
			t.Error(err)
		}
		after := counts(t, uint32(os.Getpid()), tid)
		for nr, n := range before {
			after[nr] -= n
		}
		made <- after
	}()
	return <-made
}

// expectCalls allows what the runtime calls, and the calls that are wanted.
func expectCalls(t *testing.T, calls, wanted map[int32]uint64) {
	t.Helper()
	if calls[unix.SYS_BPF] == 0 {
		t.Error("the counting itself was not counted")
	}
	for nr, want := range wanted {
		if calls[nr] != want {
			t.Errorf("system call %d, %d times, want %d", nr, calls[nr], want)
		}
	}
	for nr, n := range calls {
		name, own := ofTheRuntime[nr]
		switch {
		case n == 0 || nr == unix.SYS_BPF || wanted[nr] > 0: // the counting is by bpf(2)
		case own:
			t.Logf("the Go runtime called %s %d times", name, n)
		default:
			t.Errorf("system call %d, %d times", nr, n)
		}
	}
}
