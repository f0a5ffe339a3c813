// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// What a Submitter says that it did is in the ringbuf.
func TestSubmitter(t *testing.T) {
	m := NewMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 8192})
	s := NewSubmitter(t, m)
	release := s.Hold()
	sub := Submission{Submitter: 3, Count: 1000, Least: 24, Most: 100, Step: 7, DiscardEvery: 5}
	if err := s.Submit(&sub); err != nil || sub.Seq == 0 || sub.Failed != 1000-sub.Seq || sub.Discarded < sub.Seq/5 {
		t.Fatalf("%+v, %v", sub, err)
	}
	release(false)
	r, err := ringbuf.NewReader(m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range sub.Seq + 1 {
		record, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		e := Event{Seq: HeldSeq}
		if i > 0 {
			e = ParseEvent(t, record.RawSample)
		}
		if e.Seq != i-1 {
			t.Fatalf("record %d is %+v", i, e)
		}
	}
}
