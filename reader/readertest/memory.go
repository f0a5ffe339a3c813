// SPDX-License-Identifier: Apache-2.0

package readertest

import (
	"bytes"
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

// poison fills claims before they are lent, when Keep is set: a byte the reader
// forgot is then neither zero nor a plausible row.
const poison = 0xA5

// Row is one key with its value, copied.
type Row struct{ Key, Value []byte }

// Memory is a reader.Destination. Set the fields before the first scan.
type Memory struct {
	Keep      bool // check every frame and keep a copy of all rows
	LendLeast bool // lend no more than asked for as a minimum
	// OnClaim runs before each claim is lent; its error is the claim's.
	OnClaim func() error

	KeySize, ValueSize int // with Keep: how much of each stride is data

	Frames  []reader.Frame // with Keep
	Rows    []Row          // with Keep
	Aborted int

	tb   testing.TB
	mem  []byte
	lent []byte
}

// New lends claims of at most largest bytes.
func New(tb testing.TB, largest int) *Memory {
	tb.Helper()
	// Pages from the kernel are aligned far beyond what a claim needs.
	mem, err := unix.Mmap(-1, 0, largest, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		tb.Fatalf("map %d bytes: %v", largest, err)
	}
	tb.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			tb.Error(err)
		}
	})
	return &Memory{tb: tb, mem: mem}
}

// For lends claims to a source and keeps its rows.
func For(tb testing.TB, s *reader.Source, largest int) *Memory {
	tb.Helper()
	m := New(tb, largest)
	info := s.Info()
	m.Keep, m.KeySize, m.ValueSize = true, info.KeySize, info.ValueSize
	return m
}

// Reset forgets what was kept.
func (m *Memory) Reset() { m.Frames, m.Rows, m.Aborted = nil, nil, 0 }

// Largest implements reader.Destination.
func (m *Memory) Largest() int { return len(m.mem) }

// Claim implements reader.Destination.
func (m *Memory) Claim(ctx context.Context, least, most int) ([]byte, error) {
	switch {
	case m.lent != nil:
		m.tb.Error("a second claim while one is open")
	case least <= 0 || least > most || most > len(m.mem):
		m.tb.Errorf("claim of %d to %d bytes of at most %d", least, most, len(m.mem))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.OnClaim != nil {
		if err := m.OnClaim(); err != nil {
			return nil, err
		}
	}
	if m.LendLeast {
		most = least
	}
	m.lent = m.mem[:most:most]
	if m.Keep {
		for i := range m.lent {
			m.lent[i] = poison
		}
	}
	return m.lent, nil
}

// Abort implements reader.Destination.
func (m *Memory) Abort() {
	if m.lent == nil {
		m.tb.Error("abort without a claim")
	}
	m.lent = nil
	m.Aborted++
}

// Commit implements reader.Destination.
func (m *Memory) Commit(f reader.Frame) {
	if m.lent == nil {
		m.tb.Error("commit without a claim")
		return
	}
	if m.Keep {
		m.keep(f)
	}
	m.lent = nil
}

func (m *Memory) keep(f reader.Frame) {
	m.Frames = append(m.Frames, f)
	if f.Length > len(m.lent) || f.Rows < 0 {
		m.tb.Errorf("%d rows in %d bytes of %d", f.Rows, f.Length, len(m.lent))
		return
	}
	rest := bytes.Clone(m.lent[:min((f.Length+63)&^63, len(m.lent))])
	for i := range f.Rows {
		row := Row{m.take(rest, f.Keys, i, m.KeySize), m.take(rest, f.Values, i, m.ValueSize)}
		m.Rows = append(m.Rows, row)
	}
	// What no row covers must be zero; the padding of a value may be anything
	// the kernel keeps there, which is zero as well.
	if i := bytes.IndexFunc(rest, func(r rune) bool { return r != 0 }); i >= 0 {
		m.tb.Errorf("byte %d of a frame of %d is stale (%d rows, values at %d)", i, f.Length, f.Rows, f.Values.Offset)
	}
}

// take copies one cell out and clears it.
func (m *Memory) take(frame []byte, c reader.Column, i, size int) []byte {
	at := c.Offset + i*c.Stride
	if at < 0 || c.Stride < size || at+size > len(frame) {
		m.tb.Errorf("row %d at %d+%d of %d, stride %d", i, at, size, len(frame), c.Stride)
		return nil
	}
	cell := bytes.Clone(frame[at : at+size])
	clear(frame[at : at+size])
	return cell
}

// Map returns the kept rows by key, and fails on a key that came twice.
func (m *Memory) Map() map[string]string {
	m.tb.Helper()
	out := make(map[string]string, len(m.Rows))
	for _, r := range m.Rows {
		if _, twice := out[string(r.Key)]; twice {
			m.tb.Errorf("key %x twice in one scan", r.Key)
		}
		out[string(r.Key)] = string(r.Value)
	}
	return out
}

// CheckScan fails unless the kept frames are exactly one completed scan.
func (m *Memory) CheckScan(stats reader.ScanStats) {
	m.tb.Helper()
	rows := 0
	for i, f := range m.Frames {
		rows += f.Rows
		if f.First != (i == 0) || f.Last != (i == len(m.Frames)-1) || f.Scan != stats.Scan || f.TimeNS <= 0 {
			m.tb.Errorf("frame %d of %d: %+v", i, len(m.Frames), f)
		}
	}
	if rows != stats.Rows || len(m.Frames) != stats.Frames || stats.Frames == 0 {
		m.tb.Errorf("stats %+v, seen %d rows in %d frames", stats, rows, len(m.Frames))
	}
}
