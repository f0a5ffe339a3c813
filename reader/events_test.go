// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

const eventsPatience = 20 * time.Second

// tap is a ringbuf that is emptied.
type tap struct {
	*reader.Events
	dst *readertest.Events
	got chan []byte // events in order
	end func() error
}

func newRingbuf(t testing.TB, bytes uint32) (*ebpf.Map, string) {
	t.Helper()
	return bpftest.NewPinned(t, "stream", &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: bytes})
}

func openEvents(t testing.TB, pin string, o reader.EventOptions) *reader.Events {
	t.Helper()
	e, err := reader.OpenEvents(pin, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// startTap begins to empty the ringbuf. It ends with the test.
func startTap(t testing.TB, pin string, o reader.EventOptions, prepare func(*readertest.Events)) *tap {
	t.Helper()
	x := &tap{Events: openEvents(t, pin, o), got: make(chan []byte, 1<<20)}
	x.dst = readertest.NewEvents(t, func(event []byte) { x.got <- event })
	if prepare != nil {
		prepare(x.dst)
	}
	x.SetActive(true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, x.dst) }()
	x.end = sync.OnceValue(func() error {
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	t.Cleanup(func() {
		if err := x.end(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// next is the next event.
func (x *tap) next(t testing.TB) []byte {
	t.Helper()
	select {
	case event := <-x.got:
		return event
	case <-time.After(eventsPatience):
		t.Fatalf("no event in %v: %+v", eventsPatience, x.Stats())
		return nil
	}
}

// expect takes so many events of one submitter, numbered from first.
func (x *tap) expect(t testing.TB, first, count uint64) {
	t.Helper()
	for seq := first; seq < first+count; seq++ {
		if e := bpftest.ParseEvent(t, x.next(t)); e.Seq != seq {
			t.Fatalf("event %d, expected %d", e.Seq, seq)
		}
	}
}

func (x *tap) expectNothing(t testing.TB) {
	t.Helper()
	select {
	case event := <-x.got:
		t.Fatalf("an event of %d bytes, expected none", len(event))
	default:
	}
}

func submit(t testing.TB, s *bpftest.Submitter, sub *bpftest.Submission) {
	t.Helper()
	if err := s.Submit(sub); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for the stats to be as they should be.
func (x *tap) eventually(t testing.TB, what string, ok func(reader.EventStats) bool) {
	t.Helper()
	for late := time.Now().Add(eventsPatience); ; runtime.Gosched() {
		s := x.Stats()
		if ok(s) {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("waited %v for %s: %+v", eventsPatience, what, s)
		}
	}
}

// Several CPUs submit at once, more than there is room for: every record that the
// kernel took arrives once, whole, in its submitter's order, and with what it
// refused and what was discarded it is all there was.
func TestEventsFromManyCPUs(t *testing.T) {
	m, pin := newRingbuf(t, 1<<16)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{}, nil)
	const enough, each = 20_000, 2000
	var all sync.WaitGroup
	subs, runs := make([]bpftest.Submission, 3), make([]uint64, 3)
	for i := range subs {
		subs[i] = bpftest.Submission{Submitter: uint32(i), Count: each, Least: 24, Most: 400, Step: 13, DiscardEvery: 7}
		all.Go(func() {
			for late := time.Now().Add(eventsPatience); subs[i].Seq < enough && time.Now().Before(late); runs[i]++ {
				if err := s.Submit(&subs[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	total, discarded := uint64(0), uint64(0)
	for i := range subs {
		if subs[i].Seq+subs[i].Failed != runs[i]*each || subs[i].Seq < enough {
			t.Errorf("submitter: %+v", subs[i])
		}
		total, discarded = total+subs[i].Seq, discarded+subs[i].Discarded
	}
	next := make([]uint64, len(subs))
	for range total {
		e := bpftest.ParseEvent(t, x.next(t))
		if e.Seq != next[e.Submitter] {
			t.Fatalf("submitter %d: event %d, expected %d", e.Submitter, e.Seq, next[e.Submitter])
		}
		next[e.Submitter]++
	}
	x.eventually(t, "all to be counted", func(st reader.EventStats) bool {
		return st.Events == total && st.Discarded == discarded && st.Backlog == 0
	})
	x.expectNothing(t)
	if st := x.Stats(); st.LastError != nil || st.ForeignMoves != 0 || st.LostBytes != 0 {
		t.Errorf("%+v", st)
	}
}

// Records of every size up to the largest that the kernel takes, round and round.
func TestEventsOfAllSizes(t *testing.T) {
	const size = 1 << 14
	m, pin := newRingbuf(t, size)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{}, nil)
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() {
		for _, sub := range []bpftest.Submission{
			{Count: 1000, Least: 24, Most: 4000, Step: 1, Retry: 1},
			{Count: 300, Least: 24, Most: size - 16, Step: 1237, Retry: 1},
			{Count: 3, Least: size - 16, Retry: 1},
			{Count: 23, Least: 1, Most: 23, Step: 1, Retry: 1},
			{Count: 1, Least: 0, Retry: 1},
		} {
			if err := s.Submit(&sub); err != nil {
				t.Error(err)
			}
		}
	})
	x.expect(t, 0, 1000)
	x.expect(t, 0, 300)
	for seq := range uint64(3) {
		if e := bpftest.ParseEvent(t, x.next(t)); e.Seq != seq || e.Length != size-16 {
			t.Errorf("%+v", e)
		}
	}
	for n := range 23 {
		if event := x.next(t); len(event) != 1+n || event[0] != byte(n) {
			t.Fatalf("%x, expected the first %d bytes of event %d", event, 1+n, n)
		}
	}
	if event := x.next(t); len(event) != 0 {
		t.Errorf("%x, expected nothing", event)
	}
}

// A record that was reserved and not submitted holds back all behind it; a
// discarded one leaves nothing.
func TestEventsBehindABusyRecord(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{Every: time.Millisecond}, nil)
	for _, discard := range []bool{true, false} {
		release := s.Hold()
		sub := bpftest.Submission{Count: 10, Least: 32}
		submit(t, s, &sub)
		x.eventually(t, "the records to be there", func(st reader.EventStats) bool { return st.Backlog > 10*40 })
		x.expectNothing(t)
		release(discard)
		if !discard {
			if e := bpftest.ParseEvent(t, x.next(t)); e.Seq != bpftest.HeldSeq {
				t.Errorf("%+v, expected the one that was held", e)
			}
		}
		x.expect(t, 0, 10)
		x.eventually(t, "all to be released", func(st reader.EventStats) bool { return st.Backlog == 0 })
	}
	x.expectNothing(t)
}

// Records that wake nobody are found nevertheless.
func TestEventsWithoutWakeup(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{Every: time.Millisecond}, nil)
	submit(t, s, &bpftest.Submission{Count: 5, Least: 24, Wakeup: bpftest.NoWakeup})
	x.expect(t, 0, 5)
}

// Nothing is taken while nobody wants it, and nothing is lost by that but what
// the kernel refuses.
func TestEventsRest(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	rest := make(chan func(), 1)
	x := startTap(t, pin, reader.EventOptions{}, func(d *readertest.Events) {
		d.OnAdd = func() {
			select {
			case now := <-rest:
				now()
			default:
			}
		}
	})
	// Switched off while it fills a frame, it looks into the buffer no more.
	rest <- func() { x.SetActive(false) }
	submit(t, s, &bpftest.Submission{Count: 1, Least: 24})
	x.expect(t, 0, 1)
	sub := bpftest.Submission{Count: 2000, Least: 56}
	submit(t, s, &sub)
	if sub.Seq == 0 || sub.Failed == 0 {
		t.Fatalf("%+v", sub)
	}
	if st := x.Stats(); st.Active || st.Backlog != int(sub.Seq)*64 || st.Events != 1 {
		t.Errorf("%+v after %+v", st, sub)
	}
	x.expectNothing(t)
	x.SetActive(true)
	x.expect(t, 0, sub.Seq)
}

// A frame that could not be had leaves its records where they are, and one who
// comes later goes on exactly where the last one committed.
func TestEventsGoOnAfterARestart(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	full := errors.New("no room")
	var refuse atomic.Bool
	x := startTap(t, pin, reader.EventOptions{Every: time.Millisecond}, func(d *readertest.Events) {
		d.OnClaim = func(_, _ int) error {
			if refuse.Load() {
				return full
			}
			return nil
		}
	})
	sub := bpftest.Submission{Count: 3, Least: 24}
	submit(t, s, &sub)
	x.expect(t, 0, 3)
	refuse.Store(true)
	submit(t, s, &sub)
	x.eventually(t, "the failure to show", func(st reader.EventStats) bool { return errors.Is(st.LastError, full) && st.Failing })
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	x.expectNothing(t)
	y := startTap(t, pin, reader.EventOptions{}, nil)
	submit(t, s, &sub)
	y.expect(t, 3, 6)
	y.expectNothing(t)
}

func TestEventsFollowThePin(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	x := openEvents(t, pin, reader.EventOptions{Every: time.Millisecond})
	x.SetActive(true)
	submit(t, s, &bpftest.Submission{Count: 5, Least: 24})
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	bpftest.Pin(t, bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 13}), filepath.Dir(pin), filepath.Base(pin))
	got := 0
	done := make(chan error, 1)
	go func() { done <- x.Run(context.Background(), readertest.NewEvents(t, func([]byte) { got++ })) }()
	if err := <-done; !errors.Is(err, reader.ErrReplaced) || got != 5 {
		t.Errorf("%v after %d events", err, got)
	}
	if next := openEvents(t, pin, reader.EventOptions{}); next.Info().MaxEntries != 1<<13 || next.Info().MapID == x.Info().MapID {
		t.Errorf("%+v", next.Info())
	}
}

func TestEventsTooLarge(t *testing.T) {
	m, pin := newRingbuf(t, 1<<14)
	s := bpftest.NewSubmitter(t, m)
	x := startTap(t, pin, reader.EventOptions{}, func(d *readertest.Events) { d.Most = 100 })
	for _, sub := range []bpftest.Submission{{Count: 10, Least: 100}, {Count: 30, Least: 101}, {Count: 1, Least: 24}} {
		submit(t, s, &sub)
	}
	x.eventually(t, "the last", func(st reader.EventStats) bool { return st.Events == 11 && st.Backlog == 0 })
	if st := x.Stats(); !errors.Is(st.LastError, reader.ErrTooLarge) || st.TooLarge != 30 {
		t.Errorf("%+v", st)
	}
}

func TestEventsAreOpenedWithCare(t *testing.T) {
	_, hash := bpftest.NewPinned(t, "hash", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if _, err := reader.OpenEvents(hash, reader.EventOptions{}); !errors.Is(err, reader.ErrUnsupported) || !strings.Contains(err.Error(), hash) {
		t.Errorf("a hash: %v", err)
	}
	_, pin := newRingbuf(t, 1<<12)
	if err := os.Chmod(pin, 0o444); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(pin); dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); errors.Is(err, unix.EROFS) {
			break
		}
		if strings.HasPrefix(filepath.Dir(dir), os.TempDir()) {
			continue
		}
		break
	}
	err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		_, err := reader.OpenEvents(pin, reader.EventOptions{})
		return err
	})
	var refused *reader.PinError
	if !errors.As(err, &refused) || !errors.Is(err, reader.ErrPermission) {
		t.Errorf("without the right to write: %v", err)
	}
}
