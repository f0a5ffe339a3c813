// SPDX-License-Identifier: Apache-2.0

package c

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
	"github.com/ringside-bpf/ringside/shm/schema"
)

// sidecar is one without a reader of maps: a socket, and a ring at a time.
type sidecar struct {
	path   string
	server *handoff.Server
	stop   context.CancelFunc
	served chan error

	mu   sync.Mutex
	ring *shm.Publisher
}

func (s *sidecar) Attach(handoff.Peer, handoff.AttachRequest) (*shm.Publisher, uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring, shm.AnySource, nil
}

func (s *sidecar) Attached(*handoff.Lease)              {}
func (s *sidecar) Detached(*handoff.Lease)              {}
func (s *sidecar) Status(handoff.Peer) ([]byte, error)  { return []byte("{}"), nil }
func (s *sidecar) Rings(handoff.Peer) ([]string, error) { return []string{"main"}, nil }

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

// listen starts to serve rings of the given size.
func listen(path string, dataBytes uint64) (*sidecar, error) {
	s := &sidecar{path: path, served: make(chan error, 1)}
	if err := s.replace(dataBytes); err != nil {
		return nil, err
	}
	server, err := handoff.Listen(path, handoff.Options{Mode: 0o666})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.server, s.stop = server, stop
	go func() { s.served <- server.Serve(ctx, s) }()
	return s, nil
}

func (s *sidecar) replace(dataBytes uint64) error {
	p, err := shm.Create(shm.Config{Name: "main", DataBytes: dataBytes})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring = p
	return err
}

// open is listen for a test, at whose end it hangs up on everyone.
func open(t testing.TB, dataBytes uint64) *sidecar {
	t.Helper()
	s, err := listen(socketPath(t), dataBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
		if err := s.server.Close(); err != nil {
			t.Error(err)
		}
		if err := s.ring.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// feed publishes scans of flows: rows that prove themselves (tests/flow.h).
type feed struct {
	ring     *shm.Publisher
	producer *shm.Producer
	scan     uint64
	rows     uint64
}

func addFeed(ring *shm.Publisher) (*feed, error) {
	number := func(size int, name string) *schema.Type {
		return &schema.Type{Kind: schema.Uint, Name: name, Size: size}
	}
	value := &schema.Type{Kind: schema.Struct, Name: "struct flow", Size: 32}
	for i, name := range []string{"row", "packets", "bytes", "errors"} {
		value.Fields = append(value.Fields, schema.Field{Name: name, Offset: i * 8, Type: number(8, "__u64")})
	}
	text := (&schema.Schema{Key: number(4, "__u32"), Value: value}).Encode()
	producer, err := ring.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 32, MapValueSize: 32, Schema: text})
	return &feed{ring: ring, producer: producer}, err
}

// publish commits one frame that is a whole scan.
func (f *feed) publish(ctx context.Context, rows int) error {
	valuesAt := (rows*4 + 7) &^ 7
	size := valuesAt + rows*32
	b, err := f.producer.Claim(ctx, size, size)
	if err != nil {
		return err
	}
	clear(b[rows*4 : valuesAt])
	le := binary.LittleEndian
	for i := range rows {
		row := (f.rows + uint64(i)) * 0x9E3779B97F4A7C15
		first := f.rows + uint64(i)
		le.PutUint32(b[i*4:], uint32(first))
		le.PutUint64(b[valuesAt+i*32:], first)
		for word := 1; word < 4; word++ {
			le.PutUint64(b[valuesAt+i*32+word*8:], bits.RotateLeft64(row+uint64(word), word*7))
		}
	}
	f.scan++
	f.rows += uint64(rows)
	f.producer.Commit(shm.Content{
		Kind: shm.KindRows, Flags: shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe, Rows: uint32(rows), Bytes: size,
		KeyStride: 4, ValuesOffset: uint32(valuesAt), ValueStride: 32, Scan: f.scan, TimeNS: shm.Monotonic(),
	})
	f.ring.Beat()
	return nil
}

// until publishes frames of random sizes until done is closed.
func (f *feed) until(done <-chan struct{}, most int) error {
	for {
		select {
		case <-done:
			return nil
		default:
			if err := f.publish(context.Background(), rand.IntN(most)); err != nil {
				return err
			}
		}
	}
}

// playSidecar serves at path and publishes flows as fast as it can, until stdin
// ends; then it says how many.
func playSidecar(path string) error {
	s, err := listen(path, 256<<10)
	if err != nil {
		return err
	}
	f, err := addFeed(s.ring)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the pipe, whatever the reason
	}()
	fmt.Println("serving")
	if err := f.until(done, 60); err != nil {
		return err
	}
	fmt.Println("published", f.rows)
	if err := s.ring.Finish(context.Background(), shm.StateEnded); err != nil {
		return err
	}
	s.stop() // after the state: whoever hears the hang-up finds it
	return <-s.served
}
