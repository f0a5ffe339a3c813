// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// acceptPause and acceptPauseMax bound how often a server that is out of
	// descriptors asks for another one.
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Addr is the socket's path.
func (s *Server) Addr() string { return s.path }

// Serve answers clients until ctx ends or Close is called; both are no error.
// When it returns, the server is closed, so is every connection, and every
// lease was Detached. It is called once.
func (s *Server) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer s.hangUp()
	defer cancel()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	pause := acceptPause
	for {
		socket, err := s.socket.AcceptUnix()
		switch {
		case err == nil:
			pause = acceptPause
		case errors.Is(err, net.ErrClosed):
			return nil
		case !exhausted(err):
			return fmt.Errorf("accept on %s: %w", s.path, err)
		default:
			// Clients wait in the backlog; those that leave give us descriptors.
			wait(ctx, pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		if c := s.admit(socket, h); c != nil {
			running.Go(func() {
				defer s.leave(c)
				c.serve()
			})
		}
	}
}

// exhausted tells errors that pass from those that do not.
func exhausted(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// admit counts a connection in, or sends it away.
func (s *Server) admit(socket *net.UnixConn, h Handler) *conn {
	peer, err := peerOf(socket)
	if err != nil {
		socket.Close() // gone already, or a kernel that cannot say who it is
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		socket.Close()
		return nil
	}
	c := &conn{socket: socket, raw: raw, peer: peer, handler: h, timeout: s.options.HandshakeTimeout}
	s.mu.Lock()
	full, own := len(s.conns) >= s.options.MaxConns, s.perUID[peer.UID]
	if peer.UID != 0 && own >= s.options.MaxPerUID {
		full = true
	}
	if !full {
		s.conns[c] = struct{}{}
		s.perUID[peer.UID]++
	}
	s.mu.Unlock()
	if full {
		c.turnAway(Refuse(syscall.EUSERS, "%v: uid %d has %d, of at most %d a user and %d in all; close some", ErrBusy, peer.UID, own, s.options.MaxPerUID, s.options.MaxConns))
		return nil
	}
	return c
}

func (s *Server) leave(c *conn) {
	c.socket.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.perUID[c.peer.UID]--; s.perUID[c.peer.UID] <= 0 {
		delete(s.perUID, c.peer.UID)
	}
}

// hangUp closes every connection; their goroutines notice and leave.
func (s *Server) hangUp() {
	s.Close() // whose error is kept for whoever calls it again
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.socket.Close()
	}
}
