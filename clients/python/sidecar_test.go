// SPDX-License-Identifier: Apache-2.0

package python_test

import (
	"context"
	"encoding/binary"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
	"github.com/ringside-bpf/ringside/shm/schema"
)

const ringName = "main"

// sidecar is one without a reader of maps: a socket, and a ring at a time.
type sidecar struct {
	path   string
	server *handoff.Server
	stop   context.CancelFunc
	served chan error

	mu     sync.Mutex
	ring   *shm.Publisher
	past   []*shm.Publisher // superseded, still mapped
	leases map[*handoff.Lease]struct{}
	joined chan *handoff.Lease
}

func (s *sidecar) Attach(_ handoff.Peer, r handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Ring != ringName {
		return nil, 0, handoff.Refuse(2, "no ring %q: there is %q", r.Ring, ringName)
	}
	return s.ring, shm.AnySource, nil
}

func (s *sidecar) Attached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[l] = struct{}{}
	select {
	case s.joined <- l:
	default: // nobody asks
	}
}

func (s *sidecar) Detached(l *handoff.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leases, l)
}

func (s *sidecar) Status(handoff.Peer) ([]byte, error)  { return []byte("{}"), nil }
func (s *sidecar) Rings(handoff.Peer) ([]string, error) { return []string{ringName}, nil }

// socketPath is in a directory that every user can search.
func socketPath(tb testing.TB) string {
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

// open starts a sidecar, which the end of the test stops.
func open(tb testing.TB, dataBytes uint64) *sidecar {
	tb.Helper()
	s := &sidecar{path: socketPath(tb), leases: map[*handoff.Lease]struct{}{}, joined: make(chan *handoff.Lease, 1)}
	s.replace(tb, shm.Config{DataBytes: dataBytes})
	s.listen(tb)
	tb.Cleanup(func() {
		s.close(tb)
		for _, p := range append(s.past, s.ring) {
			if err := p.Close(); err != nil {
				tb.Error(err)
			}
		}
	})
	return s
}

func (s *sidecar) listen(tb testing.TB) {
	tb.Helper()
	server, err := handoff.Listen(s.path, handoff.Options{Mode: 0o666})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s.server, s.stop, s.served = server, stop, served
	go func() { served <- server.Serve(ctx, s) }()
}

// close hangs up on everyone and removes the socket.
func (s *sidecar) close(tb testing.TB) {
	tb.Helper()
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.served; err != nil {
		tb.Error(err)
	}
	if err := s.server.Close(); err != nil {
		tb.Error(err)
	}
	s.stop = nil
}

// replace makes a new ring the one that is lent. The old one is left as it is.
func (s *sidecar) replace(tb testing.TB, c shm.Config) {
	tb.Helper()
	c.Name = ringName
	p, err := shm.Create(c)
	if err != nil {
		tb.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		s.past = append(s.past, s.ring)
	}
	s.ring = p
}

// Every row proves itself: the value's words follow from its first, which is the
// row's number, and the key is its low half. tests/consumer.py has the same.
type feed struct {
	producer *shm.Producer
	scan     uint64
	rows     uint64
}

func addFeed(tb testing.TB, p *shm.Publisher, flags shm.SourceFlags) *feed {
	tb.Helper()
	word := func(size int) *schema.Type { return &schema.Type{Kind: schema.Uint, Size: size} }
	s := schema.Schema{Key: word(4), Value: &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: 32, Fields: []schema.Field{
		{Name: "row", Type: word(8)}, {Name: "packets", Offset: 8, Type: word(8)},
		{Name: "bytes", Offset: 16, Type: word(8)}, {Name: "errors", Offset: 24, Type: word(8)},
	}}}
	r, err := p.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 32, MapValueSize: 32, MaxEntries: 1 << 16, Flags: flags, Schema: s.Encode()})
	if err != nil {
		tb.Fatal(err)
	}
	return &feed{producer: r}
}

const wholeScan = shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe

// publish commits one frame of the next rows, which is a whole scan.
func (f *feed) publish(tb testing.TB, rows int) {
	tb.Helper()
	numbers := make([]uint64, rows)
	for i := range numbers {
		numbers[i] = f.rows + uint64(i)
	}
	f.scan++
	f.rows += uint64(rows)
	f.frame(tb, shm.KindRows, wholeScan, numbers...)
}

// frame commits one frame of the rows of these numbers.
func (f *feed) frame(tb testing.TB, kind shm.Kind, flags shm.Flags, numbers ...uint64) {
	tb.Helper()
	rows := len(numbers)
	valuesAt := (rows*4 + 7) &^ 7
	size := valuesAt + rows*32
	b, err := f.producer.Claim(context.Background(), size, size)
	if err != nil {
		tb.Fatal(err)
	}
	clear(b)
	le := binary.LittleEndian
	for i, n := range numbers {
		le.PutUint32(b[i*4:], uint32(n))
		le.PutUint64(b[valuesAt+i*32:], n)
		for word := 1; word < 4; word++ {
			le.PutUint64(b[valuesAt+i*32+word*8:], bits.RotateLeft64(n*0x9E3779B97F4A7C15+uint64(word), word*7))
		}
	}
	f.producer.Commit(shm.Content{
		Kind: kind, Flags: flags, Rows: uint32(rows), Bytes: size,
		KeyStride: 4, ValuesOffset: uint32(valuesAt), ValueStride: 32, Scan: f.scan, TimeNS: shm.Monotonic(),
	})
}
