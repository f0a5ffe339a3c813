// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// crowd runs threads that each make calls of many numbers, and returns when all of them have exited.
func crowd(t *testing.T, threads int, numbers uintptr) {
	t.Helper()
	done := make(chan int)
	for range threads {
		go func() {
			// Never unlocked: the thread exits with the goroutine.
			runtime.LockOSThread()
			tid := unix.Gettid()
			// Downwards from the last number: those no kernel has a call for come first.
			for i := range numbers {
				unix.RawSyscall(1023-i, 0, 0, 0)
			}
			done <- tid
		}()
	}
	for range threads {
		tid := <-done
		if tid == unix.Getpid() {
			continue // the runtime parks the first thread instead
		}
		eventually(t, "a thread exits", func() bool {
			return unix.Tgkill(unix.Getpid(), tid, 0) == unix.ESRCH
		})
	}
}

func TestFullMapIsReportedAndSwept(t *testing.T) {
	d := loadDemo(t, Syscalls)
	m := pinned(t, d, Syscalls)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	getppid(7) // while there is room
	const numbers = 400
	crowd(t, int(m.MaxEntries())/numbers+3, numbers)

	dropped, err := d.Uncounted()
	if err != nil {
		t.Fatal(err)
	}
	if dropped == 0 {
		t.Fatal("more rows than the map has entries, and no call went uncounted")
	}
	getppid(5)
	// What has a row is counted on, however full the map is.
	if n, err := callsOf(m, ownKey(unix.SYS_GETPPID)); n != 12 || err != nil {
		t.Fatalf("counted %d, %v; want 12", n, err)
	}

	removed, err := d.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if removed < int(m.MaxEntries())/2 {
		t.Errorf("%d rows swept, of a map of %d full of exited threads", removed, m.MaxEntries())
	}
	getppid(1)
	if n, err := callsOf(m, ownKey(unix.SYS_GETPPID)); n != 13 || err != nil {
		t.Errorf("a living thread was swept: counted %d, %v; want 13", n, err)
	}
	getpgrp := ownKey(unix.SYS_GETPGID)
	unix.RawSyscall(unix.SYS_GETPGID, 0, 0, 0)
	if n, err := callsOf(m, getpgrp); n == 0 || err != nil {
		t.Errorf("no room for new rows after the sweep: %v", err)
	}
}
