// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func TestPulse(t *testing.T) {
	p := pulse{}
	expect := func(beat uint64, late, stopped bool, when string) {
		if l, s := p.look(beat); l != late || s != stopped {
			t.Errorf("%s: late %v, stopped %v", when, l, s)
		}
	}
	expect(7, false, false, "first beat")
	expect(7, false, false, "the same beat, at once")
	p.asked = p.asked.Add(-silence)
	expect(7, true, false, "the same beat after a silence")
	expect(7, false, false, "told already")
	p.changed = p.changed.Add(-hangTime)
	expect(7, false, true, "the same beat for long")
	p.asked = p.asked.Add(-silence)
	expect(8, false, false, "another beat")
}

// A hang is told once, whatever is still to read, and again after the next beat.
func TestHangIsToldOnce(t *testing.T) {
	s := open(t, socketPath(t), 64<<10)
	f := addFeed(t, s.ring, flowInfo("flows"))
	sub := s.attach(t, Options{Start: StartOldest})
	for range 2 {
		s.ring.Beat()
		f.must(t, 5, 10)
		next(t, sub, KindRows)
		if err := sub.Stats().Away; err != nil {
			t.Error(err)
		}
		sub.pulse.changed = sub.pulse.changed.Add(-hangTime)
		next(t, sub, KindHangs)
		if err := sub.Stats().Away; !errors.Is(err, ErrHangs) {
			t.Errorf("away because of %v", err)
		}
		for range 4 {
			next(t, sub, KindRows)
		}
	}
	s.close(t)
	next(t, sub, KindGone)
	if err := sub.Stats().Away; errors.Is(err, ErrHangs) {
		t.Error("gone, and hangs still")
	}
}

// A sidecar that is stopped keeps the socket open and sends nothing: sleeping,
// busy and zero-copy readers all notice.
func TestStoppedSidecarIsTold(t *testing.T) {
	t.Parallel() // it waits for the most part
	path := socketPath(t)
	p := bpftest.StartRole(t, os.Geteuid(), nil, "sidecar", path)
	p.Expect(t, "serving")
	until := func(t *testing.T, sub *Subscription, kind Kind) {
		t.Helper()
		for b, err := range sub.Batches(deadline(t)) {
			switch {
			case err != nil:
				t.Fatal(err)
			case b.Kind == KindGone, b.Kind == KindRestart:
				t.Fatal(b.Kind)
			case b.Kind == kind:
				return
			}
		}
	}
	for name, o := range map[string]Options{"sleeping": {}, "busy": {Busy: true}} {
		t.Run(name, func(t *testing.T) {
			o.Socket = path
			sub, err := Attach(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			until(t, sub, KindRows)
			p.Signal(t, syscall.SIGSTOP)
			until(t, sub, KindHangs)
			if err := sub.Stats().Away; !errors.Is(err, ErrHangs) {
				t.Errorf("away because of %v", err)
			}
			p.Signal(t, syscall.SIGCONT)
			// What was in the ring may come before the next beat is seen.
			for sub.Stats().Away != nil {
				until(t, sub, KindRows)
			}
		})
	}
	p.Last(t, "published")
}
