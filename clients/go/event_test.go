// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

type connect struct {
	PID  uint32
	Port uint16
	_    [2]byte
}

func eventInfo(name string) shm.SourceInfo {
	value := structOf("struct connect", 8, field("pid", 0, u32), field("port", 4, u16))
	return shm.SourceInfo{Name: name, MapType: 27, Flags: shm.SourceEvents, Schema: (&schema.Schema{Value: value}).Encode()}
}

// events commits one frame of events.
func (f *feed) events(t testing.TB, events ...[]byte) {
	t.Helper()
	size := 0
	for _, e := range events {
		size += shm.EventBytes(len(e))
	}
	claim, err := f.producer.Claim(t.Context(), size, size)
	if err != nil {
		t.Fatal(err)
	}
	var packer shm.EventPacker
	packer.Reset(claim)
	for _, e := range events {
		if packer.Add(e, len(e), 0, 1) == 0 {
			t.Fatal("no room")
		}
	}
	f.producer.Commit(packer.Content())
}

func TestEvents(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	log := addFeed(t, s.ring, eventInfo("connects"))
	flows := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	typed, err := EventsOf[connect](sub, "connects")
	if err != nil {
		t.Fatal(err)
	}
	one, two := connect{PID: 1, Port: 80}, connect{PID: 2, Port: 443}
	tail := []byte("and more")
	log.events(t, bytesOf(&one), nil, []byte("odd"), append(bytes.Clone(bytesOf(&two)), tail...))
	flows.must(t, 1, 3)
	look := func(b *Batch) {
		if b.Kind != KindEvents || b.Rows != 4 || b.Source.Name != "connects" || !b.Source.Events {
			t.Errorf("%+v", b)
		}
		if string(b.Event(0)) != string(bytesOf(&one)) || len(b.Event(1)) != 0 || string(b.Event(2)) != "odd" || cap(b.Event(2)) != 3 {
			t.Errorf("%q %q %q", b.Event(0), b.Event(1), b.Event(2))
		}
		var got []string
		for e, more := range typed.In(b) {
			got = append(got, fmt.Sprintf("%d:%d%s", e.PID, e.Port, more))
		}
		if fmt.Sprint(got) != "[1:80 2:443and more]" {
			t.Error(got)
		}
	}
	look(next(t, sub, KindEvents))
	for range typed.In(next(t, sub, KindRows)) {
		t.Error("an event in a batch of rows")
	}
	log.events(t, bytesOf(&one), nil, []byte("odd"), append(bytes.Clone(bytesOf(&two)), tail...))
	if valid, err := sub.View(deadline(t), look); !valid || err != nil {
		t.Error(valid, err)
	}
}

// What is wrong with a type, or with the choice of the view, is told at once.
func TestEventsMisfit(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, eventInfo("connects"))
	addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{})
	_, wrongType := EventsOf[struct{ PID, Port uint32 }](sub, "connects")
	_, ofRows := EventsOf[flow](sub, "flows")
	_, rowsOf := RowsOf[flowKey, connect](sub, "connects")
	_, column := ColumnOf[uint32](sub, "connects", "value.pid")
	_, table := TableOf[flowKey, connect](sub, "connects")
	_, raw := RawTableOf(sub, "connects")
	for i, err := range []error{wrongType, ofRows, rowsOf, column, table, raw} {
		if !errors.Is(err, ErrLayout) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := EventsOf[connect](sub, "nothing"); !errors.Is(err, ErrNoSource) {
		t.Error(err)
	}
}

// An event outside its frame is never shown, and ends the reading: in place, too.
func TestEventsOutsideTheirFrame(t *testing.T) {
	for name, read := range map[string]func(*Subscription) error{
		"copies": func(sub *Subscription) (last error) {
			for _, err := range sub.Batches(deadline(t)) {
				last = err
			}
			return last
		},
		"in place": func(sub *Subscription) (err error) {
			for err == nil {
				_, err = sub.View(deadline(t), func(b *Batch) {
					for i := range b.Rows {
						if b.Event(i) == nil {
							t.Error("called with half a frame")
						}
					}
				})
			}
			return err
		},
	} {
		sub, err := OpenFile(filepath.Join("..", "testdata", "events-length-outside.ring"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := read(sub); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		sub.Close()
	}
}

// A file is read to its end, which is no error, and again by whoever opens it.
func TestOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recorded")
	file, err := shm.CreateFile(path, shm.Config{Name: "recorded", DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	flows := addFeed(t, file.Publisher, flowInfo("flows"))
	addFeed(t, file.Publisher, flowInfo("others")).must(t, 1, 2)
	flows.must(t, 3, 5)
	if err := file.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	sub, err := OpenFile(path, Options{Source: "flows"})
	if err != nil {
		t.Fatal(err)
	}
	table, err := TableOf[flowKey, flow](sub, "flows")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left
		for b, err := range sub.Batches(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			table.Apply(b)
		}
	}
	if st := sub.Stats(); st != (Stats{Frames: 3, Rows: 15}) {
		t.Errorf("%+v", st)
	}
	if v, ok := table.Get(flowKey{12}); !ok || v != makeFlow(12) || table.Len() != 5 || !table.Fresh() {
		t.Errorf("%v %v %+v", v, ok, table.Status())
	}
	if _, err := sub.View(context.Background(), func(*Batch) {}); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	for _, err := range sub.Batches(context.Background()) {
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := OpenFile(path+"?", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
