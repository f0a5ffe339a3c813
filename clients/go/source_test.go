// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"strings"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func TestTwoSourcesOnOneRing(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	a, b := addFeed(t, s.ring, flowInfo("a")), addFeed(t, s.ring, flowInfo("b"))
	all := s.attach(t, Options{Start: StartOldest})
	onlyB := s.attach(t, Options{Start: StartOldest, Source: "b"})
	rowsA, rowsB := mustRows[flowKey, flow](t, all, "a"), mustRows[flowKey, flow](t, all, "b")
	for i := range 5 {
		a.must(t, 1, 10+i)
		b.must(t, 1, 20+i)
	}
	var gotA, gotB tally
	for range 10 {
		batch := next(t, all, KindRows)
		gotA.add(rowsA, batch)
		gotB.add(rowsB, batch)
	}
	if gotA.rows != a.rows || gotB.rows != b.rows || gotA.err != nil || gotB.err != nil {
		t.Errorf("%+v of %d, %+v of %d", gotA, a.rows, gotB, b.rows)
	}
	for i := range 5 {
		if batch := next(t, onlyB, KindRows); batch.Source.Name != "b" || batch.Rows != 20+i {
			t.Errorf("%d rows of %q", batch.Rows, batch.Source.Name)
		}
	}
	a.must(t, 1, 1) // skipped, and no lag then
	b.must(t, 1, 1)
	next(t, onlyB, KindRows)
	a.must(t, 1, 1)
	if st := onlyB.Stats(); st != (Stats{Frames: 6, Rows: 111, LagFrames: 1, LagRows: 1}) {
		t.Errorf("%+v", st)
	}
	// A view of one subscription shows nothing of another's batch.
	b.must(t, 1, 1)
	foreign := next(t, onlyB, KindRows)
	for range rowsB.In(foreign) {
		t.Error("row of another subscription")
	}
}

func TestSourceThatComesLater(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("a"))
	sub := s.attach(t, Options{Start: StartOldest})
	if _, err := RowsOf[flowKey, flow](sub, "later"); !errors.Is(err, ErrNoSource) || !strings.Contains(err.Error(), `["a"]`) {
		t.Error(err)
	}
	addFeed(t, s.ring, flowInfo("later")).must(t, 1, 3)
	b := next(t, sub, KindRows)
	rows := mustRows[flowKey, flow](t, sub, b.Source.Name)
	var got tally
	if got.add(rows, b); got.rows != 3 {
		t.Errorf("%+v", got)
	}
}

// The owner of a map restarts and pins another one under the same path: a new
// source of the same name.
func TestReplacedSourceIsFollowed(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	old := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest, Source: "flows"})
	rows := mustRows[flowKey, flow](t, sub, "flows")
	bytes, err := ColumnOf[uint64](sub, "flows", "value.bytes")
	if err != nil {
		t.Fatal(err)
	}
	old.must(t, 1, 4)
	again := addFeed(t, s.ring, flowInfo("flows"))
	old.producer.Supersede(again.producer)
	again.must(t, 1, 5)
	for _, want := range []int{4, 5} {
		var got tally
		b := next(t, sub, KindRows)
		if got.add(rows, b); got.rows != uint64(want) || got.err != nil || bytes.In(b).Len() != want {
			t.Errorf("%+v, expected %d rows", got, want)
		}
	}

	// The layout changes: bytes and packets change places, which no size shows.
	swapped := flowSchema()
	swapped.Value = structOf("struct flow", 32, field("row", 0, u64), field("bytes", 8, u64), field("packets", 16, u64), field("errors", 24, u64))
	info := flowInfo("flows")
	info.Schema = swapped.Encode()
	other := addFeed(t, s.ring, info)
	again.producer.Supersede(other.producer)
	other.must(t, 2, 6)
	expectMisfit(t, sub, "flow.Packets uint64 (offset 8)", "value.packets (__u64) (offset 16)")
	for i := range uint64(2) {
		b := next(t, sub, KindRows)
		for range rows.In(b) {
			t.Error("row of a layout that does not fit")
		}
		if v := bytes.In(b); v.Len() != 6 || v.At(0) != makeFlow(6*i).Packets { // what the fixture puts at offset 8
			t.Errorf("column of %d, %#x", v.Len(), v.At(0))
		}
	}
	if got := sub.Sources(); len(got) != 1 || got[0].Number != 2 {
		t.Errorf("sources %+v", got)
	}
	// Back again, and with other sizes: each is told once.
	addFeed(t, s.ring, flowInfo("flows")).must(t, 1, 7)
	var got tally
	if got.add(rows, next(t, sub, KindRows)); got.rows != 7 {
		t.Errorf("%+v", got)
	}
	addFeed(t, s.ring, shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8}).raw(t, 4, 8, make([]byte, 12))
	expectMisfit(t, sub, "Go has 32 bytes, a value of the map has 8")
	expectMisfit(t, sub, `path "value.bytes"`, "no type information")
	if b := next(t, sub, KindRows); bytes.In(b).Len() != 0 {
		t.Error("column of a source that has none")
	}
}

// expectMisfit takes one LayoutError from the stream.
func expectMisfit(t *testing.T, sub *Subscription, want ...string) {
	t.Helper()
	for b, err := range sub.Batches(deadline(t)) {
		var layout *LayoutError
		if b != nil || !errors.As(err, &layout) || !errors.Is(err, ErrLayout) {
			t.Fatalf("got %+v, %v", b, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v\nlacks %q", err, w)
			}
		}
		return
	}
}

func TestLayoutErrorComesToViewsToo(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	old := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	mustRows[flowKey, flow](t, sub, "flows")
	other := addFeed(t, s.ring, shm.SourceInfo{Name: "flows", KeySize: 8, ValueSize: 8})
	old.producer.Supersede(other.producer)
	other.raw(t, 8, 8, make([]byte, 16))
	if valid, err := sub.View(deadline(t), func(*Batch) { t.Error("called") }); valid || !errors.Is(err, ErrLayout) {
		t.Error(valid, err)
	}
	rows := 0
	if valid, err := sub.View(deadline(t), func(b *Batch) { rows = b.Rows }); !valid || err != nil || rows != 1 {
		t.Error(valid, err, rows)
	}
}

// After a restart the sources are other ones, and the typed views still work.
func TestLayoutIsCheckedAgainAfterRestart(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("other"))
	addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	rows := mustRows[flowKey, flow](t, sub, "flows")
	for _, fits := range []bool{true, false} {
		old := s.ring
		s.replace(t, 64<<10)
		info := flowInfo("flows")
		if !fits {
			info.KeySize, info.Schema = 8, nil
		}
		f := addFeed(t, s.ring, info)
		s.finish(t, old, shm.StateSuperseded)
		if !fits {
			f.raw(t, 8, 32, make([]byte, 40))
			expectMisfit(t, sub, "Go has 4 bytes, a key of the map has 8")
		} else {
			f.must(t, 1, 9)
		}
		next(t, sub, KindRestart)
		var got tally
		if got.add(rows, next(t, sub, KindRows)); fits != (got.rows == 9) {
			t.Errorf("fits %v: %+v", fits, got)
		}
	}
}

func TestSchemasThatDescribeOtherRowsAreNotBelieved(t *testing.T) {
	good := flowSchema()
	for name, text := range map[string][]byte{
		"none":       nil,
		"no JSON":    []byte("{"),
		"other size": (&schema.Schema{Key: u64, Value: u64}).Encode(),
		"good":       good.Encode(),
	} {
		src := newSource(nil, shm.SourceInfo{KeySize: 4, ValueSize: 32, MapValueSize: 32, Schema: text})
		key, _ := src.side(sideKey)
		value, size := src.side(sideValue)
		if known := name == "good"; (key != nil) != known || (value != nil) != known || size != 32 {
			t.Errorf("%s: %v %v %d", name, key, value, size)
		}
	}
}

// A program may ask what there is at any step of its loop, also when it has just
// been told that the sidecar is gone.
func TestSourcesAreKnownWhileNobodyIsThere(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	s.finish(t, s.ring, shm.StateEnded)
	s.close(t)
	next(t, sub, KindGone)
	if list := sub.Sources(); len(list) != 1 || list[0].Name != "flows" {
		t.Errorf("%d sources, expected those of the last ring", len(list))
	}
	typed := mustRows[flowKey, flow](t, sub, "flows")
	comesBack(t, s, sub, Loss{Exact: true})
	if !typed.fit(&sub.frame).ok {
		t.Error("a view made meanwhile shows nothing of the new ring")
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
	if list := sub.Sources(); list != nil {
		t.Errorf("%d sources after Close", len(list))
	}
	if _, err := RowsOf[flowKey, flow](sub, "flows"); !errors.Is(err, ErrClosed) {
		t.Errorf("a view after Close: %v", err)
	}
}
