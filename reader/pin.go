// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openPin opens the map pinned at path, for reading only: that is all most
// engines need, and a guest should not hold more. Every error is a *PinError.
func openPin(path string) (int, error) {
	fd, kind, err := openAny(path)
	if err != nil {
		return -1, err
	}
	if kind != KindMap {
		unix.Close(fd)
		return -1, &PinError{Path: path, Cause: fmt.Errorf("%w: it is a %s", ErrNotMap, kind),
			Remedy: "pin the map itself; `ringside maps` lists the maps that are pinned"}
	}
	return fd, nil
}

// openAny opens whatever BPF object is pinned at path.
func openAny(path string) (int, Kind, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return -1, KindOther, explainStat(path, err)
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	at := filepath.Dir(path)
	if isDir {
		at = path
	}
	if err := checkBPFFS(path, at); err != nil {
		return -1, KindOther, err
	}
	if isDir {
		return -1, KindDir, &PinError{Path: path, Cause: fmt.Errorf("%w: it is a directory", ErrNotMap),
			Remedy: "name a pin in it, or all of them: " + filepath.Join(path, "*")}
	}
	fd, errno := objGet(path, unix.BPF_F_RDONLY)
	if errno == unix.EINVAL {
		fd, errno = objGet(path, 0) // links open only for reading and writing
	}
	if errno != 0 {
		return -1, KindOther, explainOpen(path, &st, errno)
	}
	kind, err := fdKind(fd)
	if err != nil {
		unix.Close(fd)
		return -1, KindOther, &PinError{Path: path, Cause: err}
	}
	return fd, kind, nil
}

// explainStat says why there is nothing to open at path.
func explainStat(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		if e := checkBPFFS(path, nearestDir(path)); e != nil {
			return e
		}
		return &PinError{Path: path, Cause: ErrNotPinned, Remedy: hint(path)}
	case errors.Is(err, unix.EACCES):
		e := &PinError{Path: path, Cause: fmt.Errorf("%w: a directory above it may not be searched", ErrPermission), OwnUID: os.Geteuid()}
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			var st unix.Stat_t
			if unix.Stat(dir, &st) == nil {
				e.Known, e.Mode, e.Owner = true, fs.FileMode(st.Mode&0o777), st.Uid
				e.Remedy = fmt.Sprintf("chmod o+x %s, or run as uid %d or root", dir, st.Uid)
				return e
			}
			if dir == filepath.Dir(dir) {
				return e
			}
		}
	}
	return &PinError{Path: path, Cause: err}
}

// explainOpen says why the kernel would not open what is there.
func explainOpen(path string, st *unix.Stat_t, errno unix.Errno) error {
	e := &PinError{
		Path: path, Known: true, Mode: fs.FileMode(st.Mode & 0o777), Owner: st.Uid, OwnUID: os.Geteuid(),
	}
	switch errno {
	case unix.EACCES:
		e.Cause = fmt.Errorf("%w: %w", ErrPermission, errno)
		e.Remedy = fmt.Sprintf("chmod o+r %s (or chgrp and chmod g+r), or run as uid %d or root", path, st.Uid)
	case unix.EPERM, unix.ENOSYS:
		e.Cause = fmt.Errorf("%w: %w: %w", ErrRefused, ErrPermission, errno)
		e.Remedy = "grant CAP_BPF (before Linux 5.19 opening a pin needs it), and see that no seccomp filter or security module forbids bpf(2)"
	case unix.ENOENT:
		e.Cause, e.Remedy = fmt.Errorf("%w: it vanished while it was opened", ErrNotPinned), hint(path)
	default:
		e.Cause = fmt.Errorf("open the pin: %w", errno)
	}
	return e
}

// checkBPFFS reports whether dir lies in a bpffs.
func checkBPFFS(path, dir string) error {
	var fsinfo unix.Statfs_t
	if err := unix.Statfs(dir, &fsinfo); err != nil {
		return &PinError{Path: path, Cause: fmt.Errorf("look at %s: %w", dir, err)}
	}
	if fsinfo.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	return &PinError{Path: path, Cause: fmt.Errorf("%w: %s is on another file system", ErrNotBPFFS, dir),
		Remedy: "mount -t bpf bpf " + mountHint(path)}
}

// mountHint is where a bpffs was probably meant to be.
func mountHint(path string) string {
	const usual = "/sys/fs/bpf"
	if rel, err := filepath.Rel(usual, path); err == nil && filepath.IsLocal(rel) {
		return usual
	}
	return filepath.Dir(path)
}

// nearestDir is the deepest existing directory above path.
func nearestDir(path string) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() || dir == filepath.Dir(dir) {
			return dir
		}
	}
}
