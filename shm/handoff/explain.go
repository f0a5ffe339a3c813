// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// explain says why a connection could not be made, and what to do about it.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("socket %s: %w: there is no such file; is `ringside serve` running, and with this --socket?", path, ErrNoSidecar)
	case errors.Is(err, syscall.ECONNREFUSED) && !isSocket(path):
		return fmt.Errorf("socket %s: %w; name the sidecar's with --socket", path, ErrNotSocket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("socket %s: %w: nobody listens on it; is `ringside serve` running?", path, ErrNoSidecar)
	case errors.Is(err, syscall.EPROTOTYPE):
		return fmt.Errorf("socket %s: %w: it belongs to another program", path, ErrProtocol)
	case errors.Is(err, fs.ErrPermission):
		return explainPermission(path)
	}
	return fmt.Errorf("socket %s: %w", path, err)
}

func isSocket(path string) bool {
	st, err := os.Stat(path)
	return err != nil || st.Mode().Type() == fs.ModeSocket
}

// explainPermission finds what kept this process out: the socket's mode or a
// directory above it.
func explainPermission(path string) error {
	uid := os.Geteuid()
	at := path
	st, err := os.Stat(at)
	for errors.Is(err, fs.ErrPermission) && at != filepath.Dir(at) {
		at = filepath.Dir(at) // the directory that hides it, or one above
		st, err = os.Stat(at)
	}
	if err != nil {
		return fmt.Errorf("socket %s: %w (own uid %d)", path, ErrPermission, uid)
	}
	if at == path && st.Mode().Perm() == 0 {
		return fmt.Errorf("socket %s: %w: it is just starting; try again", path, ErrNoSidecar)
	}
	// `serve` derives the mode from whom it was told to let in, so that is
	// where to change it.
	what, remedy := "socket", fmt.Sprintf("start `ringside serve` with --allow-uid %d", uid)
	if st.Mode().Perm()&0o060 != 0 {
		remedy = "run as a member of its group, or " + remedy
	}
	if at != path {
		what, remedy = "directory "+at, "it must be searchable (chmod o+x, or the right group)"
	}
	return fmt.Errorf("socket %s: %w: %s has mode %04o, owner %s, own uid %d; %s",
		path, ErrPermission, what, st.Mode().Perm(), ownerOf(st), uid, remedy)
}

func ownerOf(st fs.FileInfo) string {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("uid %d gid %d", sys.Uid, sys.Gid)
	}
	return "unknown"
}
