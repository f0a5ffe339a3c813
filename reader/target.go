// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// target describes the source's map to a program that shall read it, or says
// why none may.
func (s *Source) target() (scan.Target, error) {
	i := &s.info
	t := scan.Target{
		FD: s.fd, Type: i.Type, Flags: i.Flags,
		KeySize: i.KeySize, ValueSize: i.MapValueSize, MaxEntries: i.MaxEntries,
	}
	possible, err := ebpf.PossibleCPU()
	if err != nil {
		return t, err
	}
	t.Possible = possible
	if lookupType(i.Type).perCPU {
		t.CPUs, t.Sum = s.cpus, s.sum
	}
	switch {
	case s.options.Consistency == Locked && !t.Array():
		return t, errors.New("it takes no lock, and the source asks for locked scans")
	case s.guarded != "":
		return t, errors.New(s.guarded)
	case i.SpinLock:
		return t, errors.New("the values have a lock, which a program may not hold for so long")
	}
	return t, nil
}

// rawRows is how the map's rows are laid out by the lookups of bpf(2): packed,
// with every CPU's value.
func (s *Source) rawRows() layout {
	if s.sum == nil {
		return s.info.rows()
	}
	return layout{key: s.info.KeySize, value: (s.info.MapValueSize + 7) &^ 7 * s.cpus}
}

// interleaved is rows as our programs write them: each key followed by its
// values, both on 8 bytes.
type interleaved struct{ key, stride int }

func interleavedRows(t *scan.Target) interleaved {
	return interleaved{t.KeyStride(), t.KeyStride() + t.ValueStride()}
}

// fit is the most rows that a claim of size bytes holds.
func (l interleaved) fit(size int) int { return size / l.stride }

// bytes is what a frame of n rows takes.
func (l interleaved) bytes(n int) int { return alignUp(max(n, 1) * l.stride) }

// commit publishes n rows that stand at the beginning of a claim.
func (l interleaved) commit(p *pass, dst Destination, buf []byte, n int, last bool) {
	length := n * l.stride
	clear(buf[length:min(alignUp(length), len(buf))])
	p.publish(dst, n, Column{0, l.stride}, Column{l.key, l.stride}, length, last)
}

// unload copies rows into as many frames as they need. If they are the last, it
// ends the scan.
func (l interleaved) unload(ctx context.Context, dst Destination, p *pass, pc *pace, rows []byte, last bool) error {
	limit := l.fit(dst.Largest())
	if t, ok := dst.(Taker); ok {
		return l.lend(ctx, t, p, limit, rows, last)
	}
	for len(rows) > 0 || last && !p.ended {
		want := min(pc.rows(limit), len(rows)/l.stride)
		buf, err := dst.Claim(ctx, l.bytes(1), l.bytes(want))
		if err != nil {
			return err
		}
		n := min(l.fit(len(buf)), want)
		start := nowNS()
		fill(dst, buf, rows[:n*l.stride])
		pc.note(n, nowNS()-start)
		rows = rows[n*l.stride:]
		l.commit(p, dst, buf, n, last && len(rows) == 0)
	}
	return nil
}

// lend does what unload does without the copy.
func (l interleaved) lend(ctx context.Context, dst Taker, p *pass, limit int, rows []byte, last bool) error {
	for len(rows) > 0 || last && !p.ended {
		length := min(limit*l.stride, len(rows))
		if err := dst.Take(ctx, rows[:length]); err != nil {
			return err
		}
		rows = rows[length:]
		p.publish(dst, length/l.stride, Column{0, l.stride}, Column{l.key, l.stride}, length, last && len(rows) == 0)
	}
	return nil
}

// errNotNow marks reasons that may be gone later: it is then tried again.
var errNotNow = errors.New("not now")

func notNowf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errNotNow}, args...)...)
}
