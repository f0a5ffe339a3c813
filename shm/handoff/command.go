// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Commander is a Handler that can be told what to do. It decides who may: these
// requests do not read, they change what everybody gets.
type Commander interface {
	// Reload says, in a JSON document, what a new configuration has changed.
	Reload(Peer) ([]byte, error)
	// TakeOver returns when nothing is read or published any more.
	TakeOver(Peer) error
}

func (c *conn) command(kind uint16) ([]byte, error) {
	h, ok := c.handler.(Commander)
	switch {
	case !ok:
		return nil, Refuse(syscall.EOPNOTSUPP, "this sidecar takes no commands")
	case kind == typeReload:
		return h.Reload(c.peer)
	}
	return nil, h.TakeOver(c.peer)
}

// Beside makes a server that will take the place of the one at path. Its socket's
// file lies beside until Replace puts it there: clients that connect reach one of
// both at any moment.
func Beside(path string, o Options) (*Server, error) { return listen(path, path+".next", o) }

// Replace moves the file of a server that was made by Beside to its path, over
// another socket or nothing.
func (s *Server) Replace() error {
	unlock, err := lockPath(s.path)
	if err != nil {
		return err
	}
	defer unlock()
	if st, err := os.Lstat(s.path); err == nil && st.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("socket %s: %w but %s; remove it or choose another place with --socket", s.path, ErrNotSocket, describe(st.Mode()))
	}
	if err := os.Rename(s.file, s.path); err != nil {
		return fmt.Errorf("socket %s: take its place: %w", s.path, errors.Unwrap(err))
	}
	s.file = s.path
	return nil
}

// Present tells whether the socket's file is still this server's.
func (s *Server) Present() bool {
	var now unix.Stat_t
	return unix.Lstat(s.file, &now) == nil && now.Dev == s.made.Dev && now.Ino == s.made.Ino
}
