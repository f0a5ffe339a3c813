// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Listen makes the socket file. One that nobody listens on any more is
// replaced. It refuses a path where somebody does (ErrLive), that is no socket
// (ErrNotSocket) or whose directory is missing (ErrNoDirectory).
func Listen(path string, o Options) (*Server, error) { return listen(path, path, o) }

// listen makes the file of a socket that is, or will be, at path.
func listen(path, file string, o Options) (*Server, error) {
	o = o.withDefaults()
	if len(file) >= len(unix.RawSockaddrUnix{}.Path) {
		return nil, fmt.Errorf("socket %s: %w: a socket's path has at most %d bytes; choose a shorter one with --socket",
			file, unix.ENAMETOOLONG, len(unix.RawSockaddrUnix{}.Path)-1)
	}
	unlock, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clearPath(file); err != nil {
		return nil, err
	}
	s := &Server{path: path, file: file, options: o, meter: newMeter(), perUID: map[uint32]int{}, conns: map[*conn]struct{}{}}
	if s.socket, err = bind(file, o); err != nil {
		return nil, err
	}
	if err := unix.Lstat(file, &s.made); err != nil {
		s.socket.close()
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return s, nil
}

// lockPath keeps two starting sidecars from each taking the other's fresh
// socket for a stale one. The lock file stays: removing it would let a third
// lock another file of the same name.
func lockPath(path string) (unlock func(), err error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Dir(path)
		return nil, fmt.Errorf("socket %s: %w: %s; make it (mkdir -p %s) or choose another place with --socket", path, ErrNoDirectory, dir, dir)
	}
	if st, e := os.Stat(name); errors.Is(err, fs.ErrPermission) && e == nil {
		return nil, fmt.Errorf("socket %s: lock: %w; run as its owner, %s, or as root", path, err, ownerOf(st))
	}
	if err != nil {
		return nil, fmt.Errorf("socket %s: lock: %w; it needs write permission for its directory", path, err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}

// clearPath removes a socket file that nobody listens on. The caller holds the
// lock.
func clearPath(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("socket %s: %w", path, err)
	case st.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("socket %s: %w but %s; remove it or choose another place with --socket", path, ErrNotSocket, describe(st.Mode()))
	}
	err = probe(path)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		err = os.Remove(path)
	case err == nil, errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE):
		return fmt.Errorf("socket %s: %w: another process listens on it; stop that one, take its place with --takeover, or choose another with --socket", path, ErrLive)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("socket %s: a stale one could not be told from a live one, or not be removed: %w", path, err)
}

// probe connects without waiting: EAGAIN is a full backlog, so somebody who
// hangs, EPROTOTYPE somebody who listens for another kind of socket.
func probe(path string) error {
	s, err := connect(path)
	if err != nil {
		return err
	}
	return s.close()
}

// bind makes the socket file with no permission at all, and gives permissions
// when it can be used. A client takes mode 0 for "just starting".
func bind(path string, o Options) (*socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, packets, 0)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	// Linux creates the file with the socket's own mode.
	if err = unix.Fchmod(fd, 0); err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	if err := publish(fd, path, o); err != nil {
		unix.Close(fd)
		os.Remove(path)
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l, err := newSocket(fd, path)
	if err != nil {
		os.Remove(path)
	}
	return l, err
}

func publish(fd int, path string, o Options) error {
	// The kernel bounds the backlog by net.core.somaxconn.
	if err := unix.Listen(fd, 1<<16-1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if o.GID > 0 {
		if err := os.Lchown(path, -1, o.GID); err != nil {
			return fmt.Errorf("give it to group %d: %w", o.GID, err)
		}
	}
	return os.Chmod(path, o.Mode.Perm())
}

// Close removes the socket file, if it is still the one that Listen made, and
// stops listening: Serve returns, and leases end with it. It may be called
// again.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	unlock, err := lockPath(s.path)
	if err != nil {
		// Without its directory there is no file to remove either.
		return s.socket.close()
	}
	defer unlock()
	if s.Present() {
		err = os.Remove(s.file)
	}
	return errors.Join(err, s.socket.close())
}

// describe names what is in the way.
func describe(m os.FileMode) string {
	switch m.Type() {
	case 0:
		return "a regular file"
	case os.ModeDir:
		return "a directory"
	case os.ModeSymlink:
		return "a symbolic link"
	}
	return "a " + m.Type().String()
}
