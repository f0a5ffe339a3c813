// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
)

// patience is how long a test waits for what must happen. It asserts nothing
// about time: a machine that is slow beyond it is broken.
const patience = 30 * time.Second

// house is a Handler that lends one ring.
type house struct {
	publisher *shm.Publisher
	refuse    func(Peer, AttachRequest) error
	source    uint16
	document  []byte

	asked atomic.Int32 // times Status was called

	mu     sync.Mutex
	news   chan struct{} // closed at every change
	leases map[*Lease]struct{}
	ended  int
}

func (h *house) Attach(p Peer, r AttachRequest) (*shm.Publisher, uint16, error) {
	if h.refuse != nil {
		if err := h.refuse(p, r); err != nil {
			return nil, 0, err
		}
	}
	return h.publisher, h.source, nil
}

func (h *house) Attached(l *Lease) { h.change(func() { h.leases[l] = struct{}{} }) }
func (h *house) Detached(l *Lease) { h.change(func() { delete(h.leases, l); h.ended++ }) }

func (h *house) Rings(Peer) ([]string, error) { return []string{"main", "other"}, nil }

func (h *house) Status(Peer) ([]byte, error) {
	h.asked.Add(1)
	return h.document, nil
}

func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.news)
	h.news = make(chan struct{})
}

// until waits for a state of the leases.
func (h *house) until(t testing.TB, what string, ok func(leases, ended int) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		leases, ended, news := len(h.leases), h.ended, h.news
		h.mu.Unlock()
		if ok(leases, ended) {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("%s: still %d leases, %d ended", what, leases, ended)
		}
	}
}

// lease is one of those there are.
func (h *house) lease(t testing.TB) *Lease {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.leases {
		return l
	}
	t.Fatal("there is no lease")
	return nil
}

// stand is a sidecar without a reader: a ring, a socket, a feed.
type stand struct {
	*house
	path   string
	server *Server
	feed   *feed
	stop   context.CancelFunc // of Serve
	done   chan error         // its result
}

type settings struct {
	dataBytes uint64
	options   Options
	refuse    func(Peer, AttachRequest) error
	source    uint16
	document  []byte
}

// open starts one. Its cleanup is where every test ends: nobody may be left,
// and the ring must be whole.
func open(t testing.TB, set settings) *stand {
	t.Helper()
	if set.dataBytes == 0 {
		set.dataBytes = 1 << 20
	}
	p, err := shm.Create(shm.Config{Name: "main", DataBytes: set.dataBytes})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		publisher: p, refuse: set.refuse, source: set.source, document: set.document,
		news: make(chan struct{}), leases: map[*Lease]struct{}{},
	}
	s := &stand{house: h, path: filepath.Join(directory(t), "s"), done: make(chan error, 1)}
	if s.feed, err = newFeed(p); err != nil {
		t.Fatal(err)
	}
	if set.options.Mode == 0 {
		set.options.Mode = 0o666
	}
	if s.server, err = Listen(s.path, set.options); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- s.server.Serve(ctx, s) }()
	t.Cleanup(func() { s.shut(t) })
	return s
}

// connections counts those that the server serves.
func (s *stand) connections() int {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	return len(s.server.conns)
}

// until waits for something that tells nobody when it happens.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *stand) shut(t testing.TB) {
	s.stop()
	if err := <-s.done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if err := s.server.Close(); err != nil {
		t.Errorf("close server: %v", err)
	}
	if _, err := os.Lstat(s.path); err == nil {
		t.Error("the socket file is still there")
	}
	s.until(t, "after serve", func(leases, _ int) bool { return leases == 0 })
	if err := s.publisher.Check(); err != nil {
		t.Error(err)
	}
	if err := s.publisher.Close(); err != nil {
		t.Errorf("close publisher: %v", err)
	}
}

// directory is one that every user can search, with a path short enough for a
// socket.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *stand) dial(t testing.TB) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *stand) attach(t testing.TB, start shm.Start) *Attachment {
	t.Helper()
	a, err := s.dial(t).Attach(t.Context(), AttachRequest{Ring: "main", Consumer: t.Name(), Start: start})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// beat plays the sidecar's heartbeat until the test ends.
func (s *stand) beat(t testing.TB) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.publisher.Beat()
			case <-stop:
				return
			}
		}
	}()
}
