// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxScratchBytes bounds what a spill may allocate.
const maxScratchBytes = 64 << 20

// spill reads one batch through private memory, for a bucket of more rows than
// the largest frame holds: the kernel gives out buckets only whole. It happens
// with large values, where the extra copy is small beside the rest. It returns
// how many rows the next call must have room for.
func (e *batchEngine) spill(ctx context.Context, dst Destination, p *pass, room, limit int) (int, error) {
	for ; ; room *= 2 {
		if e.rows.bytes(room) > maxScratchBytes {
			return 0, fmt.Errorf("%w: %d rows of one hash bucket need more than %d bytes", errEngine, room, maxScratchBytes)
		}
		if need := e.rows.bytes(room); need > len(e.scratch) {
			e.scratch = make([]byte, need)
			p.stats.ScratchBytes = need
		}
		room = e.rows.fit(len(e.scratch))
		n, errno := e.read(e.scratch, room, p)
		if errno == unix.ENOSPC {
			continue
		}
		if n == 0 && errno != unix.ENOENT {
			return e.retry(errno, room, limit)
		}
		return 1, e.unload(ctx, dst, p, room, n, limit, errno)
	}
}

// unload copies n rows from the scratch, laid out for room, into frames.
func (e *batchEngine) unload(ctx context.Context, dst Destination, p *pass, room, n, limit int, errno unix.Errno) error {
	keys, values := e.rows.columns(room)
	for from := 0; from < n || !p.ended && errno == unix.ENOENT; {
		want := max(1, min(limit, n-from))
		buf, err := dst.Claim(ctx, e.rows.bytes(1), e.rows.bytes(want))
		if err != nil {
			return err
		}
		got := min(e.rows.fit(len(buf)), want, n-from)
		fill(dst, buf, e.scratch[from*keys.Stride:][:got*keys.Stride])
		fill(dst, buf[e.rows.valuesOffset(got):], e.scratch[values.Offset+from*values.Stride:][:got*values.Stride])
		last := from+got == n && e.ends(p, got, errno)
		p.commit(dst, buf, e.rows, got, got, last)
		from += got
	}
	return nil
}
