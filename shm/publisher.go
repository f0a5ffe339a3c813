// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/monotonic"
)

const (
	defaultSources   = 128
	defaultHeapBytes = 256 << 10
	// maxClaims bounds the claims in flight, and with them the wait of the
	// youngest.
	maxClaims = 64
)

// Config describes a ring to create.
type Config struct {
	Name      string // at most 63 bytes
	DataBytes uint64 // rounded up to a power of two, at least 4 KiB
	Sources   uint32 // room in the catalog; 0 means 128
	HeapBytes uint64 // room for schemas; 0 means 256 KiB

	// Lossless: claims wait for every consumer, each for as long as StallTimeout
	// (0 means 2 s), after which that one is evicted.
	Lossless     bool
	StallTimeout time.Duration
}

// Publisher owns a ring's memory and is the only one to write it. All methods
// are safe for concurrent use; each source has one Producer, used by one
// goroutine at a time.
type Publisher struct {
	geometry Geometry
	mem      memory
	data     memory // the data part of mem
	mask     uint64
	shared   control
	file     *os.File // read-only descriptor, to be passed on
	disk     *disk    // nil in memory
	huge     bool     // see HugePages

	mu sync.Mutex // never held across a system call, other than for the time where that takes one
	// The rest up to consumers is guarded by mu.
	next     uint64 // where the next claim starts; may go back
	hw       uint64
	head     uint64
	last     uint64
	seq      uint64
	rows     uint64
	bound    [segments]uint64 // first frame start in each eighth
	known    uint64           // eighths that bound knows
	fifo     [maxClaims]claim
	front    uint64 // fifo[front%maxClaims] is the oldest claim in flight
	back     uint64
	waiters  int
	changed  chan struct{} // closed when a commit makes room, if anyone waits
	closing  bool          // no new claims
	finished bool          // head does not move any more
	rung     uint64        // head when sleepers were last rung
	patience patience      // with the members of a lossless ring
	sources  []*sourceState
	bells    map[uint32]*bell  // by uid
	schemas  map[string]uint64 // schema text to its place in the heap

	consumers atomic.Pointer[[]*Consumer] // replaced under mu, read without
	notify    chan struct{}               // to the notifier: many sleepers to ring; never closed, a late ring may come
	quit      chan struct{}               // closed to end the notifier
	stopped   chan struct{}               // closed when the notifier is gone
}

// Create makes a sealed ring. The caller closes it.
func Create(c Config) (*Publisher, error) {
	g, err := planConfig(c)
	if err != nil {
		return nil, err
	}
	if err := checkBell(); err != nil {
		return nil, err
	}
	f, err := createMemfd("ringside-"+c.Name, g.TotalBytes)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping and the read-only description stay
	huge := gather(f, g.TotalBytes)
	mem, err := mapFile(f, g.TotalBytes, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, err
	}
	p := newPublisher(mem, g)
	p.huge = huge
	p.patience = newPatience(c)
	if err := seal(f, ringSeals); err != nil {
		unmap(mem)
		return nil, err
	}
	if p.file, err = reopenReadOnly(f); err != nil {
		unmap(mem)
		return nil, err
	}
	go p.runNotifier()
	return p, nil
}

func planConfig(c Config) (Geometry, error) {
	if len(c.Name) >= nameBytes {
		return Geometry{}, fmt.Errorf("ring name %q: %w: at most %d bytes", c.Name, ErrTooLarge, nameBytes-1)
	}
	if c.Sources == 0 {
		c.Sources = defaultSources
	}
	if c.HeapBytes == 0 {
		c.HeapBytes = defaultHeapBytes
	}
	g, err := plan(c.DataBytes, c.Sources, c.HeapBytes)
	g.Name, g.CreatedNS, g.Epoch, g.Lossless = c.Name, clock(unix.CLOCK_REALTIME), randomEpoch(), c.Lossless
	return g, err
}

// randomEpoch tells rings apart; it is no secret, so the runtime's generator
// will do. The kernel seeds it, anew for each process.
func randomEpoch() uint64 { return rand.Uint64() | 1 }

// newPublisher starts a ring in zeroed memory, which need not be a memfd: the
// protocol is also tested on the heap, where the race detector sees it.
func newPublisher(mem memory, g Geometry) *Publisher {
	p := &Publisher{
		geometry: g, mem: mem, data: mem[g.DataOffset:], mask: g.DataBytes - 1,
		patience: newPatience(Config{}),
		shared:   controlOf(mem), changed: make(chan struct{}), schemas: map[string]uint64{}, bells: map[uint32]*bell{},
		notify: make(chan struct{}, 1), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	p.consumers.Store(new([]*Consumer))
	g.encode(mem[:headerSize])
	p.Beat()
	p.shared.state.Store(uint64(StateLive))
	return p
}

// Geometry tells where the parts of the ring lie.
func (p *Publisher) Geometry() Geometry { return p.geometry }

// HugePages reports whether the ring lies in huge pages, but for a rest at its end.
func (p *Publisher) HugePages() bool { return p.huge }

// File is the descriptor to pass to consumers: read-only, of sealed memory. It
// belongs to the publisher and is valid until Close.
func (p *Publisher) File() *os.File { return p.file }

// Totals are what a ring has published since it was created.
type Totals struct {
	Head   uint64 // bytes
	Frames uint64
	Rows   uint64
	// OldestClaimNS is the age of the oldest claim that is still being filled,
	// as seen by heartbeats, 0 if there is none: nothing that came after it is visible before it is
	// settled. Only the publisher knows; in what a reader sees it is 0.
	OldestClaimNS uint64
}

// Totals counts what has been published.
func (p *Publisher) Totals() Totals {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Totals{Head: p.head, Frames: p.seq, Rows: p.rows, OldestClaimNS: p.watch(monotonic.Now())}
}

// Beat tells readers that the publisher is alive. It is to be called several
// times a second; it also rings sleepers whose ring was held back before.
func (p *Publisher) Beat() {
	now := monotonic.Now()
	p.shared.realtime.Store(clock(unix.CLOCK_REALTIME) - now)
	p.shared.heartbeat.Store(now)
	p.mu.Lock()
	p.watch(now)
	p.mu.Unlock()
	p.catchUp()
}

// Finish lets claims in flight come to their commit, takes no new ones, and
// tells every reader by final that no frame will follow. When ctx ends first,
// the frames still in flight are not published, which is all that is lost.
// Totals then goes on to tell whether one of them is being filled: the memory
// must not be given back before that has ended.
func (p *Publisher) Finish(ctx context.Context, final State) error {
	p.mu.Lock()
	p.closing = true
	p.wakeLocked() // those who wait for room behind a claim that hangs
	var err error
	for p.front != p.back && err == nil {
		err = p.waitLocked(ctx, nil)
	}
	// The final head is in memory before the state is: a reader that sees the
	// state and then head == cursor has seen everything.
	p.finished = true
	p.shared.state.Store(uint64(final))
	p.mu.Unlock()
	p.ringSleepers()
	return err
}

// Close gives the memory back. Consumers keep theirs: the ring lives until the
// last of them lets go. No other method may be running or be called later.
func (p *Publisher) Close() error {
	close(p.quit)
	<-p.stopped
	for _, c := range *p.consumers.Load() {
		c.release()
	}
	err := p.file.Close()
	return errors.Join(err, unmap(p.mem))
}
