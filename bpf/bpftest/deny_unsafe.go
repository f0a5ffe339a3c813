// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WithoutBPF runs f on a thread for which bpf(2) fails with errno, for the given
// commands or, without any, for all; it returns f's error. That is how a
// sandbox looks, or a kernel that lacks a command. Only that thread is changed,
// and it ends with the call; f must not call tb.Fatal.
func WithoutBPF(tb testing.TB, errno unix.Errno, f func() error, commands ...uint32) error {
	tb.Helper()
	RequireRoot(tb)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is destroyed
		if err := filterBPF(errno, commands); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// filterBPF installs a seccomp filter on the calling thread.
func filterBPF(errno unix.Errno, commands []uint32) error {
	const nr, arg0 = 0, 16 // offsets in struct seccomp_data; little-endian
	load := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: k}
	}
	ret := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	skipUnless := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: 1}
	}
	deny := ret(unix.SECCOMP_RET_ERRNO | uint32(errno))
	program := []unix.SockFilter{
		load(nr),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jt: 1},
		ret(unix.SECCOMP_RET_ALLOW),
		load(arg0),
	}
	for _, c := range commands {
		program = append(program, skipUnless(c), deny)
	}
	if len(commands) == 0 {
		program = append(program, deny)
	}
	program = append(program, ret(unix.SECCOMP_RET_ALLOW))

	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// SAFETY: the kernel copies the program during the call; both are kept alive
	// by the KeepAlive behind it.
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if e != 0 {
		return fmt.Errorf("install a seccomp filter: %w", e)
	}
	return nil
}
