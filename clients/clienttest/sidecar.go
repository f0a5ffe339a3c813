// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// RingName is the only ring that there is.
const RingName = "main"

// Sidecar is one without a reader of maps: a socket, and a ring at a time.
type Sidecar struct {
	Path   string // of the socket
	server *handoff.Server
	stop   context.CancelFunc
	served chan error

	mu     sync.Mutex
	Ring   *shm.Publisher      // the one that is lent
	past   []*shm.Publisher    // superseded, still mapped
	again  int                 // how many will be told to try again
	Joined chan *handoff.Lease // the newest lease, if nobody has taken it yet
}

// Attach implements handoff.Handler, as the four that follow do.
func (s *Sidecar) Attach(_ handoff.Peer, r handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Ring != RingName {
		return nil, 0, handoff.Refuse(2, "no ring %q: there is %q", r.Ring, RingName)
	}
	if s.again > 0 {
		s.again--
		return nil, 0, handoff.Refuse(syscall.EAGAIN, "the ring is just being replaced")
	}
	return s.Ring, shm.AnySource, nil
}

// Attached offers a lease to who asks.
func (s *Sidecar) Attached(l *handoff.Lease) {
	select {
	case s.Joined <- l:
	default: // nobody asks
	}
}

// tryAgain is the answer to so many that ask for a ring.
func (s *Sidecar) tryAgain(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = times
}

// Detached has nothing to do.
func (s *Sidecar) Detached(*handoff.Lease) {}

// Status has nothing to say.
func (s *Sidecar) Status(handoff.Peer) ([]byte, error) { return []byte("{}"), nil }

// Rings are the one.
func (s *Sidecar) Rings(handoff.Peer) ([]string, error) { return []string{RingName}, nil }

// SocketPath is in a directory that every user can search.
func SocketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "rs")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, "s")
}

// Open starts a sidecar, which the end of the test stops.
func Open(tb testing.TB, dataBytes uint64) *Sidecar {
	tb.Helper()
	s, err := Serve(SocketPath(tb), dataBytes)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Close(tb)
		for _, p := range append(s.past, s.Ring) {
			if err := p.Close(); err != nil {
				tb.Error(err)
			}
		}
	})
	return s
}

// Serve starts a sidecar outside of a test.
func Serve(path string, dataBytes uint64) (*Sidecar, error) {
	s := &Sidecar{Path: path, Joined: make(chan *handoff.Lease, 1)}
	if err := s.replace(shm.Config{DataBytes: dataBytes}); err != nil {
		return nil, err
	}
	return s, s.serve()
}

// Listen serves again after Close.
func (s *Sidecar) Listen(tb testing.TB) {
	tb.Helper()
	if err := s.serve(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Sidecar) serve() error {
	server, err := handoff.Listen(s.Path, handoff.Options{Mode: 0o666})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s.server, s.stop, s.served = server, stop, served
	go func() { served <- server.Serve(ctx, s) }()
	return nil
}

// Close hangs up on everyone and removes the socket.
func (s *Sidecar) Close(tb testing.TB) {
	tb.Helper()
	if err := s.Stop(); err != nil {
		tb.Error(err)
	}
}

// Stop is Close outside of a test.
func (s *Sidecar) Stop() error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	s.stop = nil
	return errors.Join(<-s.served, s.server.Close())
}

// Replace makes a new ring the one that is lent. The old one is left as it is.
func (s *Sidecar) Replace(tb testing.TB, c shm.Config) {
	tb.Helper()
	if err := s.replace(c); err != nil {
		tb.Fatal(err)
	}
}

func (s *Sidecar) replace(c shm.Config) error {
	c.Name = RingName
	p, err := shm.Create(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Ring != nil {
		s.past = append(s.past, s.Ring)
	}
	s.Ring = p
	return nil
}
