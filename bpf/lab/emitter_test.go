// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/bpf/lab"
)

func TestEmitterKeepsItsSchedule(t *testing.T) {
	bpftest.RequireRoot(t)
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	e, err := lab.OpenEmitter(m)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const records, period = 20, 100 * time.Microsecond
	if err := e.Emit(records, period); err != nil {
		t.Fatal(err)
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var last lab.Record
	for i := range records {
		raw, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := lab.ParseRecord(raw.RawSample)
		if !ok || got.SentNS < got.DueNS || i > 0 && got.DueNS != last.DueNS+uint64(period) {
			t.Errorf("%+v comes after %+v", got, last)
		}
		last = got
	}
	if err := e.Emit(4096, time.Nanosecond); !errors.Is(err, lab.ErrNoRoom) {
		t.Errorf("nobody reads, and it says %v", err)
	}
	if sent, err := e.Burst(4096); sent != 0 || err != nil {
		t.Errorf("%d records found room where there is none, %v", sent, err)
	}
	if _, ok := lab.ParseRecord(make([]byte, lab.RecordBytes-1)); ok {
		t.Error("half a record was taken for one")
	}
}

func TestEmitterBursts(t *testing.T) {
	bpftest.RequireRoot(t)
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	e, err := lab.OpenEmitter(m)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const room = (4096 - 1) / (8 + lab.RecordBytes)
	for _, c := range []struct{ records, sent int }{{0, 0}, {100, 100}, {100, room - 100}} {
		if sent, err := e.Burst(c.records); sent != c.sent || err != nil {
			t.Errorf("%d of %d records sent, expected %d; %v", sent, c.records, c.sent, err)
		}
	}
}
