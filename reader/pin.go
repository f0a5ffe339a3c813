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
		return -1, KindOther, explainOpen(path, errno)
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
		dir := filepath.Dir(path)
		for st := new(unix.Stat_t); dir != filepath.Dir(dir) && unix.Stat(dir, st) != nil; {
			dir = filepath.Dir(dir)
		}
		return denied(path, dir, fmt.Errorf("%w: %s may not be searched", ErrPermission, dir), "chmod o+x "+dir)
	}
	return &PinError{Path: path, Cause: err}
}

// denied describes a refusal by the mode of at, which is path or above it.
func denied(path, at string, cause error, remedy string) *PinError {
	e := &PinError{Path: path, Cause: cause, OwnUID: os.Geteuid(), Remedy: remedy + ", or run as root"}
	var st unix.Stat_t
	if unix.Stat(at, &st) == nil {
		e.Known, e.Mode, e.Owner = true, fs.FileMode(st.Mode&0o777), st.Uid
		if st.Uid != 0 {
			e.Remedy += fmt.Sprintf(" or uid %d", st.Uid)
		}
	}
	return e
}

// explainOpen says why the kernel would not open what is there.
func explainOpen(path string, errno unix.Errno) error {
	switch errno {
	case unix.EACCES:
		return denied(path, path, ErrPermission,
			fmt.Sprintf("chmod o+r %s (or chgrp and chmod g+r)", path))
	case unix.EPERM, unix.ENOSYS:
		e := denied(path, path, fmt.Errorf("%w: %w: %w", ErrRefused, ErrPermission, errno), "")
		e.Remedy = "grant CAP_BPF (before Linux 5.19 opening a pin needs it), and see that no seccomp filter or security module forbids bpf(2)"
		return e
	case unix.ENOENT:
		if unix.Access(path, unix.F_OK) == nil { // maps.debug and progs.debug
			return &PinError{Path: path, Cause: fmt.Errorf("%w: it is the kernel's own, a text to be read with cat", ErrNotMap), Remedy: hint(path)}
		}
		return &PinError{Path: path, Cause: fmt.Errorf("%w: it vanished while it was opened", ErrNotPinned), Remedy: hint(path)}
	}
	return &PinError{Path: path, Cause: fmt.Errorf("open the pin: %w", errno)}
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
		Remedy: mountHint(path)}
}

// mountHint mounts a bpffs where one was probably meant to be: the usual place, or
// one with nothing in it that a mount would hide.
func mountHint(path string) string {
	const usual, mount = "/sys/fs/bpf", "mount -t bpf bpf "
	if rel, err := filepath.Rel(usual, path); err == nil && filepath.IsLocal(rel) {
		return mount + usual
	}
	dir := filepath.Dir(path)
	for hasMeta(dir) {
		dir = filepath.Dir(dir)
	}
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "mkdir -p " + dir + " && " + mount + dir
	case err == nil && len(entries) == 0:
		return mount + dir
	}
	return "name a pin in a bpffs, which " + usual + " is on most machines; `ringside maps` lists what is pinned"
}

// nearestDir is the deepest existing directory above path.
func nearestDir(path string) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() || dir == filepath.Dir(dir) {
			return dir
		}
	}
}
