// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	ringside "github.com/ringside-bpf/ringside/clients/go"
)

// showEveryNS is how often the consumer leaves its figures, by the clock that
// comes with the rows: it does not even ask for the time.
const showEveryNS = 100_000_000

// Consume is the unprivileged process: attach, read, leave figures in the page.
// It ends when the sidecar does.
//
// It reads busily, so that nothing but the ring is involved: a sleeping reader
// makes system calls in order to sleep.
func Consume(ctx context.Context, socket string, pageFile *os.File) error {
	// It has no privilege to give up; this is so that it could not gain any.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := rename("ringside-nobody"); err != nil {
		return err
	}
	p, err := openPage(pageFile)
	if err != nil {
		return err
	}
	sub, err := ringside.Attach(ctx, ringside.Options{Socket: socket, Name: "demo", Start: ringside.StartHead, Busy: true})
	if err != nil {
		return err
	}
	defer sub.Close()
	t, err := newTally(sub)
	if err != nil {
		return err
	}
	t.figures.UID, t.figures.PID = os.Getuid(), os.Getpid()
	if t.figures.Capabilities, err = effectiveCapabilities(); err != nil {
		return err
	}
	stockUp()
	t.figures.TID = unix.Gettid() // this process has one running goroutine and one P: it stays here
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	t.readyNS = uint64(now.Nano())
	var shown uint64
	for b, err := range sub.Batches(ctx) {
		if err != nil {
			return err
		}
		if b.Kind == ringside.KindGone {
			return nil
		}
		if t.take(b) && b.TimeNS-shown >= showEveryNS {
			shown = b.TimeNS
			if err := p.store(&t.figures); err != nil {
				return err
			}
		}
	}
	return nil
}

// stockUp gives the heap room, so that it does not ask the kernel for any while
// it is on show: figures are a little garbage, and collecting is off.
func stockUp() {
	room := make([]byte, 32<<20)
	runtime.KeepAlive(room)
	room = nil
	runtime.GC()
}

// rename gives this process a name to be known by: it was started by a path that
// ends in "exe". Each thread has a name of its own.
func rename(name string) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		// A thread may have ended since; then its name does not matter.
		if err := os.WriteFile("/proc/self/task/"+t.Name()+"/comm", []byte(name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("name thread %s: %w", t.Name(), err)
		}
	}
	return nil
}

// effectiveCapabilities are this process's, as the kernel prints them.
func effectiveCapabilities() (string, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("no CapEff in /proc/self/status")
}
