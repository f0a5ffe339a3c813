// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// Contenders in C and C++ take part where there are compilers, so only those in
// Go are counted on.
func TestFanout(t *testing.T) {
	bpftest.RequireRoot(t)
	b, err := newBench("fanout", tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.fanout(t.Context(), fanPlan{consumers: []int{1, figureConsumers}, sizes: []int{2 * tiny.entries, 4 * tiny.entries}, scans: 2, every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	if err := r.print(t.Output()); err != nil {
		t.Error(err)
	}
	d := asJSON(t, r)
	mustHave(t, d.Rows, []string{"path", "contender"}, []string{"consumers", "cpu_ns_per_row", "publisher_cpu_ns_per_row", "lost_percent"})
	found := map[string]int{}
	for _, row := range d.Rows {
		who := row["path"].(string) + " " + row["contender"].(string)
		found[who]++
		if row["path"] != pathEvents && row["path"] != pathSustained && row["cpu_ns_per_row"].(float64) <= row["publisher_cpu_ns_per_row"].(float64) {
			t.Errorf("consumers cost nothing: %v", row)
		}
	}
	for _, who := range []string{"whole raw-batch", "whole ringside-go", "whole socket-go", "delivery ringside-go", "delivery socket-go", "delivery shmipc"} {
		if found[who] != 2 {
			t.Errorf("%s is there %d times", who, found[who])
		}
	}
	if found["sizes ringside-c"]+found["sizes ringside-go"] != 2 || found["sizes shmipc"] != 0 {
		t.Errorf("by size: %v", found)
	}
	for _, path := range []string{pathEvents, pathSustained} {
		if found[path+" "+byDirect] != 1 || found[path+" "+byRingGo] != 1 {
			t.Errorf("no events: %v", found)
		}
	}
	if len(d.Figures) < 5 {
		t.Errorf("%d figures", len(d.Figures))
	}
}

func TestHeadersOnSockets(t *testing.T) {
	want := reader.Frame{Rows: 1, Length: 2, Keys: reader.Column{Offset: 3, Stride: 4}, Values: reader.Column{Offset: 5, Stride: 6}, Scan: 7, Last: true}
	var b [headerBytes]byte
	putHeader(b[:], want)
	if got := getHeader(b[:]); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRowsInMemoryAreThoseOfAMap(t *testing.T) {
	const rows = 10
	m := layOut(rows, 4)
	sum, n := uint64(0), 0
	for _, f := range m.frames {
		sum += sumFrame(m.scratch, f)
		n += f.Rows
	}
	if first, last := m.frames[0], m.frames[len(m.frames)-1]; n != rows || !first.First || first.Last || !last.Last || last.Rows != 2 {
		t.Errorf("%d rows in %+v", n, m.frames)
	}
	if sum != 2*(6+6+1) { // each has its number in the frame as key and as first word
		t.Errorf("the sum is %d", sum)
	}
}
