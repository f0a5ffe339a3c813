// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"
)

func TestLayoutFit(t *testing.T) {
	for _, l := range []layout{{1, 1}, {4, 32}, {37, 5}, {4, 4096}, {16, 8}} {
		for size := range 9000 {
			n := l.fit(size)
			if n > 0 && l.valuesOffset(n)+n*l.value > size {
				t.Fatalf("%+v: %d rows do not fit %d", l, n, size)
			}
			if l.valuesOffset(n+1)+(n+1)*l.value <= size {
				t.Fatalf("%+v: more than %d rows fit %d", l, n, size)
			}
		}
		for n := range 100 {
			if b := l.bytes(n); b%frameAlign != 0 || l.fit(b) < n {
				t.Fatalf("%+v: bytes(%d) = %d fits %d", l, n, b, l.fit(b))
			}
		}
	}
}

func TestLayoutSettle(t *testing.T) {
	l := layout{key: 4, value: 12}
	for room := 1; room <= 200; room++ {
		for n := 0; n <= room; n++ {
			buf := bytes.Repeat([]byte{0xEE}, l.bytes(room))
			for i := range n {
				copy(buf[i*4:], bytes.Repeat([]byte{byte(i%200) + 1}, 4))
				copy(buf[l.valuesOffset(room)+i*12:], bytes.Repeat([]byte{byte(i%200) + 2}, 12))
			}
			keys, values, length := l.settle(buf, room, n)
			if length > l.bytes(n)+l.bytes(n)/16+frameAlign {
				t.Fatalf("%d of %d rows take %d bytes, tight %d", n, room, length, l.bytes(n))
			}
			frame := buf[:min(alignUp(length), len(buf))]
			for i := range n {
				k, v := frame[keys.Offset+i*keys.Stride:][:4], frame[values.Offset+i*values.Stride:][:12]
				if k[3] != byte(i%200)+1 || v[0] != byte(i%200)+2 || v[11] != v[0] {
					t.Fatalf("%d of %d: row %d is %x %x", n, room, i, k, v)
				}
				clear(k)
				clear(v)
			}
			if len(bytes.Trim(frame, "\x00")) != 0 {
				t.Fatalf("%d of %d: stale bytes", n, room)
			}
		}
	}
}

func TestPutIndexes(t *testing.T) {
	for _, first := range []uint32{0, 1, 7, 1 << 20, math.MaxUint32 - 40} {
		for n := range 40 {
			keys := make([]byte, 4*n)
			putIndexes(keys, first)
			for i := range n {
				if got := binary.LittleEndian.Uint32(keys[4*i:]); got != first+uint32(i) {
					t.Fatalf("from %d: key %d of %d is %d", first, i, n, got)
				}
			}
		}
	}
}

func TestPaceSeeksTheBudget(t *testing.T) {
	p := newPace(time.Second) // the call budget is shorter
	for range 100 {
		n := p.rows(1 << 20)
		p.note(n, int64(n)*50)
	}
	if n := p.rows(1 << 20); n < 3900 || n > 4100 {
		t.Errorf("%d rows of 50 ns for %v", n, callBudget)
	}
	p.note(1000, int64(time.Second)) // lost its processor once
	if n := p.rows(1 << 20); n < 3000 {
		t.Errorf("one slow call leaves %d rows", n)
	}
	if n := p.rows(7); n != 7 {
		t.Errorf("%d rows of at most 7", n)
	}
	slow := newPace(10 * time.Microsecond)
	if n := slow.rows(1 << 20); n != 50 {
		t.Errorf("%d rows of %d ns for 10 us", n, startNSPerRow)
	}
}

func TestHistogram(t *testing.T) {
	for _, ns := range []uint64{0, 1, 7, 8, 9, 15, 16, 17, 1000, 123456789, math.MaxInt64} {
		i := histIndex(ns)
		if i >= histBuckets || histUpper(i) < ns || float64(histUpper(i)) > float64(ns)*1.13+1 {
			t.Errorf("%d is in bucket %d up to %d", ns, i, histUpper(i))
		}
		if i > 0 && histUpper(i-1) >= ns {
			t.Errorf("%d fits the bucket before %d", ns, i)
		}
	}
	var h histogram
	if h.quantile(0.99) != 0 {
		t.Error("a quantile of nothing")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	h.add(-time.Second) // clocks do not run backwards; if they did, no index would
	if p := h.quantile(0.5); p < 500*time.Microsecond || p > 570*time.Microsecond {
		t.Errorf("p50 %v", p)
	}
	if p := h.quantile(0.99); p < 980*time.Microsecond || p > time.Millisecond || h.max != time.Millisecond {
		t.Errorf("p99 %v, max %v", p, h.max)
	}
}

func TestHintDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"flows", "flows", 0}, {"flows", "flwos", 2}, {"", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("%q to %q: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
