// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

const (
	leastCatalog = 128
	leastHeap    = 256 << 10
	// maxOldEpochs bounds the memory that consumers keep alive by not attaching
	// again: beyond it the oldest ones' leases are taken back.
	maxOldEpochs = 4
	// finishPatience is how long claims in flight may take to be committed. A
	// scan claims again and again, and each time for far less than this.
	finishPatience = 5 * time.Second
	// lingerOld keeps an old epoch for consumers that are just being attached.
	lingerOld = time.Second
)

// epoch is one life of a ring: one piece of memory.
type epoch struct {
	publisher *shm.Publisher
	ended     time.Time // zero while it is the current one
	finished  chan struct{}
	// stuck is set before finished is closed if claims were still in flight. The
	// kernel may yet write there, so that the memory must not be given back.
	stuck   error
	settled bool // though stuck, no claim was in flight when last looked at

	mu     sync.Mutex // between the heart and the end
	closed bool
}

// beat tells readers that the publisher lives. A ring that is no longer
// configured has no epoch.
func (e *epoch) beat() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.publisher.Beat()
	}
}

// close gives the memory back.
func (e *epoch) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.publisher.Close()
}

// lockToGrow takes what beginEpoch asks for: growing comes before mu.
func (s *Sidecar) lockToGrow() {
	s.growing.Lock()
	s.mu.Lock()
}

func (s *Sidecar) unlockGrown() {
	s.mu.Unlock()
	s.growing.Unlock()
}

func newEpoch(c shm.Config) (*epoch, error) {
	p, err := shm.Create(c)
	if err != nil {
		return nil, fmt.Errorf("ring %q of %s: %w", c.Name, size64(c.DataBytes), err)
	}
	return &epoch{publisher: p, finished: make(chan struct{})}, nil
}

// finish tells the epoch's readers that nothing more will come. It waits for
// claims in flight.
func (e *epoch) finish(final shm.State, patience time.Duration) error {
	defer close(e.finished)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e.stuck = e.publisher.Finish(ctx, final)
	return e.stuck
}

// done tells whether finish has come to its end.
func (e *epoch) done() bool {
	select {
	case <-e.finished:
		return true
	default:
		return false
	}
}

// shape is what the configuration says of a ring.
func (r *ring) shape() shm.Config {
	return shm.Config{Name: r.config.Name, DataBytes: r.config.Bytes, Lossless: r.config.Lossless, StallTimeout: r.config.StallTimeout}
}

// empty is a ring whose maps have yet to come.
func (r *ring) empty() shm.Config {
	c := r.shape()
	c.DataBytes = max(c.DataBytes, minRing)
	return c
}

// room is what a ring must offer for a set of maps.
func (r *ring) room(infos []*reader.Info) (shm.Config, error) {
	c := r.shape()
	// Twice as much as needed now: what is replaced stays in the catalog.
	c.Sources, c.HeapBytes = uint32(max(leastCatalog, 2*len(infos))), leastHeap
	texts, heap := map[string]bool{}, 0
	for _, i := range infos {
		if len(i.Name) >= shm.SourceNameBytes {
			return c, fmt.Errorf("%s: its name has %d bytes, a source's has at most %d; give it one (maps[].name)", i.Pin, len(i.Name), shm.SourceNameBytes-1)
		}
		if r.config.Bytes == 0 {
			size, err := fittingRing(i)
			if err != nil {
				return c, err
			}
			c.DataBytes = max(c.DataBytes, size)
		} else if err := fits(i, r.config.Bytes); err != nil {
			return c, err
		}
		if text := schemaText(i); !texts[string(text)] {
			texts[string(text)] = true
			heap += len(text) + 8
		}
	}
	c.HeapBytes = max(c.HeapBytes, uint64(2*heap))
	if c.DataBytes == 0 {
		c.DataBytes = minRing // until its maps come
	}
	return c, nil
}

func schemaText(i *reader.Info) []byte {
	if i.Schema == nil {
		return nil
	}
	return i.Schema.Encode()
}
