// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// TestEventsOfASharedRingbuf: another reader takes a record while a frame is
// filled. The frame is given up, what the other took is told of, and the rest
// arrives once.
func TestEventsOfASharedRingbuf(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	other, err := ringbuf.NewReader(m)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	submit(t, s, &bpftest.Submission{Count: 10, Least: 24}) // before anybody looks, so that one frame has all
	taken := 0
	x := startTap(t, pin, reader.EventOptions{}, func(d *readertest.Events) {
		d.OnAdd = func() {
			if taken++; taken != 3 {
				return
			}
			if r, err := other.Read(); err != nil || len(r.RawSample) != 24 {
				t.Errorf("the other reader: %v", err)
			}
		}
	})
	x.expect(t, 1, 9) // the other has the first
	st := x.Stats()
	if !errors.Is(st.LastError, reader.ErrShared) || !st.Shared || st.ForeignMoves != 1 || st.ForeignBytes != 32 || x.dst.Aborts != 1 {
		t.Errorf("%+v, %d frames given up", st, x.dst.Aborts)
	}
	if text := fmt.Sprint(st.LastError); !strings.Contains(text, fmt.Sprintf("map_id:[[:space:]]*%d$", st.Info.MapID)) {
		t.Errorf("no way to find the other in %q", text)
	}
}

// TestEventTypes: from an object file, from a program, and what is wrong with
// either.
func TestEventTypes(t *testing.T) {
	const object = "../bpf/bpftest/submit_bpfel.o"
	m, pin := newRingbuf(t, 1<<12)
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		t.Fatal(err)
	}
	spec.Maps["target"].MaxEntries = m.MaxEntries()
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		bpftest.Skip(t, "needs to load a SYSCALL program with bpf_loop: %v", err)
	}
	defer coll.Close()
	program := pin + "_submit"
	if err := coll.Programs["submit"].Pin(program); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ typ, btf, problem string }{
		{"struct event", object, ""},
		{"struct submission", "prog:" + program, ""}, // of which its loader has left only what functions take
		{"struct evnt", object, "there is no struct evnt"},
		{"union event", object, "did you mean struct event?"},
		{"event", object, "did you mean struct event?"},
		{"struct event", "prog:" + pin, pin},
		{"struct event", "/nowhere/x.o", "no such file"},
	} {
		e, err := reader.OpenEvents(pin, reader.EventOptions{Type: c.typ, BTF: c.btf})
		if c.problem != "" {
			if !errors.Is(err, reader.ErrType) || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s of %s: %v", c.typ, c.btf, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s of %s: %v", c.typ, c.btf, err)
			continue
		}
		i := e.Info()
		if v := i.Schema.Value; v.Name != c.typ || c.typ == "struct event" && v.Size != bpftest.EventBytes || i.SchemaReason != "" || i.ValueSize != 0 {
			t.Errorf("%s of %s: %+v", c.typ, c.btf, i)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestEventsPolled: without any wake-up, and it ends and rests as ever.
func TestEventsPolled(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{Poll: true, Every: time.Hour}, nil)
	sub := bpftest.Submission{Count: 3, Least: 24, Wakeup: bpftest.NoWakeup}
	for n := range uint64(100) {
		submit(t, s, &sub)
		x.expect(t, 3*n, 3)
	}
	x.SetActive(false)
	x.SetActive(true)
	submit(t, s, &sub)
	x.expect(t, 300, 3)
	if st := x.Stats(); st.Wakes != 0 || !st.Poll {
		t.Errorf("%+v", st)
	}
}
