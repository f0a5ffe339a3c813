// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultBase is where homes are made on a machine with a usual layout.
const DefaultBase = "/run/ringside/demo"

// ErrBase means that the base directory cannot be trusted to hold a mount.
var ErrBase = errors.New("not a safe place for the demo")

const (
	homePrefix = "run-"
	bpffsName  = "bpf"
)

// Home is the directory one running demo lives in, with a bpffs of its own. It is locked (flock) for as
// long as its owner lives: the kernel drops the lock however the owner dies, which no pid file can
// promise, so a home that is not locked was left by a demo that was killed.
type Home struct {
	base string
	dir  string
	lock *os.File // the directory itself; closed on exec, so children do not keep it
}

// Settle makes a home under base (created if missing) and removes those that killed demos left there.
// Homes of running demos are not touched.
func Settle(base string) (*Home, error) {
	guard, err := guardBase(base)
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	if err := clearStale(base); err != nil {
		return nil, err
	}
	return moveIn(base)
}

// Dir belongs to this demo alone and is removed with all its content by Close. Other users may enter it:
// it is a place for a socket.
func (h *Home) Dir() string { return h.dir }

// BPFFS is where the maps are pinned. Only its owner may enter it.
func (h *Home) BPFFS() string { return filepath.Join(h.dir, bpffsName) }

// Close unmounts the bpffs, which unpins everything in it, and removes the home, and the base if no other
// home is left in it. Closing twice is allowed.
func (h *Home) Close() error {
	if h.lock == nil {
		return nil
	}
	guard, err := guardBase(h.base)
	if err != nil {
		return err
	}
	defer guard.Close()
	if err := clearHome(h.dir); err != nil {
		return err
	}
	if err := os.Remove(h.base); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	err = h.lock.Close()
	h.lock = nil
	return err
}

func moveIn(base string) (*Home, error) {
	dir, err := os.MkdirTemp(base, homePrefix)
	if err != nil {
		return nil, err
	}
	h := &Home{base: base, dir: dir}
	if err := h.furnish(); err != nil {
		// The mount comes last: it did not happen, or there would be no error.
		err = errors.Join(err, os.RemoveAll(dir))
		if h.lock != nil {
			h.lock.Close()
		}
		return nil, err
	}
	return h, nil
}

func (h *Home) furnish() (err error) {
	if h.lock, err = lockDir(h.dir, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if err := os.Chmod(h.dir, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(h.BPFFS(), 0o700); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("bpffs", h.BPFFS(), "bpf", flags, "mode=0700"); err != nil {
		return fmt.Errorf("mount a bpffs on %s (uid %d): %w; needs root and CAP_SYS_ADMIN", h.BPFFS(), os.Geteuid(), err)
	}
	return nil
}

// clearStale removes the homes nobody holds. The caller guards the base, so none is half made.
func clearStale(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), homePrefix) {
			continue
		}
		dir := filepath.Join(base, e.Name())
		lock, err := lockDir(dir, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // its owner lives
		}
		if err != nil {
			return err
		}
		err = clearHome(dir)
		lock.Close()
		if err != nil {
			return fmt.Errorf("remove what a killed demo left: %w", err)
		}
	}
	return nil
}

// clearHome removes one home. Nothing is deleted before its bpffs is known to be unmounted.
func clearHome(dir string) error {
	mount := filepath.Join(dir, bpffsName)
	err := unix.Unmount(mount, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	// EINVAL: not a mount point. Its owner was killed before it mounted, or its mount namespace is gone.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w; unmount it by hand", mount, err)
	}
	return os.RemoveAll(dir)
}
