// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// MountBPFFS mounts a bpffs of its own for one test and returns where. Cleanup
// unmounts it, which unpins everything in it.
//
// The directory is world-traversable, unlike t.TempDir, so that tests can look
// at it with another uid. The mount is made private so that mounts beneath it
// reach no other namespace.
func MountBPFFS(tb testing.TB) string {
	tb.Helper()
	RequireRoot(tb)
	dir := worldDir(tb)
	if err := unix.Mount("bpffs", dir, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755"); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
			Skip(tb, "needs the right to mount a bpffs: %v", err)
		}
		tb.Fatalf("mount bpffs on %s: %v", dir, err)
	}
	tb.Cleanup(func() {
		// Detach: a descriptor the test still holds must not keep the mount alive.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			tb.Errorf("unmount %s: %v", dir, err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		tb.Fatalf("make %s private: %v", dir, err)
	}
	return dir
}

// worldDir is a temporary directory that any uid may enter.
func worldDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "ringside-test-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// Not RemoveAll: if the unmount failed, it would unpin other people's work.
		if err := os.Remove(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}
