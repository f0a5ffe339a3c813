// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// guardBase makes the base if need be and locks it, so that one demo at a time makes or removes homes.
// The guard is held for a mount or an unmount, not while the demo runs.
func guardBase(base string) (*os.File, error) {
	// The last demo to leave removes the base, perhaps while we wait for its lock: then it is made anew.
	const attempts = 100
	for range attempts {
		if err := makeBase(base); err != nil {
			return nil, err
		}
		guard, err := lockDir(base, unix.LOCK_EX)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		held, errHeld := guard.Stat()
		found, errFound := os.Lstat(base)
		if errHeld == nil && errFound == nil && os.SameFile(held, found) {
			return guard, nil
		}
		guard.Close()
	}
	return nil, fmt.Errorf("%w: %s was removed %d times while waiting for it", ErrBase, base, attempts)
}

// makeBase refuses a directory somebody else could swap under our mount.
func makeBase(base string) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return err
	}
	// Not by MkdirAll, which fails when a base that was there is gone a moment later.
	if err := os.Mkdir(base, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(base)
	if errors.Is(err, os.ErrNotExist) {
		return nil // removed by a demo that left; the caller tries again
	}
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.IsDir():
		return fmt.Errorf("%w: %s is a %s, not a directory; remove it", ErrBase, base, info.Mode().Type())
	case int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%w: %s has mode %v and belongs to uid %d; it must belong to uid %d and be writable by nobody else",
			ErrBase, base, info.Mode(), st.Uid, os.Geteuid())
	}
	return nil
}

// lockDir opens a directory and locks it. The lock lives as long as the file is open in this process.
func lockDir(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}
