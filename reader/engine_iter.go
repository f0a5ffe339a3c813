// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"fmt"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// iterEngine reads from a descriptor of an iterator program straight into
// claims. No read stays longer in the kernel than it takes to fill its buffer.
type iterEngine struct {
	iterator *scan.Iterator
	rows     interleaved
	entries  int
}

func openIter(s *Source) (engine, string, error) {
	t, err := s.target()
	if err != nil {
		return nil, "", err
	}
	it, err := scan.OpenIterator(t)
	if err != nil {
		return nil, "", err
	}
	e := &iterEngine{iterator: it, rows: interleavedRows(&t), entries: t.MaxEntries}
	if err := it.Begin(); err != nil {
		e.close()
		return nil, "", err
	}
	it.End()
	return e, "an iterator program gives the rows, some at a time", nil
}

func (e *iterEngine) close() error { return e.iterator.Close() }

func (e *iterEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	if err := e.iterator.Begin(); err != nil {
		return fmt.Errorf("%w: %w", errEngine, err)
	}
	defer e.iterator.End()
	room := e.rows.fit(min(dst.Largest(), scan.MaxRead))
	for !p.ended {
		buf, err := dst.Claim(ctx, e.rows.bytes(1), e.rows.bytes(room))
		if err != nil {
			return err
		}
		p.entering()
		start := nowNS()
		n, err := e.iterator.Read(buf)
		p.held(nowNS() - start)
		if err != nil {
			dst.Abort()
			return fmt.Errorf("%w: %w", errEngine, err)
		}
		e.rows.commit(p, dst, buf, n, n == 0)
		// A walk that is sent from bucket to bucket could go on for long.
		if p.stats.Rows > 2*e.entries+maxStalls {
			return fmt.Errorf("%w: %d rows of at most %d", ErrChanged, p.stats.Rows, e.entries)
		}
	}
	p.stats.Discarded += e.iterator.Discarded()
	return nil
}
