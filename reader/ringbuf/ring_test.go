// SPDX-License-Identifier: Apache-2.0

package ringbuf

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// fake is a ringbuf on the heap; the kernel is played by the test.
type fake struct {
	*Ring
	consumerPage, producerPage, data []byte
}

func newFake(size int, at uint64) *fake {
	f := &fake{consumerPage: make([]byte, 4096), producerPage: make([]byte, 4096), data: make([]byte, 2*size)}
	wordOf(f.consumerPage).store(at)
	wordOf(f.producerPage).store(at)
	f.Ring = newRing(f.consumerPage, f.producerPage, f.data)
	return f
}

// write puts a record behind the others, in both mappings.
func (f *fake) write(flags uint32, record []byte) {
	end := wordOf(f.producerPage).load()
	total := uint64(Bytes(len(record)))
	raw := binary.LittleEndian.AppendUint32(nil, uint32(len(record))|flags)
	raw = append(append(raw, 0, 0, 0, 0), record...)
	for i, b := range raw {
		at := (end + uint64(i)) & f.mask
		f.data[at], f.data[at+f.size] = b, b
	}
	wordOf(f.producerPage).store(end + total)
}

func (f *fake) expect(t *testing.T, want string) {
	t.Helper()
	got, err := f.Peek()
	if first, ok := got.first(); err != nil || !ok || first != want {
		t.Fatalf("%q, %v; expected %q", got, err, want)
	}
	f.Advance(1)
}

func (r Run) first() (record string, ok bool) {
	if r.Count == 0 {
		return "", false
	}
	return string(r.Records[:r.Length]), true
}

// Records of one length are lent together, round the end of the buffer, too; one
// of another length, or discarded, or busy, ends the run.
func TestRunsOfRecords(t *testing.T) {
	for name, c := range map[string]struct {
		flags uint32
		last  string
		runs  []string
	}{
		"alike":     {0, "d", []string{"abcd"}},
		"longer":    {0, "de", []string{"abc", "de"}},
		"discarded": {discardBit, "d", []string{"abc"}},
		"busy":      {busyBit, "d", []string{"abc"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(64, 1<<20+48)
			for _, r := range []string{"a", "b", "c"} {
				f.write(0, []byte(r))
			}
			f.write(c.flags, []byte(c.last))
			var runs []string
			for {
				run, err := f.Peek()
				if err != nil {
					t.Fatal(err)
				}
				if run.Count == 0 {
					break
				}
				got := ""
				for i := range run.Count {
					got += string(run.Records[i*run.Stride():][:run.Length])
				}
				if end := (run.Count-1)*run.Stride() + run.Length; len(run.Records) != end || cap(run.Records) != end {
					t.Errorf("%d records in %d bytes", run.Count, len(run.Records))
				}
				runs = append(runs, got)
				f.Advance(run.Count)
			}
			if !slices.Equal(runs, c.runs) {
				t.Errorf("%q, expected %q", runs, c.runs)
			}
		})
	}
}

// Positions do not begin at 0 for who comes later, and wrap around the buffer.
func TestRingGoesOnAndRound(t *testing.T) {
	f := newFake(64, 1<<40+40)
	for range 100 {
		f.write(0, []byte("0123456789"))
		f.write(discardBit, []byte("x"))
		f.expect(t, "0123456789")
		if got, err := f.Peek(); got.Count != 0 || err != nil || !f.Unreleased() {
			t.Fatalf("%q, %v", got, err)
		}
		f.Release()
		if f.Foreign() || f.Backlog() != 0 {
			t.Fatal("not released")
		}
	}
	if f.Discarded() != 100 {
		t.Errorf("%d discarded", f.Discarded())
	}
}

// Whatever another reader does to the position, nothing is read twice, and
// reading goes on at a record.
func TestRingResync(t *testing.T) {
	for _, c := range []struct {
		name   string
		theirs int64 // from our position
		want   string
		moved  int64
	}{
		{"forward", 16, "b", 16},
		{"to the end", 48, "", 48},
		{"back", -16, "a", -16},
		{"beyond the end", 1 << 30, "a", 1 << 30},
		{"into a record", 17, "b", 17},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(64, 1<<20)
			for _, r := range []string{"a", "b", "c"} {
				f.write(0, []byte(r))
			}
			if _, err := f.Peek(); err != nil {
				t.Fatal(err)
			}
			f.Advance(1) // copied, and not yet released
			wordOf(f.consumerPage).store(1<<20 + uint64(c.theirs))
			if !f.Foreign() {
				t.Fatal("not noticed")
			}
			if moved := f.Resync(); moved != c.moved {
				t.Errorf("moved %d", moved)
			}
			got, err := f.Peek()
			if first, _ := got.first(); err != nil || first != c.want {
				t.Errorf("%q, %v; expected %q", got, err, c.want)
			}
		})
	}
}

// FuzzRing: nothing in the memory makes a Ring read outside of it or run for
// ever.
func FuzzRing(f *testing.F) {
	f.Add(uint64(0), uint64(64), []byte{8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3})
	f.Add(uint64(8), uint64(1<<63), []byte{0xff, 0xff, 0xff, 0x3f})
	f.Add(uint64(3), uint64(2), []byte{0, 0, 0, 0x40})
	f.Fuzz(func(t *testing.T, consumer, producer uint64, content []byte) {
		x := newFake(256, consumer)
		wordOf(x.producerPage).store(producer)
		copy(x.data, content)
		copy(x.data[256:], content)
		for range 2 * 256 / HeaderBytes {
			run, err := x.Peek()
			x.Ready()
			if err != nil && !errors.Is(err, ErrCorrupt) || len(run.Records) > 256 {
				t.Fatalf("%d bytes, %v", len(run.Records), err)
			}
			if err != nil {
				x.Skip()
			}
			if run.Count == 0 && err == nil {
				return
			}
			x.Advance(run.Count)
			x.Release()
		}
		if _, err := x.Peek(); err == nil && x.Ready() {
			t.Fatal("it does not end")
		}
	})
}
