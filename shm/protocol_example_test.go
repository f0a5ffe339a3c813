// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
)

// updateEnv rewrites the example in docs/protocol.md instead of comparing it.
const updateEnv = "RINGSIDE_UPDATE_DOCS"

// exampleRing is the ring of the example: every byte of it is fixed. Two
// sources, a frame of two rows, a claim that came to nothing, a frame without
// rows.
func exampleRing(t *testing.T) memory {
	t.Helper()
	g, err := plan(minDataBytes, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	g.Name, g.Epoch, g.CreatedNS = "demo", 0x1122334455667789, 1_700_000_000_000_000_000
	m := make(memory, g.TotalBytes) // large allocations are page-aligned
	p := newPublisher(m, g)
	flows, err := p.AddSource(SourceInfo{
		Name: "flows", MapID: 7, MapType: 1, KeySize: 4, ValueSize: 8, MapValueSize: 8, MaxEntries: 1024,
		Schema: []byte(`{"version":1,"key":{"kind":"uint","name":"__u32","size":4},"value":{"kind":"uint","name":"__u64","size":8}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	conns, err := p.AddSource(SourceInfo{Name: "conns", MapID: 8, MapType: 5, KeySize: 4, ValueSize: 16, MapValueSize: 4,
		CPUs: 2, Flags: SourcePerCPU, MaxEntries: 64})
	if err != nil {
		t.Fatal(err)
	}
	claim := func(r *Producer, bytes int) []byte {
		b, err := r.Claim(t.Context(), bytes, bytes)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	scan := FlagFirst | FlagLast | FlagKeyframe
	b := claim(flows, 24)
	for i := range 2 { // columns: keys, then values
		binary.LittleEndian.PutUint32(b[i*4:], uint32(0xA1+i))
		binary.LittleEndian.PutUint64(b[8+i*8:], uint64(1000+i))
	}
	flows.Commit(Content{Kind: KindRows, Flags: scan, Rows: 2, Bytes: 24, KeyStride: 4, ValuesOffset: 8, ValueStride: 8, Scan: 1, TimeNS: 5_000_000_000})
	claim(flows, 0)
	claim(conns, 0)
	flows.Abort() // not the newest claim, so its bytes become a pad
	conns.Commit(Content{Kind: KindRows, Flags: scan, Scan: 1, TimeNS: 5_000_100_000})

	for off, fixed := range map[uint64]uint64{
		headerSize + offHeartbeat: 5_000_200_000, headerSize + offRealtime: 1_699_999_995_000_000_000,
		g.CatalogOffset + offSrcCreated: 1_700_000_000_000_000_001, g.CatalogOffset + sourceBytes + offSrcCreated: 1_700_000_000_000_000_002,
	} {
		m.word(off).Store(fixed)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

// The example in the document is exactly this ring, and a reader reads it.
func TestProtocolExample(t *testing.T) {
	const begin, end = "<!-- example: begin -->\n```\n", "```\n<!-- example: end -->\n"
	m := exampleRing(t)
	doc, err := os.ReadFile(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(doc, []byte(begin))
	got, after, closed := bytes.Cut(rest, []byte(end))
	if !found || !closed {
		t.Fatalf("%s has no example", protocolDoc)
	}
	want := dumpRing(m)
	if os.Getenv(updateEnv) == "1" {
		whole := string(before) + begin + want + end + string(after)
		if err := os.WriteFile(protocolDoc, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(got) != want {
		t.Errorf("the example in %s is not what the code writes; set %s=1 to replace it by\n%s", protocolDoc, updateEnv, want)
	}
	r, err := newRing(m)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCursor(r, Position{}, StartOldest, AnySource)
	for _, want := range []Header{{Source: 0, Rows: 2, Seq: 0}, {Source: 1, Rows: 0, Seq: 1}} {
		h, _, _, s := c.Peek()
		if s != Ready || h.Source != want.Source || h.Rows != want.Rows || h.Seq != want.Seq {
			t.Fatalf("status %v (%v), frame %+v, expected %+v", s, c.Err(), h, want)
		}
		c.Advance()
	}
	if _, _, _, s := c.Peek(); s != Empty {
		t.Errorf("status %v at the end", s)
	}
}

// dumpRing prints the lines of a ring that are not all zero, part by part.
func dumpRing(m memory) string {
	g, err := decodeGeometry(m[:headerSize], uint64(len(m)))
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, part := range []struct {
		what     string
		from, to uint64
	}{
		{"header", 0, headerSize},
		{"control", headerSize, g.CatalogOffset},
		{"catalog, record 0", g.CatalogOffset, g.CatalogOffset + sourceBytes},
		{"catalog, record 1", g.CatalogOffset + sourceBytes, g.CatalogOffset + 2*sourceBytes},
		{"schema heap", g.HeapOffset, g.DataOffset},
		{"data, offset 0: a frame of two rows", g.DataOffset, g.DataOffset + 128},
		{"data, offset 128: a pad", g.DataOffset + 128, g.DataOffset + 192},
		{"data, offset 192: a frame without rows", g.DataOffset + 192, g.TotalBytes},
	} {
		fmt.Fprintf(&out, "# %s\n", part.what)
		for at := part.from; at < part.to; at += 16 {
			if line := m[at : at+16]; len(bytes.Trim(line, "\x00")) > 0 {
				fmt.Fprintf(&out, "%05x  % x  % x  %s\n", at, line[:8], line[8:], printed(bytes.Clone(line)))
			}
		}
	}
	return out.String()
}

// printed overwrites what does not print.
func printed(line []byte) string {
	for i, b := range line {
		if b < 0x20 || b > 0x7e {
			line[i] = '.'
		}
	}
	return string(line)
}
