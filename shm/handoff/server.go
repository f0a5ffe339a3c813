// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptPause and acceptPauseMax bound how often a server that is out of
	// descriptors asks for another one.
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Options of a Server. Zero values are the defaults.
type Options struct {
	Mode             os.FileMode   // of the socket file; 0 means 0600
	GID              int           // its group, if above 0; needs the right to give it
	MaxConns         int           // connections at once; 0 means 1024
	MaxPerUID        int           // of one uid, root excepted; 0 means 128
	HandshakeTimeout time.Duration // for a client to send a whole request or take an answer; 0 means 2 s
}

func (o Options) withDefaults() Options {
	set := func(to *int, value int) {
		if *to <= 0 {
			*to = value
		}
	}
	set(&o.MaxConns, 1024)
	set(&o.MaxPerUID, 128)
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = 2 * time.Second
	}
	return o
}

// Server listens on a socket. Its methods are safe for concurrent use.
//
// A uid other than root may make 200 connections and requests a second, 64 at
// once. Who makes more waits for the answers.
type Server struct {
	path    string
	file    string // where the socket's file is now: path, or beside it
	options Options
	socket  *socket
	meter   *meter
	made    unix.Stat_t // the socket file, so that Close removes no other's

	closeOnce sync.Once
	closeErr  error

	mu     sync.Mutex
	perUID map[uint32]int
	conns  map[*conn]struct{}
}

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
		socket, err := s.socket.accept()
		switch {
		case err == nil:
			pause = acceptPause
		case errors.Is(err, os.ErrClosed):
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
				c.serve(ctx)
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

// admit counts a connection in, or sends it away. It is all that is done for a
// connection outside its own goroutine, so it does not wait.
func (s *Server) admit(socket *socket, h Handler) *conn {
	peer, err := peerOf(socket.raw)
	if err != nil {
		socket.close() // a kernel that cannot say who it is
		return nil
	}
	c := &conn{
		socket: socket, peer: peer, handler: h,
		timeout: s.options.HandshakeTimeout, meter: s.meter,
	}
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
	if !full {
		return c
	}
	// Whoever asks too often is not even told so: words cost more than silence.
	if _, ok := s.meter.take(peer.UID, time.Now(), 0); ok {
		c.turnAway(Refuse(syscall.EUSERS, "%v: uid %d has %d, of at most %d a user and %d in all; close some", ErrBusy, peer.UID, own, s.options.MaxPerUID, s.options.MaxConns))
	}
	socket.close()
	return nil
}

func (s *Server) leave(c *conn) {
	c.socket.close()
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
		c.hangUp()
	}
}
