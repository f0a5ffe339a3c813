// SPDX-License-Identifier: Apache-2.0

package shm

import "testing"

const benchRows, rowBytes = 2048, 36

func benchContent(rows int) Content {
	return Content{Kind: KindRows, Flags: FlagFirst | FlagLast, Rows: uint32(rows), Bytes: rows * rowBytes,
		KeyStride: 4, ValuesOffset: uint32(rows * 4), ValueStride: 32}
}

func benchRing(b testing.TB) (*Publisher, *Producer) {
	p := newTestRing(b, 4<<20)
	r, err := p.AddSource(SourceInfo{Name: "s", KeySize: 4, ValueSize: 32})
	if err != nil {
		b.Fatal(err)
	}
	return p, r
}

// BenchmarkPublish is what the ring adds to a batch that is filled in place:
// claim and commit, without the filling.
func BenchmarkPublish(b *testing.B) {
	_, r := benchRing(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Claim(b.Context(), benchRows*rowBytes, benchRows*rowBytes); err != nil {
			b.Fatal(err)
		}
		r.Commit(benchContent(benchRows))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

// BenchmarkPeek is what the ring adds to reading in place.
func BenchmarkPeek(b *testing.B) {
	p, r := benchRing(b)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Claim(b.Context(), rowBytes, rowBytes); err != nil {
			b.Fatal(err)
		}
		r.Commit(benchContent(1))
		if _, _, _, s := c.Peek(); s != Ready || !c.Valid() {
			b.Fatal(s, c.Err())
		}
		c.Advance()
	}
}

// BenchmarkNext copies frames of 72 KiB, as an iterator does.
func BenchmarkNext(b *testing.B) {
	p, r := benchRing(b)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	buf := make([]byte, p.Geometry().LargestFrame)
	b.SetBytes(benchRows * rowBytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Claim(b.Context(), benchRows*rowBytes, benchRows*rowBytes); err != nil {
			b.Fatal(err)
		}
		r.Commit(benchContent(benchRows))
		if _, _, _, s := c.Next(buf); s != Ready {
			b.Fatal(s, c.Err())
		}
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	p, r := benchRing(t)
	c := NewCursor(p.Ring(), Position{}, StartOldest, AnySource)
	_, page, _ := attach(t, p, StartHead)
	c.Report(page)
	buf := make([]byte, p.Geometry().LargestFrame)
	if n := testing.AllocsPerRun(2000, func() {
		page.Sleep()
		if _, err := r.Claim(t.Context(), benchRows*rowBytes, benchRows*rowBytes); err != nil {
			t.Fatal(err)
		}
		r.Commit(benchContent(benchRows))
		if _, _, _, s := c.Next(buf); s != Ready {
			t.Fatal(s, c.Err())
		}
	}); n != 0 {
		t.Errorf("publishing and reading a frame allocates %v times", n)
	}
}
