// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// patience is how long a test waits for what must happen. It asserts nothing
// about time: a machine that is slow beyond it is broken.
const patience = 30 * time.Second

// sidecar is one without a reader of maps: a socket, and a ring at a time.
type sidecar struct {
	path   string
	server *handoff.Server
	stop   context.CancelFunc
	served chan error

	mu     sync.Mutex
	ring   *shm.Publisher
	past   []*shm.Publisher // superseded, still mapped for the checks at the end
	refuse error
	leases map[*handoff.Lease]struct{}
}

func (s *sidecar) Attach(_ handoff.Peer, r handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring, shm.AnySource, s.refuse
}

func (s *sidecar) Attached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
}

func (s *sidecar) Detached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, l)
}

func (s *sidecar) Status(handoff.Peer) ([]byte, error)  { return []byte("{}"), nil }
func (s *sidecar) Rings(handoff.Peer) ([]string, error) { return []string{DefaultRing}, nil }

// socketPath is in a directory that every user can search.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "s")
}

// open starts a sidecar. When the test ends, its rings are verified as a whole.
func open(t testing.TB, path string, dataBytes uint64) *sidecar {
	t.Helper()
	s := &sidecar{path: path, leases: map[*handoff.Lease]struct{}{}}
	s.replace(t, dataBytes)
	s.listen(t)
	t.Cleanup(func() {
		s.close(t)
		for _, p := range append(s.past, s.ring) {
			if err := p.Check(); err != nil {
				t.Error(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

func (s *sidecar) listen(t testing.TB) {
	t.Helper()
	server, err := handoff.Listen(s.path, handoff.Options{Mode: 0o666})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s.server, s.stop, s.served = server, stop, served
	go func() { served <- server.Serve(ctx, s) }()
}

// close hangs up on everyone and removes the socket.
func (s *sidecar) close(t testing.TB) {
	t.Helper()
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.served; err != nil {
		t.Error(err)
	}
	if err := s.server.Close(); err != nil {
		t.Error(err)
	}
	s.stop = nil
}

// replace makes a new ring the one that is lent. The old one is left as it is.
func (s *sidecar) replace(t testing.TB, dataBytes uint64) {
	t.Helper()
	p, err := shm.Create(shm.Config{Name: DefaultRing, DataBytes: dataBytes})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		s.past = append(s.past, s.ring)
	}
	s.ring = p
}

func (s *sidecar) finish(t testing.TB, p *shm.Publisher, state shm.State) {
	t.Helper()
	if err := p.Finish(t.Context(), state); err != nil {
		t.Fatal(err)
	}
}

// refuseAll makes every further attachment fail.
func (s *sidecar) refuseAll(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// evict takes every lease back.
func (s *sidecar) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		l.Close()
	}
}

func (s *sidecar) attach(t testing.TB, o Options) *Subscription {
	t.Helper()
	o.Socket = s.path
	sub, err := Attach(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return sub
}

// deadline is a context that fails the test instead of letting it hang.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(func() {
		if ctx.Err() == context.DeadlineExceeded {
			t.Errorf("nothing came for %v", patience)
		}
		cancel()
	})
	return ctx
}
