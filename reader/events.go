// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader/ringbuf"
)

// EngineRingbuf is how Events read.
const EngineRingbuf = "ringbuf"

// EventDestination is where events land. It is used by one goroutine: every
// Claim is followed by exactly one Commit or Abort.
type EventDestination interface {
	// Largest is the size of the largest event that can ever be added.
	Largest() int
	// Claim begins a frame for an event of least bytes, and for as many more as
	// take most bytes in a ringbuf, headers included.
	Claim(ctx context.Context, least, most int) error
	// Add copies events of one length into the frame, count of them and one every
	// stride bytes, and says how many of them it had room for.
	Add(events []byte, length, stride, count int) (added int)
	// Commit makes the frame visible.
	Commit()
	// Abort gives the frame up; nothing becomes visible.
	Abort()
}

// EventOptions for [OpenEvents]. The zero value is good.
type EventOptions struct {
	Name  string        // default: the pin's base name
	Every time.Duration // how often to look although nobody was woken; default 100 ms
	Poll  bool          // never sleep while active: a CPU for the last microseconds of latency
	Type  string        // of a record, as C has it: "struct event"; empty: bytes
	BTF   string        // where Type is described: a file, or prog:PIN
	CPUs  []int         // Run stays on these
}

const defaultEventsEvery = 100 * time.Millisecond

// errOverwriting: the flag is newer than this program's idea of the memory.
var errOverwriting = errors.New("it overwrites what was not read (BPF_F_RB_OVERWRITE), which needs another way of reading")

const ringbufOverwrite = 1 << 19

// Events empties a pinned ringbuf. It is meant to be its only reader: see package
// ringbuf. One goroutine runs it; SetActive, SetSpin, Stats and Info may be called
// by any.
type Events struct {
	source  *Source // the pin and what is known of the map; it has no engine
	options EventOptions
	fd      int // of the map, open for writing, too
	ring    *ringbuf.Ring
	wake    waker
	active  atomic.Bool
	lookout lookout
	flow    flow
	looked  int64 // at the pin, by clock
	leaving bool  // another map was there the last time

	stats eventCounts
}

// OpenEvents opens the ringbuf pinned at pin. It reads nothing before Run and
// SetActive(true).
func OpenEvents(pin string, o EventOptions) (*Events, error) {
	s, err := describe(pin, Options{Name: o.Name})
	if err != nil {
		return nil, err
	}
	if o.Every <= 0 {
		o.Every = defaultEventsEvery
	}
	e := &Events{source: s, options: o, fd: -1, wake: noWaker()}
	if err := e.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s.info.Pin, err), e.Close())
	}
	return e, nil
}

func (e *Events) prepare() error {
	i := &e.source.info
	switch {
	case i.Type != ebpf.RingBuf:
		return fmt.Errorf("%w: a %s map has rows and no records; take 'mode: events' out", ErrUnsupported, i.TypeName)
	case i.Flags&ringbufOverwrite != 0:
		return fmt.Errorf("%w: %w", ErrUnsupported, errOverwriting)
	}
	i.Engine, i.EngineReason = EngineRingbuf, "a stream has one reader, which passes its records on"
	i.KeySize, i.ValueSize, i.MapValueSize, i.Consistency, i.Schema = 0, 0, 0, "", nil
	if err := e.learnType(); err != nil {
		return err
	}
	fd, err := e.openWritable()
	if err != nil {
		return err
	}
	e.fd = fd
	if e.ring, err = ringbuf.Map(fd, i.MaxEntries); err != nil {
		return err
	}
	e.wake, err = newWaker(fd)
	return err
}

// openWritable opens the pin for writing, too: the position is ours to move, and
// the kernel maps nothing through a descriptor that may not write.
func (e *Events) openWritable() (int, error) {
	pin := e.source.info.Pin
	fd, errno := objGet(pin, 0)
	switch errno {
	case 0:
	case unix.EACCES:
		return -1, denied(pin, pin, fmt.Errorf("%w: a ringbuf's reader moves its position, and must be let write", ErrPermission),
			fmt.Sprintf("chmod o+rw %s (or chgrp and chmod g+rw)", pin))
	default:
		return -1, explainOpen(pin, errno)
	}
	raw, errno := objInfo(fd)
	if errno == 0 && raw.ID != e.source.info.MapID {
		errno = unix.ESTALE
	}
	if errno != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("the pin changed while it was opened: %w", errno)
	}
	return fd, nil
}

// Info is a copy of what is known about the ringbuf. MaxEntries is its size in
// bytes; there are no keys, and Schema's value is the type of a record.
func (e *Events) Info() Info { return e.source.Info() }

// SetActive switches between emptying the ringbuf and leaving everything in it.
// While nobody empties it, what does not fit is lost to its programs: they are
// told by bpf_ringbuf_reserve, and nobody else is.
func (e *Events) SetActive(active bool) {
	if e.active.Swap(active) != active {
		e.wake.poke()
	}
}

// SetSpin allows waiting awake for what is expected soon, up to a share of one
// CPU. Without it, and without Poll, every wait is asleep.
func (e *Events) SetSpin(share float64) { e.lookout.allow(share) }

// Close gives everything back, once Run has returned.
func (e *Events) Close() error {
	err := errors.Join(e.wake.close(), e.source.Close())
	e.stats.mu.Lock() // Stats may be looking at it
	defer e.stats.mu.Unlock()
	if e.ring != nil {
		err = errors.Join(err, e.ring.Close())
		e.ring = nil
	}
	if e.fd >= 0 {
		err = errors.Join(err, unix.Close(e.fd))
		e.fd = -1
	}
	return err
}

// SharedRemedy says how to find out who else reads a map.
func SharedRemedy(id uint32) string {
	return fmt.Sprintf("stop the other reader; as root, grep -l 'map_id:[[:space:]]*%d$' /proc/[0-9]*/fdinfo/* names who has the map open, this process (%d) among them", id, os.Getpid())
}
