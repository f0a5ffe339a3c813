// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

const (
	// MaxRecord is the largest record that a Submitter submits.
	MaxRecord = 65536
	// Submitters is how many may submit at the same time.
	Submitters = 8
	// EventBytes is what a record says of itself, if it is as long as that.
	EventBytes = 24
	// NoWakeup is BPF_RB_NO_WAKEUP.
	NoWakeup = 1
	// HeldSeq is in the record that Hold has reserved.
	HeldSeq = ^uint64(0)
)

// Submission is what one run of a Submitter is to do, and what it did: the layout
// of struct submission.
type Submission struct {
	Seq       uint64 // of the next record; counted on
	Failed    uint64 // records that there was no room for; counted on
	Discarded uint64 // records that were reserved and taken back; counted on

	Submitter    uint32 // below Submitters; one run at a time each
	Count        uint32 // of records to try
	Least, Most  uint32 // bytes of a record
	Step         uint32 // from one to the next; 0: always Least
	DiscardEvery uint32 // one to be discarded comes before each so many; 0: none
	Retry        uint32 // 1: wait for room
	Wakeup       uint32 // flags of bpf_ringbuf_output
}

// Event is the beginning of a record.
type Event struct {
	Seq, TimeNS       uint64
	Submitter, Length uint32
}

// ParseEvent reads what a record says of itself. It holds the rest of the record
// against what it has to be.
func ParseEvent(tb testing.TB, record []byte) (e Event) {
	tb.Helper()
	if len(record) < EventBytes {
		tb.Fatalf("a record of %d bytes says nothing", len(record))
	}
	le := binary.LittleEndian
	e = Event{le.Uint64(record), le.Uint64(record[8:]), le.Uint32(record[16:]), le.Uint32(record[20:])}
	if int(e.Length) != len(record) || !bytes.Equal(record[EventBytes:], filling[EventBytes:len(record)]) {
		tb.Fatalf("record %d of submitter %d: %d bytes, it says %d, or its content is not its own", e.Seq, e.Submitter, len(record), e.Length)
	}
	return e
}

// filling is what records hold behind the Event: no two words of it are alike.
var filling = func() (b [MaxRecord]byte) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], uint64(i+1)*0x9E3779B97F4A7C15)
	}
	return b
}()

// Submitter submits records to a ringbuf from within the kernel.
type Submitter struct {
	tb   testing.TB
	coll *ebpf.Collection
}

// NewSubmitter loads the programs. They live as long as the test.
func NewSubmitter(tb testing.TB, ringbuf *ebpf.Map) *Submitter {
	tb.Helper()
	spec, err := loadSubmit()
	if err != nil {
		tb.Fatal(err)
	}
	spec.Maps[submitMapTarget].MaxEntries = ringbuf.MaxEntries()
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{submitMapTarget: ringbuf}})
	if err != nil {
		Skip(tb, "needs to load SYSCALL programs with bpf_loop: %+v", err)
	}
	tb.Cleanup(coll.Close)
	for i := range uint32(Submitters) {
		if err := coll.Maps[submitMapContents].Put(i, filling[:]); err != nil {
			tb.Fatal(err)
		}
	}
	return &Submitter{tb, coll}
}

// Submit does what sub says. Several may be called at the same time, each with
// a submitter of its own. If it is to retry, what the kernel had no room for is
// tried again, for as long as it takes a reader to be given a CPU.
func (s *Submitter) Submit(sub *Submission) error {
	count, failed := sub.Count, sub.Failed
	err := s.submit(sub)
	for late := time.Now().Add(20 * time.Second); err == nil && sub.Retry != 0 && sub.Failed > failed && time.Now().Before(late); {
		sub.Count, sub.Failed = uint32(sub.Failed-failed), failed
		err = s.submit(sub)
	}
	sub.Count = count
	return err
}

func (s *Submitter) submit(sub *Submission) error {
	out := make([]byte, binary.Size(sub))
	_, err := s.coll.Programs[submitProgSubmit].Run(&ebpf.RunOptions{Context: sub, ContextOut: out})
	if err == nil {
		_, err = binary.Decode(out, binary.LittleEndian, sub)
	}
	return err
}

// Hold reserves a record, which is busy until release is called and is then
// discarded or submitted.
func (s *Submitter) Hold() (release func(discard bool)) {
	s.tb.Helper()
	var done sync.WaitGroup
	s.set(submitVarLetGo, 0)
	s.set(submitVarHeld, 0)
	done.Go(func() {
		if r, err := s.coll.Programs[submitProgHold].Run(&ebpf.RunOptions{}); r != 0 || err != nil {
			s.tb.Errorf("hold a record: %d, %v", r, err)
		}
	})
	held := uint32(0)
	for late := time.Now().Add(10 * time.Second); held == 0; {
		if err := s.coll.Variables[submitVarHeld].Get(&held); err != nil || time.Now().After(late) {
			s.tb.Fatalf("no record was reserved in time: %v", err)
		}
	}
	return func(discard bool) {
		how := uint32(1)
		if discard {
			how = 2
		}
		s.set(submitVarLetGo, how)
		done.Wait()
	}
}

func (s *Submitter) set(name string, value uint32) {
	s.tb.Helper()
	if err := s.coll.Variables[name].Set(value); err != nil {
		s.tb.Fatal(err)
	}
}
