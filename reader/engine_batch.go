// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxStalls bounds calls in a row that bring no row.
const maxStalls = 16

// batchEngine lets BPF_MAP_LOOKUP_BATCH write straight into claims.
type batchEngine struct {
	call    *batchCall
	rows    layout
	pace    pace
	entries int
	fixed   bool // an array: exactly entries rows, so the end is known early
}

func newBatchEngine(fd int, info *Info, pc pace) *batchEngine {
	rows := info.rows()
	return &batchEngine{
		call: newBatchCall(fd, rows, info.SpinLock), rows: rows, pace: pc,
		entries: info.MaxEntries, fixed: lookupType(info.Type).array,
	}
}

// probe makes one small call into private memory.
func (e *batchEngine) probe() error {
	e.call.rewind()
	_, errno := e.call.next(make([]byte, e.rows.key), make([]byte, e.rows.value), 1)
	if errno == 0 || errno == unix.ENOENT || errno == unix.ENOSPC || transient(errno) {
		return nil
	}
	return fmt.Errorf("%w: BPF_MAP_LOOKUP_BATCH: %w", errEngine, named(errno))
}

func (e *batchEngine) close() error { return nil }

func (e *batchEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	e.call.rewind()
	limit := e.rows.fit(dst.Largest())
	least := 1 // rows the next claim must hold
	for stalls := 0; !p.ended; {
		want := max(e.pace.rows(limit), least)
		buf, err := dst.Claim(ctx, e.rows.bytes(least), e.rows.bytes(want))
		if err != nil {
			return err
		}
		room := min(e.rows.fit(len(buf)), want)
		n, errno := e.read(buf, room, p)
		if n == 0 && errno != unix.ENOENT {
			dst.Abort()
			if least, err = e.retry(errno, room, limit); err != nil {
				return err
			}
			if stalls++; stalls > maxStalls {
				return fmt.Errorf("%w: %d batches in a row brought no row: %w", errEngine, stalls, named(errno))
			}
			continue
		}
		least, stalls = 1, 0
		last := errno == unix.ENOENT || e.fixed && p.stats.Rows+n >= e.entries
		p.commit(dst, buf, e.rows, room, n, last)
		// A trie restarts from its beginning when the key at the cursor is gone;
		// without a bound, churn could keep a scan going for ever.
		if !last && p.stats.Rows > 2*e.entries+maxStalls {
			return fmt.Errorf("%w: %d rows of at most %d", ErrChanged, p.stats.Rows, e.entries)
		}
	}
	return nil
}

// read makes one call and returns the rows that are valid. ENOENT is the end of
// the map and comes with rows; the transient errors may come with rows, too,
// and are reported only without.
func (e *batchEngine) read(buf []byte, room int, p *pass) (int, unix.Errno) {
	start := p.clock.now()
	n, errno := e.call.next(buf[:room*e.rows.key], buf[e.rows.valuesOffset(room):], room)
	took := p.clock.now() - start
	p.held(took)
	if errno != 0 && errno != unix.ENOENT && !transient(errno) {
		return 0, errno // the count is what we asked for, not what we got
	}
	if n > room {
		return 0, unix.EOVERFLOW
	}
	e.pace.note(n, took)
	return n, errno
}

// retry says how many rows the next claim must hold after a call that brought
// none, or why there is no point in another.
func (e *batchEngine) retry(errno unix.Errno, room, limit int) (int, error) {
	if errno == 0 || transient(errno) {
		return 1, nil
	}
	switch errno {
	case unix.ENOSPC: // one bucket holds more than room: same cursor, more room
		if room >= limit {
			return 0, fmt.Errorf("%w: one hash bucket holds more than the %d rows of the largest frame", errEngine, limit)
		}
		return min(2*room, limit), nil
	case enotsupp, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM, unix.ENOSYS:
		return 0, fmt.Errorf("%w: BPF_MAP_LOOKUP_BATCH: %w", errEngine, named(errno))
	}
	return 0, fmt.Errorf("BPF_MAP_LOOKUP_BATCH: %w", named(errno))
}
