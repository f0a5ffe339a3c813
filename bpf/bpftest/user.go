// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Nobody is the uid and gid that tests take for "a user without any right".
const Nobody = 65534

// AsUser runs f on a thread that has become another user and returns f's
// error. It needs root. Only that thread changes, and it ends with the call:
// f must not start goroutines that it expects to share the identity, and must
// not call tb.Fatal.
func AsUser(tb testing.TB, uid int, f func() error) error {
	tb.Helper()
	RequireRoot(tb)
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime destroys the thread when the goroutine
		// returns, so the identity cannot leak into the pool.
		runtime.LockOSThread()
		if err := become(uid); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// become changes the calling thread alone. The libc-like wrappers of package
// syscall change every thread of the process.
func become(uid int) error {
	id := uintptr(uid)
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("setgroups: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); e != 0 {
		return fmt.Errorf("setresgid %d: %w", uid, e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); e != 0 {
		return fmt.Errorf("setresuid %d: %w", uid, e)
	}
	return nil
}
