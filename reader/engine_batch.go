// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxStalls bounds calls in a row that bring no row; making room for the
// largest bucket, by doubling, needs no more.
const maxStalls = 32

// batchEngine lets BPF_MAP_LOOKUP_BATCH write straight into claims.
type batchEngine struct {
	call    *batchCall
	rows    layout
	pace    pace
	entries int
	fixed   bool   // an array: exactly entries rows, so the end is known early
	scratch []byte // for a bucket that no frame can hold; most maps need none
}

func newBatchEngine(fd int, info *Info, rows layout, pc pace) *batchEngine {
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
	return fmt.Errorf("BPF_MAP_LOOKUP_BATCH: %w", named(errno))
}

func (e *batchEngine) close() error { return nil }

func (e *batchEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	e.call.rewind()
	p.stats.ScratchBytes = len(e.scratch)
	limit := e.rows.fit(dst.Largest())
	least := 1 // rows the next call must have room for
	for stalls := 0; !p.ended; {
		before := p.stats.Rows
		var err error
		if least > limit {
			least, err = e.spill(ctx, dst, p, least, limit)
		} else {
			least, err = e.step(ctx, dst, p, least, limit)
		}
		switch {
		case err != nil:
			return err
		case p.stats.Rows > before:
			stalls = 0
		case stalls >= maxStalls:
			return fmt.Errorf("%w: %d batches in a row brought no row", errEngine, stalls)
		default:
			stalls++
		}
		// A trie restarts from its beginning when the key at the cursor is gone;
		// without a bound, churn could keep a scan going for ever.
		if !p.ended && p.stats.Rows > 2*e.entries+maxStalls {
			return fmt.Errorf("%w: %d rows of at most %d", ErrChanged, p.stats.Rows, e.entries)
		}
	}
	return nil
}

// step makes one call straight into a claim. It returns how many rows the next
// call must have room for.
func (e *batchEngine) step(ctx context.Context, dst Destination, p *pass, least, limit int) (int, error) {
	want := max(e.pace.rows(limit), least)
	buf, err := dst.Claim(ctx, e.rows.bytes(least), e.rows.bytes(want))
	if err != nil {
		return 0, err
	}
	room := min(e.rows.fit(len(buf)), want)
	n, errno := e.read(buf, room, p)
	if n == 0 && errno != unix.ENOENT {
		dst.Abort()
		return e.retry(errno, room, limit)
	}
	p.commit(dst, buf, e.rows, room, n, e.ends(p, n, errno))
	return 1, nil
}

// ends reports whether n more rows, read with errno, complete the scan.
func (e *batchEngine) ends(p *pass, n int, errno unix.Errno) bool {
	return errno == unix.ENOENT || e.fixed && p.stats.Rows+n >= e.entries
}

// read makes one call and returns the rows that are valid. ENOENT is the end of
// the map and comes with rows; the transient errors may come with rows, too,
// and are reported only without.
func (e *batchEngine) read(buf []byte, room int, p *pass) (int, unix.Errno) {
	p.entering()
	start := nowNS()
	n, errno := e.call.next(buf[:room*e.rows.key], buf[e.rows.valuesOffset(room):], room)
	took := nowNS() - start
	p.called(took)
	if errno != 0 && errno != unix.ENOENT && !transient(errno) {
		return 0, errno // the count is what we asked for, not what we got
	}
	if n > room {
		return 0, unix.EOVERFLOW
	}
	e.pace.note(n, took)
	return n, errno
}

// retry says how many rows the next call must have room for after one that
// brought none, or why there is no point in another.
func (e *batchEngine) retry(errno unix.Errno, room, limit int) (int, error) {
	if errno == 0 || transient(errno) {
		return 1, nil
	}
	switch errno {
	case unix.ENOSPC: // one bucket holds more than room: same cursor, more room
		if room < limit {
			return min(2*room, limit), nil
		}
		return 2 * room, nil
	case enotsupp, unix.EOPNOTSUPP, unix.EINVAL, unix.EPERM, unix.ENOSYS:
		return 0, fmt.Errorf("%w: BPF_MAP_LOOKUP_BATCH: %w", errEngine, named(errno))
	}
	return 0, fmt.Errorf("BPF_MAP_LOOKUP_BATCH: %w", named(errno))
}
