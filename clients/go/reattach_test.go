// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

func TestSupersededRingIsFollowedWithoutLoss(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	typed := mustRows[flowKey, flow](t, sub, "flows")
	var got tally
	for range 5 {
		f.must(t, 3, 10)
		old := s.ring
		s.replace(t, 128<<10) // another size, too
		f = addFeed(t, s.ring, flowInfo("flows"))
		f.must(t, 2, 10)
		s.finish(t, old, shm.StateSuperseded)
		for range 3 {
			got.add(typed, next(t, sub, KindRows))
		}
		if b := next(t, sub, KindRestart); b.Lost != (Loss{Exact: true}) {
			t.Errorf("lost %+v", b.Lost)
		}
		for range 2 {
			got.add(typed, next(t, sub, KindRows))
		}
	}
	if got.rows != 5*50 || got.err != nil {
		t.Errorf("%d rows, %v", got.rows, got.err)
	}
	if st := sub.Stats(); st.Restarts != 5 || st.Rows != 250 || st.LostRows != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSidecarEndsInOrderAndComesBack(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("flows")).must(t, 3, 10)
	sub := s.attach(t, Options{Start: StartOldest})
	s.finish(t, s.ring, shm.StateEnded)
	s.close(t)
	for range 3 {
		next(t, sub, KindRows)
	}
	next(t, sub, KindGone)
	comesBack(t, s, sub, Loss{Exact: true})
}

func TestSidecarVanishesAndComesBack(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("flows")).must(t, 3, 10)
	sub := s.attach(t, Options{Start: StartOldest})
	s.close(t) // without a word
	for range 3 {
		next(t, sub, KindRows)
	}
	next(t, sub, KindGone)
	comesBack(t, s, sub, Loss{})
}

// comesBack starts another sidecar and reads a frame of it.
func comesBack(t *testing.T, s *sidecar, sub *Subscription, lost Loss) {
	t.Helper()
	s.replace(t, 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	f.must(t, 1, 7)
	s.listen(t)
	if b := next(t, sub, KindRestart); b.Lost != lost {
		t.Errorf("lost %+v, expected %+v", b.Lost, lost)
	}
	if b := next(t, sub, KindRows); b.Rows != 7 || b.Seq != 0 || b.Source != sub.Sources()[0] {
		t.Errorf("%+v", b)
	}
}

func TestWhatTheNewRingHadAlreadyLostIsCounted(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	sub := s.attach(t, Options{Start: StartOldest})
	s.finish(t, s.ring, shm.StateEnded)
	s.close(t)
	next(t, sub, KindGone)
	s.replace(t, 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	f.must(t, 1000, 20)
	s.listen(t)
	lost := next(t, sub, KindRestart).Lost
	if b := next(t, sub, KindRows); lost.Frames == 0 || b.Seq != lost.Frames || lost.Rows != 20*lost.Frames || !lost.Exact {
		t.Errorf("lost %+v, then frame %d", lost, b.Seq)
	}
	if st := sub.Stats(); st.LostRows != lost.Rows || st.LostFrames != lost.Frames {
		t.Errorf("%+v", st)
	}
}

// A lease that is taken away is not a ring that has ended: reading goes on where
// it was.
func TestEvictionLosesNothing(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 3, 10)
	next(t, sub, KindRows)
	s.evict()
	next(t, sub, KindRows)
	next(t, sub, KindRows)
	next(t, sub, KindGone)
	if b := next(t, sub, KindRestart); b.Lost != (Loss{Exact: true}) {
		t.Errorf("lost %+v", b.Lost)
	}
	f.must(t, 1, 10)
	if b := next(t, sub, KindRows); b.Seq != 3 {
		t.Errorf("frame %d", b.Seq)
	}
}

// A sidecar that still lends the ring that has ended has nothing to offer yet.
func TestEndedRingIsNotTakenAgain(t *testing.T) {
	t.Parallel() // it waits for the most part
	s := open(t, socketPath(t), 64<<10)
	addFeed(t, s.ring, flowInfo("flows")).must(t, 1, 10)
	sub := s.attach(t, Options{Start: StartOldest})
	s.finish(t, s.ring, shm.StateSuperseded)
	next(t, sub, KindRows)
	next(t, sub, KindGone) // after the first attempt
	if st := sub.Stats(); st.Restarts != 0 {
		t.Errorf("%+v", st)
	}
	s.replace(t, 64<<10)
	next(t, sub, KindRestart)
}

// A reader that always has something to read has no reason to sleep, so nothing
// would tell it that the socket hung up.
func TestBusyReaderHearsOfTheEnd(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	f.must(t, 20, 10)
	next(t, sub, KindRows)
	s.close(t)
	for err := error(nil); err == nil; { // the lease's end is noticed beside the reader
		_, err = sub.lease.Wait(deadline(t), s.ring.Totals().Head)
	}
	next(t, sub, KindRows) // the heartbeat is not late yet
	sub.pulse.asked = sub.pulse.asked.Add(-silence)
	next(t, sub, KindGone)
	for range 18 { // the rest is still there
		next(t, sub, KindRows)
	}
}

func TestRefusalAfterRestartIsFinal(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	sub := s.attach(t, Options{})
	s.finish(t, s.ring, shm.StateEnded)
	next(t, sub, KindGone)
	s.refuseAll(handoff.Refuse(syscall.EACCES, "uid 7 may not; add --allow-uid 7"))
	rounds := 0
	for range 2 { // it stays final
		for b, err := range sub.Batches(deadline(t)) {
			if b != nil || !errors.Is(err, ErrNotAllowed) || !strings.Contains(err.Error(), "--allow-uid 7") {
				t.Fatal(b, err)
			}
			rounds++
		}
	}
	if rounds != 2 {
		t.Errorf("%d errors", rounds)
	}
	if valid, err := sub.View(t.Context(), nil); valid || !errors.Is(err, ErrNotAllowed) {
		t.Error(valid, err)
	}
}

// A right that is taken away is said to be just that.
func TestRefusalIsNotGone(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	sub := s.attach(t, Options{})
	s.refuseAll(handoff.Refuse(syscall.EACCES, "uid 7 may not"))
	s.finish(t, s.ring, shm.StateSuperseded)
	s.evict()
	for b, err := range sub.Batches(deadline(t)) {
		if b != nil || !errors.Is(err, ErrNotAllowed) {
			t.Fatal(b, err)
		}
	}
}

func TestWaitingForASidecarEndsWithTheContext(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	sub := s.attach(t, Options{})
	s.close(t)
	next(t, sub, KindGone)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for b, err := range sub.Batches(ctx) {
		t.Error(b, err)
	}
	if err := sub.Stats().Away; !errors.Is(err, ErrNoSidecar) {
		t.Errorf("away because of %v", err)
	}
	comesBack(t, s, sub, Loss{})
	if err := sub.Stats().Away; err != nil {
		t.Error(err)
	}
}

func TestAttachSaysWhyNot(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	for name, test := range map[string]struct {
		refuse error
		want   error
	}{
		"not allowed": {handoff.Refuse(syscall.EACCES, "uid 7 may not"), ErrNotAllowed},
		"no ring":     {handoff.Refuse(syscall.ENOENT, "no ring"), ErrNotFound},
	} {
		s.refuseAll(test.refuse)
		if _, err := Attach(t.Context(), Options{Socket: s.path}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.close(t)
	if _, err := Attach(t.Context(), Options{Socket: s.path}); !errors.Is(err, ErrNoSidecar) || !strings.Contains(err.Error(), "ringside serve") {
		t.Error(err)
	}
	t.Setenv(SocketEnv, s.path+"env")
	if _, err := Attach(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), s.path+"env") {
		t.Error(err)
	}
}

func TestAttachWaitsForARingThatIsBeingReplaced(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	s.finish(t, s.ring, shm.StateSuperseded)
	ctx, attached := deadline(t), make(chan error, 1)
	go func() {
		sub, err := Attach(ctx, Options{Socket: s.path})
		if err == nil {
			err = sub.Close()
		}
		attached <- err
	}()
	s.replace(t, 64<<10)
	if err := <-attached; err != nil {
		t.Error(err)
	}
}

func TestNamesOfTheConsumer(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	old := os.Args[0]
	defer func() { os.Args[0] = old }()
	os.Args[0] = "/bin/" + strings.Repeat("x", 100)
	s.attach(t, Options{})
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.leases {
		if l.Name != strings.Repeat("x", 63) {
			t.Errorf("calls itself %q", l.Name)
		}
	}
}
