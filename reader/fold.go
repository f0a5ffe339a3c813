// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"encoding/binary"

	"github.com/ringside-bpf/ringside/bpf/scan"
)

// foldEngine adds up the values of all CPUs behind an engine that cannot: the
// lookups of bpf(2) give every CPU's.
type foldEngine struct {
	engine
	dst   foldDestination
	inner pass // of the engine behind; kept here so that no scan allocates it
}

const foldBytes = 256 << 10

// folded puts a fold behind an engine, if the source is to be summed.
func (s *Source) folded(e engine) engine {
	if s.sum == nil {
		return e
	}
	raw := s.rawRows()
	room := max(foldBytes, raw.bytes(1))
	return &foldEngine{engine: e, dst: foldDestination{
		mem: make([]byte, alignUp(room)), cpus: s.cpus, sum: s.sum,
		in: raw, out: interleaved{(raw.key + 7) &^ 7, (raw.key+7)&^7 + 8*len(s.sum)},
	}}
}

func (e *foldEngine) scan(ctx context.Context, dst Destination, p *pass) error {
	d := &e.dst
	d.ctx, d.dst, d.pass, d.err = ctx, dst, p, nil
	defer func() { d.ctx, d.dst, d.pass = nil, nil, nil }()
	e.inner = *p
	if err := e.engine.scan(ctx, d, &e.inner); d.err == nil {
		d.err = err
	}
	p.stats.HoldMax = e.inner.stats.HoldMax
	p.stats.ScratchBytes = e.inner.stats.ScratchBytes + len(d.mem)
	return d.err
}

// foldDestination takes frames of all CPUs' values and passes on their sums.
type foldDestination struct {
	mem  []byte
	cpus int
	sum  []scan.Int
	in   layout
	out  interleaved

	// While a scan runs.
	ctx  context.Context
	dst  Destination
	pass *pass
	err  error // of the destination behind
}

func (d *foldDestination) Largest() int { return len(d.mem) }

func (d *foldDestination) Claim(_ context.Context, _, most int) ([]byte, error) {
	return d.mem[:most], d.err
}

func (d *foldDestination) Abort() {}

func (d *foldDestination) Commit(f Frame) {
	for row := 0; d.err == nil && (row < f.Rows || f.Last && !d.pass.ended); {
		want := min(d.out.fit(d.dst.Largest()), f.Rows-row)
		var buf []byte
		if buf, d.err = d.dst.Claim(d.ctx, d.out.bytes(1), d.out.bytes(want)); d.err != nil {
			return
		}
		n := min(d.out.fit(len(buf)), want)
		for i := range n {
			to := buf[i*d.out.stride:][:d.out.stride]
			clear(to)
			copy(to, d.mem[f.Keys.Offset+(row+i)*f.Keys.Stride:][:d.in.key])
			d.add(to[d.out.key:], d.mem[f.Values.Offset+(row+i)*f.Values.Stride:][:d.in.value])
		}
		row += n
		d.out.commit(d.pass, d.dst, buf, n, f.Last && row == f.Rows)
	}
}

func (d *foldDestination) add(to, values []byte) {
	stride := len(values) / d.cpus
	for i, f := range d.sum {
		var sum uint64
		for cpu := range d.cpus {
			sum += widen(values[cpu*stride+f.Offset:], f)
		}
		binary.LittleEndian.PutUint64(to[8*i:], sum)
	}
}

// widen reads an integer of any size as one of 8 bytes.
func widen(b []byte, f scan.Int) uint64 {
	var v uint64
	switch f.Size {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(binary.LittleEndian.Uint16(b))
	case 4:
		v = uint64(binary.LittleEndian.Uint32(b))
	default:
		return binary.LittleEndian.Uint64(b)
	}
	if unused := 64 - 8*f.Size; f.Signed {
		return uint64(int64(v<<unused) >> unused)
	}
	return v
}
