// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// walkEngine asks for the next key and its value, one row at a time. Slow, and
// the only way for stack traces and for kernels without batch lookups.
//
// The kernel answers "the key after one that is gone" with the first key. A
// walk that is sent back like that would read rows twice and might never end,
// so it is detected as far as it can be, and bounded beyond that.
type walkEngine struct {
	call    *elemCall
	rows    layout
	pace    pace
	lock    bool
	entries int
	slots   uint32 // stack_trace: keys are slot numbers below this, in order

	first, prev, key []byte // one key each
	steps            int
	more             bool // key is still to be read
}

func newWalkEngine(fd int, info *Info, rows layout, pc pace) *walkEngine {
	k := info.KeySize
	mem := make([]byte, 3*k)
	e := &walkEngine{
		call: newElemCall(fd), rows: rows, pace: pc,
		lock: info.SpinLock, entries: info.MaxEntries,
		first: mem[:k:k], prev: mem[k : 2*k : 2*k], key: mem[2*k:],
	}
	if info.Type == ebpf.StackTrace {
		e.slots = 1 << bits.Len32(uint32(info.MaxEntries-1))
	}
	return e
}

// probe asks for the first key.
func (e *walkEngine) probe() error {
	if errno := e.call.nextKey(nil, e.key); errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("BPF_MAP_GET_NEXT_KEY: %w", named(errno))
	}
	return nil
}

func (e *walkEngine) close() error { return nil }

func (e *walkEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	if err := e.begin(); err != nil {
		return err
	}
	limit := e.rows.fit(dst.Largest())
	for !p.ended {
		want := min(e.pace.rows(limit), e.entries)
		buf, err := dst.Claim(ctx, e.rows.bytes(1), e.rows.bytes(want))
		if err != nil {
			return err
		}
		room := min(e.rows.fit(len(buf)), want)
		n, err := e.fill(buf, room, p)
		if err != nil {
			dst.Abort()
			return err
		}
		p.commit(dst, buf, e.rows, room, n, !e.more)
	}
	return nil
}

func (e *walkEngine) begin() error {
	errno := e.call.nextKey(nil, e.key)
	if errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("%w: BPF_MAP_GET_NEXT_KEY: %w", errEngine, named(errno))
	}
	copy(e.first, e.key)
	e.steps, e.more = 0, errno == 0
	return nil
}

// fill reads rows into a claim until it is full or the map has ended.
func (e *walkEngine) fill(buf []byte, room int, p *pass) (int, error) {
	keys, values := e.rows.columns(room)
	// Once for all of them: it costs more than a call.
	p.entering()
	n, start := 0, nowNS()
	for began := start; n < room && e.more; {
		value := buf[values.Offset+n*values.Stride:][:values.Stride]
		switch errno := e.call.lookup(e.key, value, e.lock); errno {
		case 0:
			copy(buf[n*keys.Stride:], e.key)
			n++
		case unix.ENOENT: // deleted since it was found
		default:
			return 0, fmt.Errorf("BPF_MAP_LOOKUP_ELEM: %w", named(errno))
		}
		if err := e.advance(); err != nil {
			return 0, err
		}
		now := nowNS()
		p.called(now - began)
		began = now
	}
	e.pace.note(n, nowNS()-start)
	return n, nil
}

// advance moves to the next key.
func (e *walkEngine) advance() error {
	if e.steps++; e.steps > 2*e.entries+maxStalls {
		return fmt.Errorf("%w: %d steps over at most %d rows", ErrChanged, e.steps, e.entries)
	}
	e.prev, e.key = e.key, e.prev
	switch errno := e.call.nextKey(e.prev, e.key); {
	case errno == unix.ENOENT:
		e.more = false
	case errno != 0:
		return fmt.Errorf("BPF_MAP_GET_NEXT_KEY: %w", named(errno))
	case e.slots != 0:
		e.nextSlot()
	case bytes.Equal(e.key, e.first):
		return fmt.Errorf("%w: sent back to the first key after %d steps", ErrChanged, e.steps)
	}
	return nil
}

// nextSlot repairs a walk over slots that was sent back: it tries the slots
// that follow, one by one, until one is taken.
func (e *walkEngine) nextSlot() {
	prev := binary.LittleEndian.Uint32(e.prev)
	if binary.LittleEndian.Uint32(e.key) > prev {
		return
	}
	binary.LittleEndian.PutUint32(e.key, prev+1)
	e.more = prev+1 < e.slots
}
